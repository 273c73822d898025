//! `PublishRun`: a topic that is one run, begun, streamed into and ended by one request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::IF_NONE_MATCH;
use http::{HeaderValue, Request};
use http_body::Frame;
use tidings_codec::Event;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::answer::{Answer, Summary};
use super::error::PublishError;
use super::exchange::{Failure, Replay, exchange, with_retries};
use super::stream::AbortOnDrop;
use super::terms::Terms;
use super::{line, topic_path};
use crate::limits::PUBLISH_PIECES_WAITING_MAX;
use crate::{Body, Publisher, TransportError};

/// A run that is about to begin. Made by [`Publisher::run`].
#[must_use = "a run must begin"]
pub struct RunBuilder {
    publisher: Publisher,
    topic: String,
    will: Option<Event>,
    lost: Option<Duration>,
}

impl RunBuilder {
    pub(super) fn new(publisher: Publisher, topic: &str) -> Self {
        Self { publisher, topic: topic.to_owned(), will: None, lost: None }
    }

    /// The event that ends the topic if this publisher is lost: its data and type. Without it, the
    /// topic stays open.
    pub fn will(mut self, will: Event) -> Self {
        self.will = Some(will);
        self
    }

    /// Time that somebody else has to go on before the [will](Self::will) is published: as long as
    /// the hub finds right, unless set.
    pub fn lost(mut self, lost: Duration) -> Self {
        self.lost = Some(lost);
        self
    }

    /// Asks the hub whether the topic can be begun, to know it before there is anything to publish.
    /// Somebody else can still be faster: then the run itself fails.
    ///
    /// # Errors
    ///
    /// [`PublishError::Refused`] with `topic_exists` if the topic has events, or has ended.
    pub async fn check(&self) -> Result<(), PublishError> {
        // A batch of no events.
        let path = topic_path::of_run(&self.topic, &[]);
        let request = || self.request(&path, Body::empty());
        with_retries(&self.publisher, Replay::Safe, request).await?.summary(0)?;
        Ok(())
    }

    /// Begins the request. Must be called within a tokio runtime.
    pub fn begin(self) -> PublishRun {
        let mut query = vec![("end", String::new())];
        if let Some(will) = &self.will {
            query.push(("will", will.data.clone()));
            if let Some(event_type) = &will.event_type {
                query.push(("will-event", event_type.as_str().to_owned()));
            }
            if let Some(lost) = self.lost {
                query.push(("lost", format!("{}ms", lost.as_millis())));
            }
        }
        let (pieces, receiver) = mpsc::channel(PUBLISH_PIECES_WAITING_MAX);
        let body = Body::stream(RunBody { receiver, has_ended: false });
        let request = self.request(&topic_path::of_run(&self.topic, &query), body);
        let transport = self.publisher.inner.transport.clone();
        let task = tokio::spawn(async move { exchange(&*transport, request).await });
        PublishRun {
            answer: AbortOnDrop(task),
            pieces,
            topic: self.topic,
            events: 0,
            has_failed: false,
            answer_wait_max: self.publisher.inner.answer_wait_max,
        }
    }

    fn request(&self, path: &str, body: Body) -> Request<Body> {
        let lines = HeaderValue::from_static("application/x-ndjson");
        let mut request = self.publisher.request(path, lines, body);
        request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        request
    }
}

/// A run in progress: its events go into one request, and the end of the request ends the topic.
/// Made by [`RunBuilder::begin`].
///
/// Nothing is retried, for a request that broke off has left the topic open for anybody. A run that
/// is dropped breaks off; only [`finish`](Self::finish) ends the topic.
///
/// After an error every further call returns [`PublishError::AlreadyFailed`].
#[must_use = "only a run that is finished ends its topic"]
pub struct PublishRun {
    answer: AbortOnDrop,
    pieces: mpsc::Sender<Piece>,
    topic: String,
    /// Number of events sent.
    events: usize,
    has_failed: bool,
    answer_wait_max: Duration,
}

impl PublishRun {
    /// Sends an event. Waits only for room in the network.
    ///
    /// Cancel-safe: if the future is dropped before it has returned, the event was not taken.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if the hub takes no more. [`PublishError::Refused`] with `topic_ended`:
    /// somebody has ended the topic, which means stop; with `topic_exists`: somebody else has begun
    /// it.
    pub async fn send(&mut self, event: &Event) -> Result<(), PublishError> {
        if self.has_failed {
            return Err(PublishError::AlreadyFailed);
        }
        let outcome = tokio::select! {
            biased;
            outcome = self.answer.outcome() => Some(outcome),
            permit = self.pieces.reserve() => {
                if let Ok(permit) = permit {
                    let id = event.id.as_ref();
                    let line = line::encode(&self.topic, event, id, &Terms::default());
                    permit.send(Piece::Line(line.into()));
                    self.events += 1;
                    return Ok(());
                }
                None
            }
        };
        Err(match outcome {
            Some(outcome) => self.fail(outcome),
            // The body is not read any more, so there will be an answer.
            None => self.stopped().await,
        })
    }

    /// Waits until the hub takes no more events: until somebody ends the topic, or something fails.
    ///
    /// Cancel-safe.
    pub async fn stopped(&mut self) -> PublishError {
        if self.has_failed {
            return PublishError::AlreadyFailed;
        }
        let outcome = self.answer.outcome().await;
        self.fail(outcome)
    }

    /// Ends the topic, and waits until all of it is stored.
    ///
    /// # Errors
    ///
    /// [`PublishError`].
    pub async fn finish(mut self) -> Result<Summary, PublishError> {
        if self.has_failed {
            return Err(PublishError::AlreadyFailed);
        }
        // If the body is not read any more, the answer says why.
        let _ = self.pieces.send(Piece::End).await;
        let outcome = timeout(self.answer_wait_max, self.answer.outcome()).await;
        match outcome.unwrap_or_else(|_| Err(Failure::silence(self.answer_wait_max))) {
            Ok(answer) => answer.summary(self.events),
            Err(failure) => Err(failure.without_retry()),
        }
    }

    /// The error of an answer that comes before the body has ended.
    fn fail(&mut self, outcome: Result<Answer, Failure>) -> PublishError {
        self.has_failed = true;
        match outcome {
            Ok(answer) => answer.not_understood(),
            Err(failure) => failure.without_retry(),
        }
    }
}

/// What goes through the channel into the body. Its closing alone is no good end: the publisher may
/// have panicked.
enum Piece {
    Line(Bytes),
    End,
}

/// The receiving end of the channel as a request body.
struct RunBody {
    receiver: mpsc::Receiver<Piece>,
    has_ended: bool,
}

impl http_body::Body for RunBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let piece = ready!(self.receiver.poll_recv(cx));
        self.has_ended = !matches!(piece, Some(Piece::Line(_)));
        Poll::Ready(match piece {
            Some(Piece::Line(line)) => Some(Ok(Frame::data(line))),
            Some(Piece::End) => None,
            None => Some(Err(TransportError::exchange("the run was given up"))),
        })
    }
}
