//! An event stream about to begin, and how its head is put together for both sinks.

use std::sync::Arc;

use http::Version;
use http::header::{self, HeaderMap, HeaderValue};
use tidings_engine::{Engine, PendingSubscription, SubscribeOptions, Term};

use crate::headers::TIDINGS_CONNECTION;
use crate::present::{Arrival, Identity};
use crate::response_body::{Body, Response};

/// An event stream about to begin.
pub struct Stream {
    /// The subscription that the engine has opened.
    pub pending: PendingSubscription,
    /// How the engine speaks to the subscriber.
    pub options: SubscribeOptions,
    /// The response's headers, without those that belong to one connection.
    pub headers: HeaderMap,
    /// What operators find the subscriber by.
    pub(crate) identity: Identity,
    /// How long it may run, if a backend says so.
    pub(crate) term: Option<Arc<dyn Term>>,
    /// Its place among those that no worker has yet; left once a worker has it.
    pub(crate) arrival: Arrival,
}

impl Stream {
    /// Adds the headers about the connection: its name, and what HTTP/1.1 says of it.
    pub(crate) fn add_connection(&mut self, option: Option<HeaderValue>) {
        let name = self.pending.connection.to_string();
        let name = HeaderValue::try_from(name).expect("hexadecimal digits and a hyphen");
        self.headers.insert(TIDINGS_CONNECTION, name);
        if let Some(option) = option {
            self.headers.insert(header::CONNECTION, option);
        }
    }

    /// The response for a connection that somebody else writes.
    pub(crate) async fn into_response(self, engine: &Engine) -> Response {
        let Self { mut pending, options, headers, identity, term, arrival } = self;
        pending.set_label(identity.into_label(term));
        let body = engine.attach_body(pending, options).await;
        drop(arrival);
        let mut response = http::Response::new(Body::stream(body));
        *response.headers_mut() = headers;
        response
    }

    /// The head of the response for a socket that is written directly: HTTP/1.1, body in chunks
    /// (RFC 9112 §7.1).
    pub(crate) fn http1_head(&self) -> Vec<u8> {
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"transfer-encoding: chunked\r\ndate: ");
        let now = jiff::Timestamp::now();
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        if let Ok(date) = printer.timestamp_to_rfc9110_string(&now) {
            head.extend_from_slice(date.as_bytes());
        }
        head.extend_from_slice(b"\r\n\r\n");
        head
    }
}

/// The headers of every event stream.
pub fn stream_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, value) in [
        (header::CONTENT_TYPE, EVENT_STREAM),
        // A proxy that compresses would hold events back.
        (header::CACHE_CONTROL, "no-cache, no-transform"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // nginx buffers responses unless this header turns that off.
    headers.insert(
        header::HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    headers
}

/// The media type of event streams.
pub const EVENT_STREAM: &str = "text/event-stream";

/// What an event stream over HTTP/1.1 says about its connection; HTTP/2 forbids to say it (RFC 9113
/// §8.2.2), and in HTTP/1.0 it has another meaning.
pub(crate) fn connection_option(version: Version, request: &HeaderMap) -> Option<HeaderValue> {
    if version != Version::HTTP_11 {
        return None;
    }
    let options = crate::headers::joined(request, header::CONNECTION, ", ");
    let close = options.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
    Some(HeaderValue::from_static(if close { "close" } else { "keep-alive" }))
}
