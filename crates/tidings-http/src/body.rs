//! Bodies of requests.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::{self, HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use crate::error::BoxError;
use crate::headers;
use crate::http2_body::{Leftover, Unfinished};
use crate::problem::{Code, Problem};

/// The body of a request: whole, from the HTTP library, or one that an application passes on.
#[derive(Debug)]
pub struct RequestBody(Kind);

#[derive(Debug)]
enum Kind {
    /// In one piece; empty once it is taken.
    Whole(Bytes),
    Http1(Incoming),
    Http2(Unfinished),
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

impl RequestBody {
    pub(crate) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Kind::Other(body.map_err(Into::into).boxed_unsync()))
    }

    /// A body that has come whole.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    /// The body of a request that the HTTP library has read. Over HTTP/2, what is not read of it
    /// goes to what is returned as well.
    pub(crate) fn received(body: Incoming, version: Version) -> (Self, Option<Leftover>) {
        if version != Version::HTTP_2 || body.is_end_stream() {
            return (Self(Kind::Http1(body)), None);
        }
        let (body, leftover) = Unfinished::new(body);
        (Self(Kind::Http2(body)), Some(leftover))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Http1(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Kind::Http2(body) => body.poll_frame(cx),
            Kind::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Http1(body) => body.is_end_stream(),
            Kind::Http2(body) => body.is_end_stream(),
            Kind::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Http1(body) => body.size_hint(),
            Kind::Http2(body) => body.size_hint(),
            Kind::Other(body) => body.size_hint(),
        }
    }
}

/// The announced length of the body.
pub fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers::first(headers, header::CONTENT_LENGTH)?.parse().ok()
}

/// The media type of the body in lower case, without parameters; empty if none is given.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers::first(headers, header::CONTENT_TYPE).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or("");
    essence.trim().to_ascii_lowercase()
}

/// Checks that the body is not compressed: a payload that cannot be read must not be stored.
///
/// # Errors
///
/// A 415 that names the accepted coding (RFC 9110 §15.5.16).
pub fn check_coding(headers: &HeaderMap, body: &RequestBody) -> Result<(), Problem> {
    let is_coded = |coding: &str| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity");
    if !headers::any_member(headers, header::CONTENT_ENCODING, is_coded) || body.is_end_stream() {
        return Ok(());
    }
    let detail = "send the body uncompressed, without `Content-Encoding`";
    Err(Problem::new(Code::UnsupportedMediaType, detail)
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

/// The problem for an event that is longer than `bytes_max`.
pub fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::EventTooLarge, format!("send at most {bytes_max} bytes as one event"))
        .with("bytes_max", bytes_max)
}

/// The problem of a body that paused for longer than `pause_max`.
pub fn timed_out(pause_max: Duration) -> Problem {
    Problem::new(
        Code::RequestTimeout,
        format!("send the body without a pause of more than {} s", pause_max.as_secs_f32()),
    )
}

/// The problem for a body that broke off. The cause is logged.
pub fn broken(error: &(dyn Error + Send + Sync)) -> Problem {
    tracing::debug!(%error, "request body broke off");
    Problem::new(Code::TruncatedBody, "send the whole body again")
}
