//! The body of a response: complete, fed by a shard, or from an application.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tidings_engine::{BrokenOff, LastBytes, SubscriberBody};

use crate::activity::Busy;
use crate::error::BoxError;

/// A response as the HTTP library sends it.
pub type Response = http::Response<Body>;

/// The body of a response of the hub.
pub struct Body {
    content: Content,
    /// Marks the connection as busy until the body is dropped.
    _busy: Option<Busy>,
}

enum Content {
    Whole(Bytes),
    Cut(Cut),
    Stream(SubscriberBody),
    /// From an application.
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// A complete body.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(bytes.into()), _busy: None }
    }

    /// A body that ends in an error after these bytes, so that the connection is cut.
    pub fn cut(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Cut(Cut::Begun(bytes.into())), _busy: None }
    }

    /// A stream that a shard feeds.
    pub(crate) fn stream(body: SubscriberBody) -> Self {
        Self { content: Content::Stream(body), _busy: None }
    }

    /// The body of an application's response.
    pub(crate) fn other<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let body = body.map_err(Into::into).boxed_unsync();
        Self { content: Content::Other(body), _busy: None }
    }

    /// Its bytes, if it is complete.
    pub(crate) fn as_whole(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Whole(bytes) => Some(bytes),
            Content::Cut(_) | Content::Stream(_) | Content::Other(_) => None,
        }
    }

    /// Keeps the connection busy until the body is sent.
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
            Content::Cut(cut) => cut.poll_frame(cx),
            Content::Stream(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Content::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Cut(_) => false,
            Content::Stream(body) => body.is_end_stream(),
            Content::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Cut(_) => SizeHint::default(),
            Content::Stream(body) => body.size_hint(),
            Content::Other(body) => body.size_hint(),
        }
    }
}

/// The states of a body that is cut.
enum Cut {
    /// These bytes come before the cut.
    Begun(Bytes),
    /// They are yet to be written.
    Writing(LastBytes),
    /// The next poll is the error.
    Done,
}

impl Cut {
    fn poll_frame(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match std::mem::replace(self, Self::Done) {
            Self::Begun(bytes) => {
                let (bytes, last) = LastBytes::new(bytes);
                *self = Self::Writing(last);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Writing(last) => {
                match last.poll_written(cx) {
                    // Over HTTP/1.1 they may only be encoded: one more poll writes them.
                    Poll::Ready(()) => cx.waker().wake_by_ref(),
                    Poll::Pending => *self = Self::Writing(last),
                }
                Poll::Pending
            }
            Self::Done => Poll::Ready(Some(Err(BrokenOff.into()))),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
