//! Bodies that are read whole before they are used: at a minimum rate, and within the room that all
//! of them share.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::body::{self, RequestBody};
use crate::error::BoxError;
use crate::limits::{BODIES_BYTES_MAX, BODY_RATE_MIN};
use crate::problem::{Code, Problem};

/// A body that was read whole. It takes up its room until it is dropped, so it must live until
/// whatever was made of it is handed over.
#[derive(Debug)]
pub struct WholeBody {
    bytes: Bytes,
    _room: Held,
}

impl WholeBody {
    /// Reads a body of at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// A 413 if it is longer (before any of it is read, if its announced length says so), a 408 if
    /// it pauses for too long or arrives too slowly, a 400 if it is incomplete, a 503 if there is
    /// no room for it in time.
    pub async fn read(
        room: &BodyRoom,
        mut body: RequestBody,
        bytes_max: usize,
    ) -> Result<Self, Problem> {
        let announced = body.size_hint().lower();
        if announced > bytes_max as u64 {
            return Err(body::too_large(bytes_max));
        }
        let announced = announced as usize;
        let mut pace = Pace::begin(room.pause_max);
        let mut held = Held::default();
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        // A body whose length is known ends with its last byte, without another look at it.
        while !body.is_end_stream()
            && let Some(chunk) = pace.next_chunk(&mut body).await?
        {
            let length = first.len() + whole.len() + chunk.len();
            if length > bytes_max {
                return Err(body::too_large(bytes_max));
            }
            if length > held.bytes {
                // All of it at once if its length is known: bodies that each hold a part of the
                // room would wait for one another.
                let wanted = (2 * held.bytes).min(bytes_max).max(announced).max(length);
                held.grow(room, wanted, &mut pace).await?;
            }
            // The usual body is one chunk, which need not be copied.
            if first.is_empty() && whole.is_empty() {
                first = chunk;
                continue;
            }
            if whole.is_empty() {
                whole.reserve(announced.max(length));
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&chunk);
        }
        let bytes = if whole.is_empty() { first } else { whole.freeze() };
        Ok(Self { bytes, _room: held })
    }
}

impl Deref for WholeBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Room for all whole bodies, and for what streams of events hold, at once.
#[derive(Debug)]
pub struct BodyRoom {
    bytes: Arc<Semaphore>,
    pause_max: Duration,
}

impl BodyRoom {
    pub(crate) fn new(event_bytes_max: usize, pause_max: Duration) -> Self {
        // The longest body is a form, in which a byte can become three.
        let longest = event_bytes_max.saturating_mul(4);
        let bytes = BODIES_BYTES_MAX.max(longest).min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(bytes)), pause_max }
    }

    /// A permit for each byte.
    pub(crate) fn bytes(&self) -> &Arc<Semaphore> {
        &self.bytes
    }

    /// Time that a body may pause, and wait for room.
    pub(crate) fn pause_max(&self) -> Duration {
        self.pause_max
    }
}

/// The part of the room that one body holds.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Makes it `bytes`, waiting for them if necessary; meanwhile the body is not read.
    async fn grow(
        &mut self,
        room: &BodyRoom,
        bytes: usize,
        pace: &mut Pace,
    ) -> Result<(), Problem> {
        let more = u32::try_from(bytes - self.bytes).map_err(|_| no_room())?;
        let permit = match Arc::clone(&room.bytes).try_acquire_many_owned(more) {
            Ok(permit) => permit,
            Err(_) => {
                let permit = Arc::clone(&room.bytes).acquire_many_owned(more);
                Box::pin(pace.wait_for(permit)).await?
            }
        };
        self.bytes = bytes;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        Ok(())
    }
}

/// How fast a body arrives, and how long it may still take.
struct Pace {
    pause_max: Duration,
    /// When it, or room for it, was first waited for.
    begun: Option<Instant>,
    received: usize,
    /// Time for which the body was not read because there was no room; not charged to the sender.
    waited: Duration,
}

impl Pace {
    fn begin(pause_max: Duration) -> Self {
        Self { pause_max, begun: None, received: 0, waited: Duration::ZERO }
    }

    /// The next part of `body` that is data.
    async fn next_chunk(&mut self, body: &mut RequestBody) -> Result<Option<Bytes>, Problem> {
        loop {
            // A short body comes with its head. Then there is nothing to wait for: no timer is set,
            // no clock is read, and the request has no room for either.
            let here = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
            let frame = match here {
                Poll::Ready(frame) => frame,
                Poll::Pending => Box::pin(self.wait_for_frame(body)).await?,
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(body::broken(&*error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.received += data.len();
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Waits for the next frame, data or not, as long as it may take.
    async fn wait_for_frame(
        &mut self,
        body: &mut RequestBody,
    ) -> Result<Option<Result<Frame<Bytes>, BoxError>>, Problem> {
        let now = Instant::now();
        let begun = *self.begun.get_or_insert(now);
        let pause_end = now + self.pause_max;
        let earned = Duration::from_secs_f64(self.received as f64 / BODY_RATE_MIN as f64);
        let end = begun + self.waited + self.pause_max + earned;
        let frame = tokio::time::timeout_at(pause_end.min(end), body.frame()).await;
        frame.map_err(|_| match pause_end <= end {
            true => body::timed_out(self.pause_max),
            false => too_slow(),
        })
    }

    /// Waits for room, in total as long as the body itself may pause.
    async fn wait_for<T, E>(
        &mut self,
        room: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem> {
        let since = Instant::now();
        self.begun.get_or_insert(since);
        let left = self.pause_max.saturating_sub(self.waited);
        let permit = tokio::time::timeout(left, room).await;
        self.waited += since.elapsed();
        permit.ok().and_then(Result::ok).ok_or_else(no_room)
    }
}

pub(crate) fn too_slow() -> Problem {
    let detail = format!("send the body faster than {BODY_RATE_MIN} bytes a second");
    Problem::new(Code::RequestTimeout, detail)
}

pub(crate) fn no_room() -> Problem {
    Problem::new(Code::TooManyBodies, "send it again in a moment")
}
