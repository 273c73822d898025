//! The part of the room for bodies that is taken by a body that is published as it arrives.
//!
//! It grows and shrinks with what is in memory: an unfinished event, and events on their way into
//! the store. So an idle stream takes nothing, and an event that is begun and not completed, which
//! holds its part for nothing, must arrive as fast as a body that is read whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use crate::limits::{BODY_RATE_MIN, STREAM_BYTES_FREE};
use crate::problem::Problem;
use crate::whole_body::{BodyRoom, no_room, too_slow};

/// The room that one stream of events takes.
pub struct StreamRoom {
    room: Arc<Semaphore>,
    pause_max: Duration,
    held: Option<OwnedSemaphorePermit>,
    waiting: Option<Waiting>,
    unfinished: Option<Unfinished>,
}

/// A wait for more room than there is.
struct Waiting {
    bytes: usize,
    permit: Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>,
    end: Pin<Box<Sleep>>,
}

/// A large event that is not complete.
struct Unfinished {
    number: u64,
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl StreamRoom {
    /// Takes none of `room` yet.
    pub fn new(room: &BodyRoom) -> Self {
        Self {
            room: Arc::clone(room.bytes()),
            pause_max: room.pause_max(),
            held: None,
            waiting: None,
            unfinished: None,
        }
    }

    /// Gives back what is not needed for `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        let surplus = self.held().saturating_sub(counted(bytes));
        if surplus > 0 {
            drop(self.held.as_mut().and_then(|held| held.split(surplus)));
        }
    }

    /// Takes enough for `bytes`; pending while there is no room, and nothing more should be read
    /// until then.
    ///
    /// # Errors
    ///
    /// A 503 if there was none for as long as a body may pause.
    pub fn poll_grow(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<Result<(), Problem>> {
        let more = counted(bytes).saturating_sub(self.held());
        let Ok(permits) = u32::try_from(more) else { return Poll::Ready(Err(no_room())) };
        if more == 0 {
            self.waiting = None;
            return Poll::Ready(Ok(()));
        }
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(permits) {
            self.keep(permit);
            return Poll::Ready(Ok(()));
        }
        let acquire = || Box::pin(Arc::clone(&self.room).acquire_many_owned(permits));
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            bytes: more,
            permit: acquire(),
            end: Box::pin(tokio::time::sleep(self.pause_max)),
        });
        // Batches were stored in the meantime: less is needed.
        if waiting.bytes != more {
            waiting.bytes = more;
            waiting.permit = acquire();
        }
        if let Poll::Ready(permit) = waiting.permit.as_mut().poll(cx) {
            return Poll::Ready(match permit {
                Ok(permit) => {
                    self.keep(permit);
                    Ok(())
                }
                Err(_) => Err(no_room()),
            });
        }
        waiting.end.as_mut().poll(cx).map(|()| Err(no_room()))
    }

    /// Ready if event `number`, of which `bytes` have arrived, is not completed fast enough.
    pub fn poll_too_slow(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        bytes: usize,
    ) -> Poll<Problem> {
        if bytes <= STREAM_BYTES_FREE {
            self.unfinished = None;
            return Poll::Pending;
        }
        let is_another = self.unfinished.as_ref().is_some_and(|begun| begun.number != number);
        if is_another {
            self.unfinished = None;
        }
        let unfinished = self.unfinished.get_or_insert_with(|| Unfinished {
            number,
            since: Instant::now(),
            end: Box::pin(tokio::time::sleep(self.pause_max)),
        });
        let earned = Duration::from_secs_f64(bytes as f64 / BODY_RATE_MIN as f64);
        unfinished.end.as_mut().reset(unfinished.since + self.pause_max + earned);
        unfinished.end.as_mut().poll(cx).map(|()| too_slow())
    }

    /// The publisher cannot send more, so the time is not charged to it.
    pub fn forgive(&mut self) {
        self.unfinished = None;
    }

    fn keep(&mut self, permit: OwnedSemaphorePermit) {
        self.waiting = None;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
    }

    fn held(&self) -> usize {
        self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// The part of `bytes` that counts.
fn counted(bytes: usize) -> usize {
    bytes.saturating_sub(STREAM_BYTES_FREE)
}
