//! What handlers give back, and how an event stream's head is put together for both sinks.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Version};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tidings_engine::{Attachment, Engine, Opening, SubscriberBody};

use crate::activity::Busy;
use crate::admin::TIDINGS_CONNECTION;
use crate::body::BoxError;

/// A response as the HTTP library sends it.
pub(crate) type Response = http::Response<Body>;

/// What a handler gives back.
pub(crate) enum Answer {
    /// A whole response.
    Response(Response),
    /// An event stream that an engine will write; which way is not the handler's business.
    Stream(Box<Stream>),
}

impl Answer {
    /// The status, whichever it is.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Response(response) => response.status(),
            Self::Stream(_) => StatusCode::OK,
        }
    }

    /// The headers, whichever it is.
    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        match self {
            Self::Response(response) => response.headers_mut(),
            Self::Stream(stream) => &mut stream.headers,
        }
    }
}

/// What `X-Content-Type-Options` says in every answer: nothing of a publisher's is to be taken for
/// another type than it is sent with.
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// An event stream about to begin.
pub(crate) struct Stream {
    pub(crate) opening: Opening,
    pub(crate) attachment: Attachment,
    /// The response's headers, without those that belong to one connection.
    pub(crate) headers: HeaderMap,
}

impl Stream {
    /// Adds the headers about the connection: its name, and what HTTP/1.1 says of it.
    pub(crate) fn add_connection(&mut self, option: Option<HeaderValue>) {
        let name = self.opening.connection.to_string();
        let name = HeaderValue::try_from(name).expect("hexadecimal digits and a hyphen");
        self.headers.insert(TIDINGS_CONNECTION, name);
        if let Some(option) = option {
            self.headers.insert(header::CONNECTION, option);
        }
    }

    /// The response for a connection that somebody else writes.
    pub(crate) async fn into_response(self, engine: &Engine) -> Response {
        let body = engine.attach_body(self.opening, self.attachment).await;
        let mut response = http::Response::new(Body::stream(body));
        *response.headers_mut() = self.headers;
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

/// The body of a response of the hub.
pub struct Body {
    content: Content,
    /// Dropped with the body: then the request has been answered.
    _busy: Option<Busy>,
}

enum Content {
    Whole(Bytes),
    Stream(SubscriberBody),
    /// An application's.
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// Everything, at once.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(bytes.into()), _busy: None }
    }

    /// What a shard will send.
    pub(crate) fn stream(body: SubscriberBody) -> Self {
        Self { content: Content::Stream(body), _busy: None }
    }

    /// What an application answers.
    pub(crate) fn other<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let body = body.map_err(Into::into).boxed_unsync();
        Self { content: Content::Other(body), _busy: None }
    }

    /// Keeps the connection busy until this is sent.
    pub(crate) fn holding(self, busy: Busy) -> Self {
        Self { _busy: Some(busy), ..self }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Stream(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Content::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
            Content::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(body) => body.size_hint(),
            Content::Other(body) => body.size_hint(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// A response with a body that is there already.
pub(crate) fn whole(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response {
    let mut response = http::Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON answer that nobody keeps.
pub(crate) fn json(body: impl Into<Bytes>) -> Response {
    let mut response = whole(StatusCode::OK, "application/json", body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Body::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Methods as a header value.
pub(crate) fn list(methods: &[Method]) -> HeaderValue {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).expect("methods are tokens")
}

/// The headers of every event stream.
pub(crate) fn stream_headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, value) in [
        (header::CONTENT_TYPE, EVENT_STREAM),
        // A proxy that compresses would hold events back.
        (header::CACHE_CONTROL, "no-cache, no-transform"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // nginx gathers responses unless it is told not to.
    headers.insert(
        header::HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    headers
}

/// The media type of event streams.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";

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
