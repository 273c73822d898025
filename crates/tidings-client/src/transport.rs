//! `Transport`: whoever can send one HTTP request and hand back the answer.

use std::future::Future;
use std::pin::Pin;

use http::{Request, Response};

use crate::{Body, TransportError};

pub(crate) mod error;
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
