//! `Transport`: sends one HTTP request and returns the answer.

use std::future::Future;
use std::pin::Pin;

use http::{Request, Response};

use crate::{Body, TransportError};

pub(crate) mod error;
pub(crate) mod http_transport;
#[cfg(feature = "reqwest")]
pub(crate) mod reqwest_transport;

/// Sends one HTTP request and returns the answer, whose body is read as it arrives.
///
/// A transport must
///
/// - not follow redirects: the source does, and knows which headers may be sent along. A transport
///   that follows them all the same must put the final URL into the extensions, as [`FinalUrl`];
/// - not retry, unless nothing of the request has been sent;
/// - not hold back received parts of a body, and not decompress it;
/// - end the exchange when the future or the body is dropped;
/// - distinguish a body that ended as its framing says from one that was cut short, which is an
///   error.
///
/// Connections may be pooled and shared. The default is [`HttpTransport`](crate::HttpTransport).
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute, and waits for the head of the answer.
    fn send(&self, request: Request<Body>) -> SendFuture;
}

/// What [`Transport::send`] returns.
pub type SendFuture =
    Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + 'static>>;

/// The URL that a response came from, in its extensions, if the transport followed redirects.
#[derive(Debug, Clone)]
pub struct FinalUrl(pub String);
