//! `Transport`: whoever can send one HTTP request and hand back the answer.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use http::{Request, Response};

use crate::Body;

pub(crate) mod http_transport;
#[cfg(feature = "reqwest")]
pub(crate) mod reqwest_transport;

/// Sends one HTTP request and hands back the answer, its body to be read as it arrives.
///
/// A transport must
///
/// - not follow redirects: the source does, and knows which headers may go along. One that follows
///   them all the same must say where it arrived, with [`FinalUrl`] in the extensions;
/// - not retry, unless nothing of the request has been sent;
/// - not keep back what has arrived of a body, and not decompress it;
/// - end the exchange when the future or the body is dropped;
/// - tell a body that ended as its framing says from one that broke off: the latter is an error.
///
/// Connections may be pooled and shared. The default is [`HttpTransport`](crate::HttpTransport).
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute, and waits for the head of the answer.
    fn send(&self, request: Request<Body>) -> SendFuture;
}

/// What [`Transport::send`] returns.
pub type SendFuture =
    Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + 'static>>;

/// In the extensions of a response: the URL it came from, if the transport followed redirects.
#[derive(Debug, Clone)]
pub struct FinalUrl(pub String);

/// Why an exchange of request and answer failed.
#[derive(Debug)]
pub struct TransportError {
    is_connect: bool,
    cause: Box<dyn Error + Send + Sync>,
}

impl TransportError {
    /// No connection could be made, so nothing of the request has been sent.
    pub fn connect(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { is_connect: true, cause: cause.into() }
    }

    /// The exchange broke off. How much of the request has arrived is not known.
    pub fn exchange(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { is_connect: false, cause: cause.into() }
    }

    /// Whether nothing of the request has been sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.is_connect
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_connect { "could not connect" } else { "the exchange broke off" })
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}
