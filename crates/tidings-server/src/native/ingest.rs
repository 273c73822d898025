//! A body of many events on its way into the store: the common part of batches and event streams.
//!
//! # Two ways
//!
//! *All or nothing.* A body that says it is short is read whole, every event in it is checked, and
//! then all are appended together. What is wrong with one of them keeps out all.
//!
//! *As it comes.* A long body, or one that does not say, is a stream: events are gathered as they
//! arrive and handed to the store in batches, while reading goes on. Up to a few batches are under
//! way; then the body is not read further, TCP tells the publisher to wait, and memory stays what
//! it is. What is held counts in the room for all bodies ([`StreamRoom`]). The first thing that is
//! wrong ends the stream: everything before it is published, in order, nothing after it is.
//!
//! A publisher with an allowance of events or bytes per second that sends a stream is not refused
//! when it is used up: its body is read as fast as it may come.
//!
//! # When a batch is handed over
//!
//! When it is full; and when the body has nothing more to read and no other batch is under way. So
//! a single event is not delayed, and while the store syncs one batch the next one grows, as in the
//! committer itself.
//!
//! # Why order is kept
//!
//! A batch takes its place in the committer's queue when its future is polled first, or, if that
//! queue is full, when it gets its turn at the semaphore in front of it, which is fair. We poll
//! first to last, always.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::Body;
use serde::Serialize;
use tidings_engine::{OpenWill, PublishError, PublishStream, Run, StreamError};
use tidings_http::answer::{self, Answer};
use tidings_http::auth::Caller;
use tidings_http::body::{self, RequestBody};
use tidings_http::error::BoxError;
use tidings_http::meter::Meter;
use tidings_http::problem::{Code, Problem};
use tidings_http::stage::Stage;
use tidings_http::state::State;
use tidings_http::stream_room::StreamRoom;
use tidings_http::whole_body::WholeBody;
use tidings_hub::{Appended, Draft, Kind, Topic};
use tokio::time::{Instant, Sleep};

use super::bounds::Bounds;
use super::run_terms::{self, RunTerms};
use crate::limits::{
    ATOMIC_BATCH_BYTES_MAX, INGEST_BATCH_BYTES_MAX, INGEST_BATCH_EVENTS_MAX, INGEST_BATCHES_MAX,
};
use crate::store_problem;

/// A format that events are read from.
pub(super) trait Source {
    /// Takes bytes from the front of `chunk` until an event is complete. `None` means that all of
    /// it has been taken.
    ///
    /// # Errors
    ///
    /// What is wrong, and where. The source is not asked again.
    fn next(&mut self, chunk: &mut &[u8]) -> Result<Option<Draft>, Problem>;

    /// The body has ended; what was left may be an event.
    ///
    /// # Errors
    ///
    /// As with [`next`](Self::next).
    fn finish(&mut self) -> Result<Option<Draft>, Problem>;

    /// Where the event is that was complete last.
    fn place(&self) -> Place;

    /// Bytes held of an event that is not complete.
    fn bytes_held(&self) -> usize;

    /// Frees the memory that large events have left. Called when there is nothing to be read.
    fn release(&mut self);
}

/// Where in a body an event is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// What is counted: lines or events.
    pub(super) kind: &'static str,
    /// From 1.
    pub(super) number: u64,
}

/// The answer if the store did not take one of the drafts that stand at `places`.
fn not_published(error: &PublishError, places: &[Place]) -> Problem {
    let problem = store_problem::not_published(error);
    match error {
        PublishError::IdReused { at, .. } => match places.get(*at) {
            Some(place) => problem.at(place.kind, place.number),
            None => problem,
        },
        _ => problem,
    }
}

/// How the events of a body are published.
pub(super) struct Publication<'a> {
    pub(super) state: &'a State,
    pub(super) bounds: &'a Bounds,
    pub(super) caller: &'a Caller,
    pub(super) meter: Meter<'a>,
    /// Length that the body says it has.
    pub(super) length: Option<u64>,
    /// The topic in the path.
    pub(super) topic: Option<Topic>,
    pub(super) terms: RunTerms<'a>,
    pub(super) will: Option<OpenWill>,
}

impl Publication<'_> {
    /// The stream that the events are to the engine.
    fn open(&self) -> PublishStream {
        let run = Run { topic: self.topic.clone(), begins: self.terms.begins };
        self.state.engine_for(self.caller.share()).publish_stream(run)
    }

    /// What a body that ended well adds to its events.
    fn end(&self) -> Vec<Draft> {
        let topic = self.topic.as_ref().filter(|_| self.terms.ends);
        let end = |topic: &Topic| Draft { kind: Kind::SilentEnd, ..Draft::new(topic.clone(), "") };
        topic.map(end).into_iter().chain(self.will.as_ref().map(OpenWill::crossed_out)).collect()
    }

    /// The problem of a publisher whose topic somebody else has ended.
    fn stopped(&self) -> Problem {
        match &self.topic {
            Some(topic) => {
                let topic = topic.clone();
                store_problem::not_published(&PublishError::TopicEnded { topic })
            }
            None => draining(), // nothing ends what is about no topic
        }
    }
}

/// Publishes all events of `body`.
///
/// # Errors
///
/// The first thing that is wrong, with how many events were published before it (`published`) and
/// the id of the last one (`last_id`).
pub(super) async fn ingest(
    publication: Publication<'_>,
    body: RequestBody,
    source: &mut (impl Source + Send),
) -> Result<Answer, Problem> {
    let mut summary = Summary::default();
    let done = match publication.length {
        Some(length) if length <= ATOMIC_BATCH_BYTES_MAX => {
            whole(&publication, body, source, &mut summary).await
        }
        _ => stream(&publication, body, source, &mut summary).await,
    };
    run_terms::settle(publication.will, done.as_ref().err());
    match done {
        Ok(()) => {
            let json = serde_json::to_vec(&summary).expect("texts and numbers only");
            Ok(Answer::Response(answer::json(json)))
        }
        Err(problem) => Err(problem
            .with("published", summary.published)
            .with("duplicates", summary.duplicates)
            .with("last_id", summary.last_id)),
    }
}

/// What became of a body of events.
#[derive(Default, Serialize)]
struct Summary {
    /// Events that are new in the log.
    published: u64,
    /// Events that were there before, known by their ids.
    duplicates: u64,
    first_id: Option<String>,
    last_id: Option<String>,
}

impl Summary {
    fn add(&mut self, appended: &[Appended]) {
        let duplicates = appended.iter().filter(|event| event.duplicate).count() as u64;
        self.duplicates += duplicates;
        self.published += appended.len() as u64 - duplicates;
        if let (None, Some(first)) = (&self.first_id, appended.first()) {
            self.first_id = Some(first.id.to_string());
        }
        if let Some(last) = appended.last() {
            self.last_id = Some(last.id.to_string());
        }
    }
}

async fn whole(
    publication: &Publication<'_>,
    body: RequestBody,
    source: &mut impl Source,
    summary: &mut Summary,
) -> Result<(), Problem> {
    let Publication { state, caller, meter, .. } = *publication;
    let bytes_max = ATOMIC_BATCH_BYTES_MAX as usize;
    let events = publication.open();
    let read = WholeBody::read(state.body_room(), body, bytes_max);
    let bytes = tokio::select! {
        biased;
        bytes = super::before_expiry(caller, read) => bytes?,
        () = events.topic_ended() => return Err(publication.stopped()),
    };
    let mut drafts = Vec::new();
    let mut rest = &bytes[..];
    let mut places = Vec::new();
    while let Some(draft) = source.next(&mut rest)? {
        drafts.push(draft);
        places.push(source.place());
    }
    if let Some(draft) = source.finish()? {
        drafts.push(draft);
        places.push(source.place());
    }
    drafts.extend(publication.end());
    if !drafts.is_empty() {
        meter.charge(&drafts);
        let appended = state.publish_whole(&events, drafts).await;
        let appended = appended.map_err(|error| not_published(&error, &places))?;
        summary.add(&appended[..places.len()]);
    }
    Ok(())
}

async fn stream(
    publication: &Publication<'_>,
    mut body: RequestBody,
    source: &mut impl Source,
    summary: &mut Summary,
) -> Result<(), Problem> {
    let Publication { state, bounds, caller, meter, .. } = *publication;
    let parts = publication.open();
    let mut flow = Flow {
        state,
        meter,
        pause: None,
        source,
        summary,
        chunk: Bytes::new(),
        ended: None,
        end: publication.end(),
        parts: parts.clone(),
        gathered: Vec::new(),
        places: Vec::new(),
        gathered_bytes: 0,
        flight: VecDeque::new(),
        flight_bytes: 0,
    };
    let mut room = StreamRoom::new(state.body_room());
    let pause_max = bounds.ingest_pause_max;
    let mut idle = pin!(tokio::time::sleep(pause_max));
    let mut read_last = Instant::now();
    let mut leaving = pin!(state.reached(Stage::Leaving));
    let mut expired = pin!(caller.expired());
    let mut stopped = pin!(parts.topic_ended());
    std::future::poll_fn(|cx| {
        loop {
            flow.land(cx);
            room.shrink(flow.bytes_held());
            if flow.ended.is_none()
                && let Poll::Ready(problem) = expired.as_mut().poll(cx)
            {
                flow.pause = None;
                flow.end(Err(problem));
            }
            if flow.ended.is_none() && stopped.as_mut().poll(cx).is_ready() {
                flow.pause = None;
                flow.drop_gathered(); // it would not be taken
                flow.end(Err(publication.stopped()));
            }
            if flow.is_paused(cx) {
                if leaving.as_mut().poll(cx).is_pending() {
                    read_last = Instant::now(); // it is not the publisher who pauses
                    room.forgive();
                    return Poll::Pending;
                }
                flow.pause = None;
                flow.end(Err(draining()));
            }
            flow.gather();
            if flow.is_full() || flow.ended.is_some() {
                flow.launch(cx);
            }
            if flow.is_done() {
                return Poll::Ready(());
            }
            if flow.can_gather() {
                continue;
            }
            if flow.is_full() || flow.ended.is_some() {
                return Poll::Pending; // batches are under way; the first to land wakes us
            }
            match room.poll_grow(cx, flow.bytes_held()) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(problem)) => {
                    flow.end(Err(problem));
                    continue;
                }
                // What goes into the store gives its room back.
                Poll::Pending if flow.flight.is_empty() && flow.launch(cx) => continue,
                Poll::Pending if leaving.as_mut().poll(cx).is_ready() => {
                    flow.end(Err(draining()));
                    continue;
                }
                Poll::Pending => {
                    read_last = Instant::now();
                    room.forgive();
                    return Poll::Pending;
                }
            }
            match poll_chunk(&mut body, cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    read_last = Instant::now();
                    flow.chunk = chunk;
                }
                Poll::Ready(Some(Err(error))) => flow.end(Err(body::broken(&*error))),
                Poll::Ready(None) => flow.end(Ok(())),
                Poll::Pending if leaving.as_mut().poll(cx).is_ready() => {
                    flow.end(Err(draining()));
                }
                Poll::Pending if idle.as_mut().poll(cx).is_ready() => {
                    if read_last.elapsed() >= pause_max {
                        flow.end(Err(body::timed_out(pause_max)));
                    } else {
                        idle.as_mut().reset(read_last + pause_max);
                    }
                }
                // The store has nothing of ours to do, so what there is need not wait for more.
                Poll::Pending if flow.flight.is_empty() && flow.launch(cx) => {}
                Poll::Pending => {
                    flow.source.release();
                    let (number, bytes) = flow.unfinished();
                    let Poll::Ready(problem) = room.poll_too_slow(cx, number, bytes) else {
                        return Poll::Pending;
                    };
                    flow.end(Err(problem));
                }
            }
        }
    })
    .await;
    flow.ended.unwrap_or(Ok(()))
}

fn draining() -> Problem {
    Problem::new(Code::Draining, "publish the rest again in a moment")
}

/// The next part of `body` that is data.
fn poll_chunk(
    body: &mut RequestBody,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, BoxError>>> {
    loop {
        match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }
}

/// A batch that the store has been given.
enum Batch<'a> {
    Flying(Pin<Box<dyn Future<Output = Landing> + Send + 'a>>),
    /// Done, but not noted, for those in front of it must be noted first.
    Landed(Landing),
}

/// What the store did with a batch, and where its events stood.
struct Landing {
    outcome: Result<Vec<Appended>, StreamError>,
    places: Vec<Place>,
    bytes: usize,
}

/// A stream of events under way.
struct Flow<'a, S> {
    state: &'a State,
    meter: Meter<'a>,
    /// The allowance of the publisher is used up, and nothing more is taken until there is more.
    pause: Option<Pin<Box<Sleep>>>,
    source: &'a mut S,
    summary: &'a mut Summary,
    /// What has been read and not yet been looked at.
    chunk: Bytes,
    /// There will be no more events: the body is over, or something is wrong.
    ended: Option<Result<(), Problem>>,
    /// What follows the last event, if the body ends well.
    end: Vec<Draft>,
    /// How the batches go to the store: if one is refused, those behind it are, too.
    parts: PublishStream,
    gathered: Vec<Draft>,
    /// Where each of them stood.
    places: Vec<Place>,
    gathered_bytes: usize,
    /// Batches that the store has been given, in their order.
    flight: VecDeque<Batch<'a>>,
    flight_bytes: usize,
}

impl<S: Source> Flow<'_, S> {
    /// Lets the batches under way go on, first to last, and notes what the store has done.
    fn land(&mut self, cx: &mut Context<'_>) {
        for batch in &mut self.flight {
            if let Batch::Flying(future) = batch
                && let Poll::Ready(landing) = future.as_mut().poll(cx)
            {
                *batch = Batch::Landed(landing);
            }
        }
        while let Some(Batch::Landed(_)) = self.flight.front() {
            match self.flight.pop_front() {
                Some(Batch::Landed(Landing { outcome: Ok(appended), places, bytes })) => {
                    self.flight_bytes -= bytes;
                    // What ends the topic has no place in the body.
                    self.summary.add(&appended[..places.len()]);
                }
                Some(Batch::Landed(Landing { outcome: Err(failed), places, .. })) => {
                    self.summary.add(&failed.appended);
                    // Nothing behind it is published.
                    self.flight.clear();
                    self.flight_bytes = 0;
                    self.drop_gathered();
                    self.ended = Some(Err(not_published(&failed.error, &places)));
                }
                _ => {}
            }
        }
    }

    fn drop_gathered(&mut self) {
        self.gathered.clear();
        self.places.clear();
        self.gathered_bytes = 0;
    }

    /// Makes drafts of what has been read, until the batch is full.
    fn gather(&mut self) {
        while self.can_gather() {
            let mut rest = &self.chunk[..];
            let next = self.source.next(&mut rest);
            let taken = self.chunk.len() - rest.len();
            self.chunk.advance(taken);
            match next {
                Ok(Some(draft)) => self.push(draft),
                Ok(None) => {}
                Err(problem) => self.ended = Some(Err(problem)),
            }
        }
    }

    /// Hands over what has been gathered, if there is anything, and room for another batch. Says
    /// whether it did.
    fn launch(&mut self, cx: &mut Context<'_>) -> bool {
        if self.gathered.is_empty() || self.flight.len() == INGEST_BATCHES_MAX {
            return false;
        }
        let bytes = std::mem::take(&mut self.gathered_bytes);
        let batch = std::mem::take(&mut self.gathered);
        let wait = self.meter.charge(&batch);
        self.pause = (!wait.is_zero()).then(|| Box::pin(tokio::time::sleep(wait)));
        self.gathered.reserve(batch.len());
        let places = std::mem::take(&mut self.places);
        self.places.reserve(places.len());
        let outcome = self.state.publish_next(&self.parts, batch);
        let landing = async move { Landing { outcome: outcome.await, places, bytes } };
        self.flight_bytes += bytes;
        self.flight.push_back(Batch::Flying(Box::pin(landing)));
        self.land(cx);
        true
    }

    fn is_paused(&mut self, cx: &mut Context<'_>) -> bool {
        let paused = self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(cx).is_pending());
        if !paused {
            self.pause = None;
        }
        paused
    }

    fn push(&mut self, draft: Draft) {
        self.gathered_bytes += draft.cost();
        self.gathered.push(draft);
        self.places.push(self.source.place());
    }

    fn end(&mut self, result: Result<(), Problem>) {
        if self.ended.is_some() {
            return;
        }
        let last = if result.is_ok() { self.source.finish() } else { Ok(None) };
        self.ended = Some(match last {
            Ok(draft) => {
                draft.into_iter().for_each(|draft| self.push(draft));
                if result.is_ok() {
                    self.gathered_bytes += self.end.iter().map(Draft::cost).sum::<usize>();
                    self.gathered.append(&mut self.end);
                }
                result
            }
            Err(problem) => Err(problem),
        });
    }

    /// What of the body is in memory.
    fn bytes_held(&self) -> usize {
        let events = self.gathered_bytes + self.flight_bytes;
        self.source.bytes_held() + self.chunk.len() + events
    }

    /// The number of the event that is not complete, and the bytes there are of it.
    fn unfinished(&self) -> (u64, usize) {
        (self.source.place().number, self.source.bytes_held())
    }

    fn is_full(&self) -> bool {
        self.gathered.len() >= INGEST_BATCH_EVENTS_MAX.min(self.meter.events_max())
            || self.gathered_bytes >= INGEST_BATCH_BYTES_MAX.min(self.meter.bytes_max())
    }

    fn can_gather(&self) -> bool {
        self.ended.is_none() && !self.chunk.is_empty() && !self.is_full()
    }

    fn is_done(&self) -> bool {
        self.ended.is_some() && self.flight.is_empty() && self.gathered.is_empty()
    }
}
