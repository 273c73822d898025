//! A response body that a shard feeds.
//!
//! There is a small buffer between the two. The shard fills it, and gets a message when it was full
//! and the HTTP library has emptied it. So a body looks to the shard like a socket with a small
//! send buffer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Frame;
use tidings_hub::{CloseReason, Farewell, SubscriberId};

use super::LastBytes;
use crate::limits::BODY_BYTES_MAX;

/// Messages from a body to the worker whose shard feeds it.
pub(crate) trait BodyEvents: Send + Sync {
    /// There is room again, after the shard had more bytes than fitted.
    fn writable(&self, id: SubscriberId);

    /// The body was dropped.
    fn closed(&self, id: SubscriberId, reason: CloseReason);
}

/// The shard's end.
pub(crate) struct BodyPipe(Arc<Shared>);

/// The response body of one subscriber. Dropping it closes the subscription.
pub struct SubscriberBody(Arc<Shared>);

struct Shared {
    events: Arc<dyn BodyEvents>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Set once the shard knows the subscriber.
    id: Option<SubscriberId>,
    /// The shard has bytes for it to begin with, which have not come yet.
    awaits_first: bool,
    buffer: Vec<u8>,
    /// Whether the shard had more bytes than fitted.
    full: bool,
    /// Whether the shard has finished the stream.
    finished: bool,
    /// The stream is cut: its client should come back.
    broken: bool,
    /// The last poll gave bytes that the HTTP library may not have written yet.
    unflushed: bool,
    /// The same for the bytes before a cut, if they were given.
    last: Option<LastBytes>,
    /// The body was dropped.
    dropped: bool,
    waker: Option<Waker>,
}

impl BodyPipe {
    /// Both ends of a body whose shard is reached by `events`.
    /// `has_first` says whether the shard will begin with bytes of the subscriber's own.
    pub(crate) fn new(events: Arc<dyn BodyEvents>, has_first: bool) -> (Self, SubscriberBody) {
        let state = Mutex::new(State { awaits_first: has_first, ..State::default() });
        let shared = Arc::new(Shared { events, state });
        (Self(Arc::clone(&shared)), SubscriberBody(shared))
    }

    /// The shard knows the subscriber as `id`, and it is counted. Fails if the body is gone
    /// already.
    pub(crate) fn attached(&self, id: SubscriberId) -> Result<(), CloseReason> {
        let mut state = self.0.lock();
        state.id = Some(id);
        if state.dropped {
            return Err(CloseReason::PeerClosed);
        }
        wake(state);
        Ok(())
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, CloseReason> {
        let mut state = self.0.lock();
        if state.dropped {
            return Err(CloseReason::PeerClosed);
        }
        state.awaits_first = false;
        let taken = bytes.len().min(BODY_BYTES_MAX - state.buffer.len());
        state.buffer.extend_from_slice(&bytes[..taken]);
        state.full = taken < bytes.len();
        wake(state);
        Ok(taken)
    }

    pub(crate) fn finish(self, farewell: Option<&Farewell>) {
        // Without one it breaks off, as a pipe does that is dropped.
        let Some(farewell) = farewell else { return };
        let mut state = self.0.lock();
        state.buffer.extend_from_slice(&farewell.bytes);
        state.finished = true;
        state.broken = !farewell.is_end;
        wake(state);
    }
}

impl Drop for BodyPipe {
    /// Cuts an unfinished stream short, so that no reader waits for a shard that is gone.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.finished {
            state.finished = true;
            state.broken = true;
            wake(state);
        }
    }
}

impl SubscriberBody {
    /// Waits until the subscriber is attached to its shard and its first bytes are here, so that
    /// they leave with the head of the response, or until they never will.
    pub(crate) async fn attached(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock();
            if state.id.is_some() && !state.awaits_first || state.finished {
                return Poll::Ready(());
            }
            state.wake_later(cx);
            Poll::Pending
        })
        .await;
    }
}

impl http_body::Body for SubscriberBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let mut state = self.0.lock();
        if !state.buffer.is_empty() {
            let mut bytes = Bytes::from(std::mem::take(&mut state.buffer));
            if state.broken {
                let (held, last) = LastBytes::new(bytes);
                (bytes, state.last) = (held, Some(last));
            }
            let writable = std::mem::take(&mut state.full).then_some(state.id).flatten();
            state.unflushed = true;
            drop(state);
            if let Some(id) = writable {
                self.0.events.writable(id);
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if state.last.as_ref().is_some_and(|last| last.poll_written(cx).is_pending()) {
            return Poll::Pending;
        }
        // What it has encoded it may still have to write.
        if std::mem::take(&mut state.unflushed) && state.broken {
            drop(state);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if state.finished {
            return Poll::Ready(std::mem::take(&mut state.broken).then_some(Err(BrokenOff)));
        }
        state.wake_later(cx);
        Poll::Pending
    }
}

impl Drop for SubscriberBody {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.dropped = true;
        let gone = if state.finished { None } else { state.id };
        drop(state);
        if let Some(id) = gone {
            self.0.events.closed(id, CloseReason::PeerClosed);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_later(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }
}

/// The stream was cut, in the middle of an event or between two: the connection must not look as if
/// every topic of the stream had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenOff;

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the event stream was cut")
    }
}

impl std::error::Error for BrokenOff {}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl std::fmt::Debug for SubscriberBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubscriberBody").finish_non_exhaustive()
    }
}
