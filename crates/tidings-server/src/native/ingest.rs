//! A body of many events on its way into the store: the common part of batches and event streams.
//!
//! # Two ways
//!
//! *All or nothing.* A body whose announced length is short is read whole, every event in it is
//! checked, and then all are appended together. One mistake rejects all of them.
//!
//! *As it comes* ([`stream`]). A long body, or one of unknown length, is a stream: events are
//! gathered as they arrive and handed to the store in batches, while reading goes on. A few batches
//! may be on their way at once; beyond that the body is not read, TCP makes the publisher wait, and
//! memory stays bounded. What is held counts in the room for all bodies
//! ([`StreamRoom`](tidings_http::stream_room::StreamRoom)). The first mistake ends the stream:
//! everything before it is published, in order, and nothing after it.
//!
//! A publisher whose allowance of events or bytes per second is used up in the middle of a stream
//! is not rejected: its body is read only as fast as the allowance refills.
//!
//! # When a batch is handed over
//!
//! When it is full; or when the body has nothing more to read and no other batch is on its way. So
//! a single event is not delayed, and while the store syncs one batch the next one grows, as in the
//! committer itself.
//!
//! # Why order is kept
//!
//! A batch takes its place in the committer's queue when its future is first polled or, if that
//! queue is full, when its turn comes at the fair semaphore in front of it. Batches are always
//! polled first to last.

mod flow;
mod place;
mod source;
mod stream;
mod summary;

use tidings_engine::{OpenWill, PublishError, PublishStream, Run};
use tidings_http::answer::{self, Answer};
use tidings_http::body::{self, RequestBody};
use tidings_http::problem::{Code, Problem};
use tidings_hub::{Draft, Kind, Topic};

use super::publish_request::PublishRequest;
use super::run_terms::{self, RunTerms};
use crate::limits::ATOMIC_BATCH_BYTES_MAX;
use crate::store_problem;
use summary::Summary;

pub(super) use place::Place;
pub(super) use source::Source;

/// How the events of a body are published.
pub(super) struct Publication<'a> {
    pub(super) request: &'a PublishRequest<'a>,
    pub(super) terms: RunTerms<'a>,
    pub(super) will: Option<OpenWill>,
}

impl Publication<'_> {
    /// The stream that the events are to the engine.
    fn open(&self) -> PublishStream {
        let run = Run { topic: self.request.topic.clone(), begins: self.terms.begins };
        self.request.engine().publish_stream(run)
    }

    /// What a body that ended well adds to its events.
    fn end(&self) -> Vec<Draft> {
        let topic = self.request.topic.as_ref().filter(|_| self.terms.ends);
        let end = |topic: &Topic| Draft { kind: Kind::SilentEnd, ..Draft::new(topic.clone(), "") };
        topic.map(end).into_iter().chain(self.will.as_ref().map(OpenWill::crossed_out)).collect()
    }

    /// The problem of a publisher whose topic another client has ended.
    fn stopped(&self) -> Problem {
        match &self.request.topic {
            Some(topic) => {
                let topic = topic.clone();
                store_problem::not_published(&PublishError::TopicEnded { topic })
            }
            None => draining(), // without a topic there is nothing to end
        }
    }
}

fn draining() -> Problem {
    Problem::new(Code::Draining, "publish the rest again in a moment")
}

/// Publishes all events of `body`.
///
/// # Errors
///
/// The first mistake, with how many events were published before it (`published`) and the id of the
/// last one (`last_id`).
pub(super) async fn ingest(
    publication: Publication<'_>,
    body: RequestBody,
    source: &mut (impl Source + Send),
) -> Result<Answer, Problem> {
    let mut summary = Summary::default();
    let headers = &publication.request.context.parts.headers;
    let done = match body::announced_length(headers) {
        Some(length) if length <= ATOMIC_BATCH_BYTES_MAX => {
            whole(&publication, body, source, &mut summary).await
        }
        _ => stream::stream(&publication, body, source, &mut summary).await,
    };
    run_terms::settle(publication.will, done.as_ref().err());
    match done {
        Ok(()) => {
            let json = serde_json::to_vec(&summary).expect("texts and numbers only");
            Ok(Answer::Response(answer::json(json)))
        }
        Err(problem) => Err(summary.with(problem)),
    }
}

/// Publishes a body all or nothing.
async fn whole(
    publication: &Publication<'_>,
    body: RequestBody,
    source: &mut impl Source,
    summary: &mut Summary,
) -> Result<(), Problem> {
    let request = publication.request;
    // The run begins before the body is read: a client that ends the topic meanwhile stops this
    // request.
    let events = publication.open();
    let bytes = tokio::select! {
        biased;
        bytes = request.read_body(body, ATOMIC_BATCH_BYTES_MAX as usize) => bytes?,
        () = events.topic_ended() => return Err(publication.stopped()),
    };
    let mut drafts = Vec::new();
    let mut places = Vec::new();
    let mut rest = &bytes[..];
    while let Some(draft) = source.next(&mut rest)? {
        drafts.push(draft);
        places.push(source.place());
    }
    // A last line needs no line feed.
    if let Some(draft) = source.finish()? {
        drafts.push(draft);
        places.push(source.place());
    }
    drafts.extend(publication.end());
    if !drafts.is_empty() {
        request.allowance.charge(&drafts);
        let appended = request.context.state.publish_whole(&events, drafts).await;
        let appended = appended.map_err(|error| place::not_published(&error, &places))?;
        // What ends the topic has no place in the body, and is not counted.
        summary.add(&appended[..places.len()]);
    }
    Ok(())
}
