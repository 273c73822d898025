//! `PublishStream`: publishes an endless stream in little memory.
//!
//! The hub answers a request once, at its end. If the whole stream were one request, all of it
//! would have to be kept for a retry. So it is cut into *segments*, each a separate request. The
//! lines of a segment are kept until its answer arrives. If the request fails before that, a new
//! one begins with all of them; the hub recognises the events it already has by their ids.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tidings_codec::Event;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};

use super::answer::{Answer, Summary};
use super::error::PublishError;
use super::exchange::{Failure, Replay, Tries, exchange};
use super::keyed::Keyed;
use super::line;
use crate::limits::{
    PUBLISH_PIECE_BYTES, PUBLISH_PIECES_WAITING_MAX, PUBLISH_SEGMENT_BYTES_MAX,
    PUBLISH_SEGMENT_EVENTS_MAX, PUBLISH_SEGMENT_PAUSE_MAX,
};
use crate::{Body, Publisher, TransportError};

/// A stream of events being published, in the order they are given. Made by [`Publisher::stream`].
///
/// Events are sent at once, but they are known to be stored only when [`flush`](Self::flush) or
/// [`finish`](Self::finish) has returned. Dropping the stream aborts the current request; its
/// events may or may not be published.
///
/// After an error every further call returns [`PublishError::AlreadyFailed`].
///
/// # Cancel safety
///
/// [`send`](Self::send) and [`flush`](Self::flush) may be dropped at any moment, as a timeout or a
/// `select!` does: the stream keeps what it had, and the next call continues where the dropped one
/// was. [`finish`](Self::finish) owns the stream, so dropping it drops the stream too.
#[must_use = "events are known to be stored only when the stream is finished"]
pub struct PublishStream {
    publisher: Publisher,
    segment: Segment,
    phase: Phase,
    stored: Summary,
}

/// The state of the current segment. Everything that takes time is held here and not in the future
/// of a call, so that a future can be dropped.
enum Phase {
    /// There is no request; the next one begins with the whole segment.
    Idle,
    /// A request whose body is being written.
    Writing { pieces: mpsc::Sender<Bytes>, answer: AbortOnDrop },
    /// A request whose body has ended, and the deadline of its answer.
    Answering { answer: AbortOnDrop, deadline: Instant },
    /// A request has failed; the next one may begin at `until`.
    Waiting { until: Instant },
    /// A request has failed for good.
    Failed,
}

/// The lines since the last answer.
struct Segment {
    lines: Vec<u8>,
    events: usize,
    /// Bytes of `lines` that have gone into the request, and the number of events in them.
    given: usize,
    events_given: usize,
    replay: Replay,
    tries: Tries,
}

impl PublishStream {
    pub(super) fn new(publisher: Publisher) -> Self {
        let segment = Segment::new(&publisher);
        Self { publisher, segment, phase: Phase::Idle, stored: Summary::default() }
    }

    /// How long history keeps the events that are sent from now on, as
    /// [`with_ttl`](Publisher::with_ttl) says; `None`: as long as any other.
    pub fn set_ttl(&mut self, ttl: Option<Duration>) {
        self.publisher.terms.ttl = ttl;
    }

    /// The key that the events that are sent from now on belong to, as
    /// [`keyed`](Publisher::keyed) and [`appending`](Publisher::appending) say; `None`: none.
    pub fn set_keyed(&mut self, keyed: Option<Keyed>) {
        self.publisher.terms.keyed = keyed;
    }

    /// Sends one event. Waits only for room: for the network, and from time to time for an answer.
    ///
    /// Cancel-safe: if the future is dropped before it has returned, the event was not taken.
    ///
    /// # Errors
    ///
    /// [`PublishError`] about earlier events. This one is then not taken.
    pub async fn send(&mut self, topic: &str, event: &Event) -> Result<(), PublishError> {
        while !self.has_room() {
            self.advance().await?;
        }
        // From here on nothing waits: either all of this happens, or nothing.
        let assigned = self.publisher.id_for(event);
        let id = assigned.as_ref().or(event.id.as_ref());
        self.segment.replay = self.segment.replay.and(Replay::if_named(id.is_some()));
        line::append(&mut self.segment.lines, topic, event, id, &self.publisher.terms);
        self.segment.events += 1;
        if let Phase::Writing { pieces, .. } = &self.phase
            && let Ok(permit) = pieces.try_reserve()
        {
            permit.send(self.segment.give_all());
        }
        Ok(())
    }

    /// Waits until everything sent so far is stored.
    ///
    /// Cancel-safe: if the future is dropped, the request continues, and a later call waits for it.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub async fn flush(&mut self) -> Result<(), PublishError> {
        while self.segment.events > 0 {
            self.advance().await?;
        }
        Ok(())
    }

    /// Ends the stream: waits until everything is stored.
    ///
    /// Not cancel-safe: dropping the future drops the stream, and with it the current request. To
    /// wait for a limited time, put the limit around [`flush`](Self::flush), and finish after it.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub async fn finish(mut self) -> Result<Summary, PublishError> {
        self.flush().await?;
        Ok(self.stored)
    }

    /// Whether one more event can be taken without waiting.
    fn has_room(&self) -> bool {
        let Phase::Writing { pieces, .. } = &self.phase else { return false };
        let is_busy = pieces.capacity() == 0;
        let is_open = !pieces.is_closed() && !self.segment.is_full();
        // While the network is busy, small lines are collected into one piece.
        is_open && (!is_busy || self.segment.waiting_bytes() < PUBLISH_PIECE_BYTES)
    }

    /// Takes one step towards everything being stored.
    async fn advance(&mut self) -> Result<(), PublishError> {
        match &mut self.phase {
            Phase::Idle => self.phase = Phase::begin(&self.publisher, &self.segment.tries),
            Phase::Writing { pieces, .. } => {
                if self.segment.waiting_bytes() > 0
                    && let Ok(permit) = pieces.reserve().await
                {
                    permit.send(self.segment.give_all());
                    return Ok(());
                }
                // Everything has been sent, or the body is no longer read, after a pause or a
                // failure.
                self.end_request();
            }
            Phase::Answering { answer, deadline } => {
                let outcome = timeout_at(*deadline, answer.outcome()).await;
                let wait_max = self.publisher.inner.answer_wait_max;
                let outcome = outcome.unwrap_or_else(|_| Err(Failure::silence(wait_max)));
                self.phase = match self.conclude(outcome) {
                    Ok(next) => next,
                    Err(error) => {
                        self.phase = Phase::Failed;
                        return Err(error);
                    }
                };
            }
            Phase::Waiting { until } => {
                sleep_until(*until).await;
                self.phase = Phase::Idle;
            }
            Phase::Failed => return Err(PublishError::AlreadyFailed),
        }
        Ok(())
    }

    /// Ends the body of the request, so that its answer comes.
    fn end_request(&mut self) {
        if let Phase::Writing { answer, .. } = std::mem::replace(&mut self.phase, Phase::Idle) {
            let deadline = Instant::now() + self.publisher.inner.answer_wait_max;
            self.phase = Phase::Answering { answer, deadline };
        }
    }

    /// Handles the outcome of a request.
    fn conclude(&mut self, outcome: Result<Answer, Failure>) -> Result<Phase, PublishError> {
        let failure = match outcome {
            Ok(answer) => {
                self.stored.extend(answer.summary(self.segment.events_given)?);
                self.segment.forget_given(&self.publisher);
                return Ok(Phase::Idle);
            }
            Err(failure) => failure,
        };
        let wait = self.segment.tries.wait(failure, self.segment.replay.of_several())?;
        self.segment.given = 0;
        self.segment.events_given = 0;
        Ok(Phase::Waiting { until: Instant::now() + wait })
    }
}

impl Segment {
    fn new(publisher: &Publisher) -> Self {
        Self {
            lines: Vec::new(),
            events: 0,
            given: 0,
            events_given: 0,
            replay: Replay::Safe,
            tries: Tries::new(publisher.inner.retries_max),
        }
    }

    fn is_full(&self) -> bool {
        self.events >= PUBLISH_SEGMENT_EVENTS_MAX || self.lines.len() >= PUBLISH_SEGMENT_BYTES_MAX
    }

    /// Number of bytes that have not gone into the request yet.
    fn waiting_bytes(&self) -> usize {
        self.lines.len() - self.given
    }

    /// All bytes that have not gone into the request yet, and counts them as sent.
    fn give_all(&mut self) -> Bytes {
        let piece = Bytes::copy_from_slice(&self.lines[self.given..]);
        self.given = self.lines.len();
        self.events_given = self.events;
        piece
    }

    /// Drops the lines that are stored.
    fn forget_given(&mut self, publisher: &Publisher) {
        let mut rest = Self::new(publisher);
        rest.lines = self.lines.split_off(self.given);
        rest.events = self.events - self.events_given;
        if rest.events > 0 {
            rest.replay = self.replay;
        }
        *self = rest;
    }
}

impl Phase {
    /// Begins a request in a separate task, so that it makes progress whatever the caller does.
    fn begin(publisher: &Publisher, tries: &Tries) -> Self {
        let (pieces, receiver) = mpsc::channel(PUBLISH_PIECES_WAITING_MAX);
        let request = publisher.lines_request(Body::stream(Pieces::new(receiver)));
        let request = tries.direct(request);
        let transport = publisher.inner.transport.clone();
        let task = tokio::spawn(async move { exchange(&*transport, request).await });
        Self::Writing { pieces, answer: AbortOnDrop(task) }
    }
}

/// A request in a task of its own, which ends with this.
pub(super) struct AbortOnDrop(pub(super) JoinHandle<Result<Answer, Failure>>);

impl AbortOnDrop {
    /// Cancel-safe; must not be called again once it has returned.
    pub(super) async fn outcome(&mut self) -> Result<Answer, Failure> {
        match (&mut self.0).await {
            Ok(outcome) => outcome,
            Err(error) => Err(Failure::network(TransportError::exchange(error))),
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The receiving end of a channel as a request body, which ends after a pause.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    pause: Pin<Box<Sleep>>,
}

impl Pieces {
    fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self { receiver, pause: Box::pin(sleep(PUBLISH_SEGMENT_PAUSE_MAX)) }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        loop {
            if let Poll::Ready(piece) = self.receiver.poll_recv(cx) {
                let until = Instant::now() + PUBLISH_SEGMENT_PAUSE_MAX;
                self.pause.as_mut().reset(until);
                return Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))));
            }
            ready!(self.pause.as_mut().poll(cx));
            // Pieces already in the channel still come out; after that, none can be added.
            self.receiver.close();
        }
    }
}
