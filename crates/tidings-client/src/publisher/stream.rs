//! `PublishStream`: publish without end, in little memory.
//!
//! The hub answers a request once, at its end. Were the whole stream one request, all of it would
//! have to be kept in case it must be sent again. So it is cut into *segments*, each a request of
//! its own. The lines of a segment are kept until its answer is there. If the request fails before
//! that, a new one begins with all of them; the hub knows the events it has already by their ids.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use tidings_codec::Event;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::answer::{Answer, Summary};
use super::error::PublishError;
use super::exchange::{Failure, Replay, Tries, exchange};
use super::line;
use crate::limits::{
    PUBLISH_PIECE_BYTES, PUBLISH_PIECES_WAITING_MAX, PUBLISH_SEGMENT_BYTES_MAX,
    PUBLISH_SEGMENT_EVENTS_MAX, PUBLISH_SEGMENT_PAUSE_MAX,
};
use crate::{Body, Publisher, TransportError};

/// A stream of events being published, in the order they are given. Made by [`Publisher::stream`].
///
/// Events are on their way at once, but they are known to be stored only when
/// [`flush`](Self::flush) or [`finish`](Self::finish) has returned. Dropping the stream breaks off
/// the request under way; what it carried may or may not be published.
///
/// After an error the stream is of no more use.
#[must_use = "events are known to be stored only when the stream is finished"]
pub struct PublishStream {
    publisher: Publisher,
    segment: Segment,
    request: Option<Streaming>,
    stored: Summary,
}

/// The lines since the last answer.
struct Segment {
    lines: Vec<u8>,
    events: usize,
    /// How many bytes of `lines` have gone into the request, and how many events that is.
    given: usize,
    events_given: usize,
    replay: Replay,
    tries: Tries,
}

/// A request whose body is still being written.
struct Streaming {
    pieces: mpsc::Sender<Bytes>,
    answer: AbortOnDrop,
}

impl PublishStream {
    pub(super) fn new(publisher: Publisher) -> Self {
        let segment = Segment::new(&publisher);
        Self { publisher, segment, request: None, stored: Summary::default() }
    }

    /// Gives one event. Waits only for the network, and every so often for an answer.
    ///
    /// # Errors
    ///
    /// [`PublishError`], also for events given earlier.
    pub async fn send(&mut self, topic: &str, event: &Event) -> Result<(), PublishError> {
        let assigned = self.publisher.id_for(event);
        let id = assigned.as_ref().or(event.id.as_ref());
        self.segment.replay = self.segment.replay.and(Replay::if_named(id.is_some()));
        line::append(&mut self.segment.lines, topic, event, id);
        self.segment.events += 1;
        self.give(false).await?;
        if self.segment.is_full() {
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits until everything given so far is stored.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub async fn flush(&mut self) -> Result<(), PublishError> {
        if self.segment.events == 0 {
            return Ok(());
        }
        loop {
            self.give(true).await?;
            let Some(Streaming { pieces, answer }) = self.request.take() else {
                unreachable!("give() has begun one");
            };
            drop(pieces);
            let wait_max = self.publisher.0.answer_wait_max;
            let failure = match timeout(wait_max, answer.outcome()).await {
                Ok(Ok(answer)) => return self.settle(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::silence(wait_max),
            };
            self.begin_again(failure).await?;
        }
    }

    /// Ends the stream: waits until everything is stored.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub async fn finish(mut self) -> Result<Summary, PublishError> {
        self.flush().await?;
        Ok(self.stored)
    }

    /// Puts lines into the request. Not those that are few, when the network is busy with others,
    /// unless it shall be `all`.
    async fn give(&mut self, all: bool) -> Result<(), PublishError> {
        while self.segment.given < self.segment.lines.len() {
            let request = match &self.request {
                Some(request) => request,
                None => self.request.insert(Streaming::begin(&self.publisher)),
            };
            let waiting = self.segment.lines.len() - self.segment.given;
            let is_busy = request.pieces.capacity() == 0 && !request.pieces.is_closed();
            if is_busy && !all && waiting < PUBLISH_PIECE_BYTES {
                return Ok(());
            }
            let piece = Bytes::copy_from_slice(&self.segment.lines[self.segment.given..]);
            if request.pieces.send(piece).await.is_ok() {
                self.segment.given = self.segment.lines.len();
                self.segment.events_given = self.segment.events;
                continue;
            }
            // Nobody reads the body any more: after a pause, or there is trouble.
            let Some(request) = self.request.take() else {
                unreachable!("it was there a moment ago");
            };
            match request.answer.outcome().await {
                Ok(answer) => self.settle(answer)?,
                Err(failure) => self.begin_again(failure).await?,
            }
        }
        Ok(())
    }

    /// What was given is stored: it can be forgotten.
    fn settle(&mut self, answer: Answer) -> Result<(), PublishError> {
        self.stored.extend(answer.summary(self.segment.events_given)?);
        let mut rest = Segment::new(&self.publisher);
        rest.lines = self.segment.lines.split_off(self.segment.given);
        rest.events = self.segment.events - self.segment.events_given;
        if rest.events > 0 {
            rest.replay = self.segment.replay;
        }
        self.segment = rest;
        Ok(())
    }

    async fn begin_again(&mut self, failure: Failure) -> Result<(), PublishError> {
        self.request = None;
        let replay = self.segment.replay.of_several();
        self.segment.tries.wait(failure, replay).await?;
        self.segment.given = 0;
        self.segment.events_given = 0;
        Ok(())
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
            tries: Tries::new(publisher.0.retries_max),
        }
    }

    fn is_full(&self) -> bool {
        self.events >= PUBLISH_SEGMENT_EVENTS_MAX || self.lines.len() >= PUBLISH_SEGMENT_BYTES_MAX
    }
}

impl Streaming {
    /// Begins a request, in a task of its own: it makes progress whatever the caller does
    /// meanwhile.
    fn begin(publisher: &Publisher) -> Self {
        let (pieces, receiver) = mpsc::channel(PUBLISH_PIECES_WAITING_MAX);
        let request = publisher.lines_request(Body::stream(Pieces::new(receiver)));
        let transport = publisher.0.transport.clone();
        let task = tokio::spawn(async move { exchange(&*transport, request).await });
        Self { pieces, answer: AbortOnDrop(task) }
    }
}

struct AbortOnDrop(JoinHandle<Result<Answer, Failure>>);

impl AbortOnDrop {
    async fn outcome(mut self) -> Result<Answer, Failure> {
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
            // What has been put in meanwhile still comes out; after that, nothing goes in any more.
            self.receiver.close();
        }
    }
}
