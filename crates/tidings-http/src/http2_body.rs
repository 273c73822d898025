//! Bodies of HTTP/2 requests: how they end, and what becomes of the rest of one that was answered
//! before its end.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::error::BoxError;

/// The body of a request of which more may come. Dropped before its end, it goes to its
/// [`Leftover`].
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// Always there until it is dropped.
    body: Option<Incoming>,
    rest: Arc<Mutex<Option<Incoming>>>,
}

impl Unfinished {
    pub(crate) fn new(body: Incoming) -> (Self, Leftover) {
        let rest = Arc::default();
        (Self { body: Some(body), rest: Arc::clone(&rest) }, Leftover(rest))
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
            // The library shows a stream that its client has cancelled as one that ended well.
            None if !body.is_end_stream() => Poll::Ready(Some(Err(Cancelled.into()))),
            frame => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, |body| body.size_hint())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

/// Where the rest of a body goes that nobody reads.
///
/// The library resets a stream (`NO_ERROR`) as soon as it is answered and its body is dropped. Some
/// clients take an answer for broken if the reset comes with it (curl 7.88), though the body may be
/// over in a moment; so the rest of it is read and thrown away for a while, as over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Leftover(Arc<Mutex<Option<Incoming>>>);

impl Leftover {
    /// The request is answered: reads the rest of its body for at most `time`, then resets the
    /// stream.
    pub(crate) fn read_on_for(self, time: Duration) {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut rest) = rest {
            tokio::spawn(async move {
                let _ =
                    timeout(time, async { while let Some(Ok(_)) = rest.frame().await {} }).await;
            });
        }
    }
}

/// An HTTP/2 stream was reset before its end.
#[derive(Debug)]
struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client has cancelled the request")
    }
}

impl Error for Cancelled {}
