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
    kind: Kind,
    cause: Box<dyn Error + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Exchange,
    Malformed,
}

impl TransportError {
    /// No connection could be made, so nothing of the request has been sent.
    pub fn connect(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: Kind::Connect, cause: cause.into() }
    }

    /// The exchange broke off. How much of the request has arrived is not known.
    pub fn exchange(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: Kind::Exchange, cause: cause.into() }
    }

    /// There was an answer, and its head cannot be read: it is not HTTP, or has more fields than
    /// are [taken](crate::limits::ANSWER_FIELDS_MAX). It would be the same another time.
    pub fn malformed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: Kind::Malformed, cause: cause.into() }
    }

    /// Whether nothing of the request has been sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.kind == Kind::Connect
    }

    /// Whether there was an answer that cannot be read.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.kind == Kind::Malformed
    }

    /// Sorts an error by the word of hyper, wherever in its causes that stands.
    pub(crate) fn sort(is_connect: bool, error: impl Error + Send + Sync + 'static) -> Self {
        if is_connect {
            return Self::connect(error);
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if inner.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
                return Self::malformed(error);
            }
            cause = inner.source();
        }
        Self::exchange(error)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Connect => "could not connect",
            Kind::Exchange => "the exchange broke off",
            Kind::Malformed => "the head of the answer cannot be read",
        })
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}
