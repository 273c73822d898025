//! An event stream about to begin, and how its head is put together for both sinks.

use std::sync::Arc;
use std::time::Duration;

use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tidings_engine::{Engine, PendingSubscription, SubscribeOptions, Term};
use tidings_hub::Outcome;

use crate::date;
use crate::headers::{self, TIDINGS_CONNECTION};
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
        headers::write(&self.headers, &mut head);
        head.extend_from_slice(b"transfer-encoding: chunked\r\ndate: ");
        date::write(&mut head);
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
    add_delivery(&mut headers);
    headers
}

/// Adds what asks intermediaries to pass on every event at once.
pub fn add_delivery(headers: &mut HeaderMap) {
    // A structured boolean: true (RFC 10036). Every implementation of it is new, so nginx is asked
    // in its own way, too.
    headers.insert(INCREMENTAL, HeaderValue::from_static("?1"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

/// Says that a response is useful piece by piece (RFC 10036).
const INCREMENTAL: HeaderName = HeaderName::from_static("incremental");

/// Whether nginx buffers a response.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How a stream begins and how long it took to find its place in the log, for the network panel of
/// a browser (Server Timing, W3C).
pub(crate) fn server_timing(outcome: &Outcome, found_after: Duration) -> HeaderValue {
    let (kind, ms) = (outcome.name(), found_after.as_secs_f64() * 1e3);
    let text = format!("resume;desc=\"{kind}\";dur={ms:.2}");
    HeaderValue::try_from(text).expect("letters, digits and quotes")
}

/// See [`server_timing`].
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The media type of event streams.
pub const EVENT_STREAM: &str = "text/event-stream";

/// What an event stream over HTTP/1.1 says about its connection; HTTP/2 forbids to say it (RFC 9113
/// §8.2.2), and in HTTP/1.0 it has another meaning.
pub(crate) fn connection_option(version: Version, request: &HeaderMap) -> Option<HeaderValue> {
    if version != Version::HTTP_11 {
        return None;
    }
    let is_close = |option: &str| option.eq_ignore_ascii_case("close");
    let close = crate::headers::any_member(request, header::CONNECTION, is_close);
    Some(HeaderValue::from_static(if close { "close" } else { "keep-alive" }))
}
