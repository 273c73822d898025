//! `POST` of `text/event-stream` to `/events/{topic}`: one format in both directions, so that one
//! stream can be piped into another.
//!
//! An event keeps its id, so piping the same stream twice publishes its events once. The events by
//! which an upstream hub describes the stream itself (types that begin with `tidings.`) are
//! dropped.

use tidings_codec::{Decoder, EventRef, EventType, Item};
use tidings_http::answer::Answer;
use tidings_http::body::{self, RequestBody};
use tidings_http::problem::Problem;
use tidings_hub::{Draft, Topic};

use super::fields::{Drafter, RESERVED_PREFIX};
use super::ingest::{Place, Publication, Source, ingest};
use super::publish_request::PublishRequest;
use super::run_terms::RunTerms;
use crate::limits::FIELD_BYTES_MAX;

pub(super) async fn publish(
    mut request: PublishRequest<'_>,
    topic: Topic,
    body: RequestBody,
) -> Result<Answer, Problem> {
    let (terms, drafter) = RunTerms::take_for_several(&mut request.context)?;
    let state = request.context.state;
    terms.check_begins(state, &topic).await?;

    let data_bytes_max = state.config().event_bytes_max;
    // The decoder's limit includes the other fields.
    let event_bytes_max = data_bytes_max + 2 * FIELD_BYTES_MAX;
    let mut events = Events {
        topic: topic.clone(),
        drafter,
        decoder: Decoder::new().with_event_bytes_max(event_bytes_max),
        data_bytes_max,
        number: 0,
    };
    let will = terms.leave_will(&request, &topic).await?;
    ingest(Publication { request: &request, terms, will }, body, &mut events).await
}

struct Events {
    topic: Topic,
    drafter: Drafter,
    decoder: Decoder,
    data_bytes_max: usize,
    /// Number of the last event, from 1.
    number: u64,
}

impl Source for Events {
    fn next(&mut self, chunk: &mut &[u8]) -> Result<Option<Draft>, Problem> {
        loop {
            let next = self.decoder.next(chunk);
            let item = next
                .map_err(|_| body::too_large(self.data_bytes_max).at("event", self.number + 1))?;
            match item {
                None => return Ok(None),
                Some(Item::Event(event)) => {
                    self.number += 1;
                    if event.event_type().starts_with(RESERVED_PREFIX) {
                        continue;
                    }
                    let draft = draft(&mut self.drafter, &self.topic, event, self.data_bytes_max);
                    return draft.map(Some).map_err(|problem| problem.at("event", self.number));
                }
                Some(_) => {}
            }
        }
    }

    /// An event without a blank line at its end is discarded (HTML §9.2.6).
    fn finish(&mut self) -> Result<Option<Draft>, Problem> {
        Ok(None)
    }

    fn place(&self) -> Place {
        Place { kind: "event", number: self.number }
    }

    fn bytes_held(&self) -> usize {
        self.decoder.bytes_held()
    }

    fn release(&mut self) {
        self.decoder.release();
    }
}

fn draft(
    drafter: &mut Drafter,
    topic: &Topic,
    event: EventRef<'_>,
    data_bytes_max: usize,
) -> Result<Draft, Problem> {
    if event.data().len() > data_bytes_max {
        return Err(body::too_large(data_bytes_max));
    }
    let event_type = Some(event.event_type()).filter(|name| *name != EventType::DEFAULT);
    let id = event.id().filter(|id| !id.is_empty());
    drafter.draft(topic.clone(), event_type, id, event.retry_ms(), event.data().into())
}
