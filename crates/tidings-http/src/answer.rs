//! Answers to requests, and the common kinds of responses.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use crate::response_body::{Body, Response};
use crate::stream::Stream;

/// The answer to a request.
pub enum Answer {
    /// A whole response.
    Response(Response),
    /// An event stream, which the engine writes: to the socket itself, or through the HTTP library.
    Stream(Box<Stream>),
}

impl Answer {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Response(response) => response.status(),
            Self::Stream(_) => StatusCode::OK,
        }
    }

    /// Its headers.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Response(response) => response.headers_mut(),
            Self::Stream(stream) => &mut stream.headers,
        }
    }
}

/// The value of `X-Content-Type-Options` in every answer: a browser must not guess a type from
/// bytes that a publisher chose.
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// A response with a complete body.
pub fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response that is cut after `body`, so that its client reconnects.
pub fn cut(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    whole(status, content_type, Bytes::new()).map(|_| Body::cut(body))
}

/// A JSON response that no cache may store.
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
