//! What handlers give back.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use crate::response_body::{Body, Response};
use crate::stream::Stream;

/// What a handler gives back.
pub enum Answer {
    /// A whole response.
    Response(Response),
    /// An event stream that an engine will write; which way is not the handler's business.
    Stream(Box<Stream>),
}

impl Answer {
    /// The status, whichever it is.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Response(response) => response.status(),
            Self::Stream(_) => StatusCode::OK,
        }
    }

    /// The headers, whichever it is.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Response(response) => response.headers_mut(),
            Self::Stream(stream) => &mut stream.headers,
        }
    }
}

/// What `X-Content-Type-Options` says in every answer: nothing of a publisher's is to be taken for
/// another type than it is sent with.
pub const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// A response with a body that is there already.
pub fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response whose body is cut after `body`: it says to clients that they should come back.
pub fn cut(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    whole(status, content_type, Bytes::new()).map(|_| Body::cut(body))
}

/// A JSON answer that nobody keeps.
pub fn json(body: impl Into<Bytes>) -> Response {
    let mut response = whole(StatusCode::OK, "application/json", body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Body::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Methods as a header value.
pub fn list(methods: &[Method]) -> HeaderValue {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).expect("methods are tokens")
}
