//! The events of a stream between its body and the store.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tidings_engine::{PublishStream, StreamError};
use tidings_http::problem::Problem;
use tidings_hub::{Appended, Draft};
use tokio::time::Sleep;

use super::place::{self, Place};
use super::source::Source;
use super::summary::Summary;
use crate::limits::{INGEST_BATCH_BYTES_MAX, INGEST_BATCH_EVENTS_MAX, INGEST_BATCHES_MAX};
use crate::native::publish_request::PublishRequest;

/// A batch that was handed to the store.
enum Batch<'a> {
    Flying(Pin<Box<dyn Future<Output = Landing> + Send + 'a>>),
    /// Stored, but not counted yet, because the batches in front of it are counted first.
    Landed(Landing),
}

/// What the store did with a batch, and where its events stood.
struct Landing {
    outcome: Result<Vec<Appended>, StreamError>,
    places: Vec<Place>,
    bytes: usize,
}

/// Events that are gathered from a body, and the batches of them that are on their way.
pub(super) struct Flow<'a, S> {
    request: &'a PublishRequest<'a>,
    /// Runs while the publisher's allowance is used up; until then nothing more is taken.
    pause: Option<Pin<Box<Sleep>>>,
    pub(super) source: &'a mut S,
    summary: &'a mut Summary,
    /// Bytes that were read, but not yet parsed.
    pub(super) chunk: Bytes,
    /// No more events will come: the body has ended, or there was a mistake.
    pub(super) ended: Option<Result<(), Problem>>,
    /// What follows the last event, if the body ends well.
    end: Vec<Draft>,
    /// How batches go to the store: after one that is rejected, it rejects all that follow.
    events: PublishStream,
    gathered: Vec<Draft>,
    /// Where each of the gathered events stood.
    places: Vec<Place>,
    gathered_bytes: usize,
    /// The batches on their way, in order.
    flight: VecDeque<Batch<'a>>,
    flight_bytes: usize,
}

impl<'a, S: Source> Flow<'a, S> {
    /// A flow from `source` to `events`; `end` follows the last event of a body that ends well.
    pub(super) fn new(
        request: &'a PublishRequest<'a>,
        source: &'a mut S,
        summary: &'a mut Summary,
        events: PublishStream,
        end: Vec<Draft>,
    ) -> Self {
        Self {
            request,
            pause: None,
            source,
            summary,
            chunk: Bytes::new(),
            ended: None,
            end,
            events,
            gathered: Vec::new(),
            places: Vec::new(),
            gathered_bytes: 0,
            flight: VecDeque::new(),
            flight_bytes: 0,
        }
    }

    /// Polls the batches on their way, first to last, and counts what the store has done.
    pub(super) fn land(&mut self, cx: &mut Context<'_>) {
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
                    // What ends the topic has no place in the body, and is not counted.
                    self.summary.add(&appended[..places.len()]);
                }
                Some(Batch::Landed(Landing { outcome: Err(failed), places, .. })) => {
                    self.summary.add(&failed.appended);
                    // The store rejects what follows on this stream, so nothing of it is counted.
                    self.flight.clear();
                    self.flight_bytes = 0;
                    self.drop_gathered();
                    self.ended = Some(Err(place::not_published(&failed.error, &places)));
                }
                _ => {}
            }
        }
    }

    pub(super) fn drop_gathered(&mut self) {
        self.gathered.clear();
        self.places.clear();
        self.gathered_bytes = 0;
    }

    /// Parses what was read into drafts, until the batch is full.
    pub(super) fn gather(&mut self) {
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

    /// Hands over the gathered events, if there are any, and if another batch may be on its way.
    /// Says whether it did.
    pub(super) fn launch(&mut self, cx: &mut Context<'_>) -> bool {
        if self.gathered.is_empty() || self.flight.len() == INGEST_BATCHES_MAX {
            return false;
        }
        let bytes = std::mem::take(&mut self.gathered_bytes);
        let batch = std::mem::take(&mut self.gathered);
        let wait = self.request.allowance.charge(&batch);
        self.pause = (!wait.is_zero()).then(|| Box::pin(tokio::time::sleep(wait)));
        // The next batch will probably be about as long.
        self.gathered.reserve(batch.len());
        let places = std::mem::take(&mut self.places);
        self.places.reserve(places.len());
        let outcome = self.request.context.state.publish_next(&self.events, batch);
        let landing = async move { Landing { outcome: outcome.await, places, bytes } };
        self.flight_bytes += bytes;
        self.flight.push_back(Batch::Flying(Box::pin(landing)));
        // The first poll gives the batch its place in the committer's queue.
        self.land(cx);
        true
    }

    /// Whether the flow waits for the publisher's allowance.
    pub(super) fn is_paused(&mut self, cx: &mut Context<'_>) -> bool {
        let paused = self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(cx).is_pending());
        if !paused {
            self.pause = None;
        }
        paused
    }

    /// Ends the wait for the allowance.
    pub(super) fn resume(&mut self) {
        self.pause = None;
    }

    fn push(&mut self, draft: Draft) {
        self.gathered_bytes += draft.cost();
        self.gathered.push(draft);
        self.places.push(self.source.place());
    }

    /// Takes no more events. Those that were gathered are still published.
    pub(super) fn end(&mut self, result: Result<(), Problem>) {
        if self.ended.is_some() {
            return;
        }
        // What stands at the end of a body that was cut may be half an event.
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

    /// Bytes of the body that are in memory.
    pub(super) fn bytes_held(&self) -> usize {
        let events = self.gathered_bytes + self.flight_bytes;
        self.source.bytes_held() + self.chunk.len() + events
    }

    /// The number of the unfinished event, and how many bytes of it have arrived.
    pub(super) fn unfinished(&self) -> (u64, usize) {
        (self.source.place().number, self.source.bytes_held())
    }

    pub(super) fn is_full(&self) -> bool {
        let allowance = &self.request.allowance;
        self.gathered.len() >= INGEST_BATCH_EVENTS_MAX.min(allowance.events_max())
            || self.gathered_bytes >= INGEST_BATCH_BYTES_MAX.min(allowance.bytes_max())
    }

    pub(super) fn can_gather(&self) -> bool {
        self.ended.is_none() && !self.chunk.is_empty() && !self.is_full()
    }

    /// Whether no batch is on its way.
    pub(super) fn is_grounded(&self) -> bool {
        self.flight.is_empty()
    }

    pub(super) fn is_done(&self) -> bool {
        self.ended.is_some() && self.flight.is_empty() && self.gathered.is_empty()
    }
}
