use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame as BodyFrame;
use tidings_hub::{
    Appended, Bounds, Draft, Epoch, EventId, Interest, Outcome, Page, Position, ReadError,
    ReadQuery, Start, Store, Timestamp, Topic, TopicState,
};
use tokio::sync::{Semaphore, watch};

use crate::committer::Committer;
use crate::error::{OpenError, PublishError, StartError};
use crate::limits::STORE_READS_MAX;

/// What the engine is told once, at the start.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Threads that serve subscribers.
    pub shards: usize,
    /// A subscriber to whom nothing was sent for so long is sent a heartbeat, give or take a tenth.
    pub heartbeat: Duration,
    /// Subscribers at once. At the edge: [`Refusal::AtCapacity`].
    pub subscribers_max: usize,
    /// Age at which connections are rotated, give or take a tenth; `None` never does.
    pub connection_age_max: Option<Duration>,
}

/// Publishes, subscribers and history over one store. Cheap to clone: all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    config: EngineConfig,
    committer: Committer,
    reads: Semaphore,
    head: watch::Sender<Position>,
}

/// How the engine speaks to a subscriber between events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Voice {
    /// Heartbeats are id-only blocks, so that the cursor of a quiet topic keeps moving.
    Native,
    /// Heartbeats are bare comments; the engine says nothing else of its own.
    Plain,
}

/// A subscription whose start has been found: what to tell the subscriber, and the place held for it.
#[derive(Debug)]
pub struct Opening {
    /// What is wanted.
    pub interest: Interest,
    /// Deliver what comes after this position.
    pub position: Position,
    /// Which of the three this connection is.
    pub outcome: Outcome,
    /// The oldest event there is, for a `tidings.reset`.
    pub first_id: EventId,
    /// Every topic of the subscription has ended; the subscriber is to be closed once it has the end.
    pub ended: bool,
}

/// What a subscriber brings beside its [`Opening`].
#[derive(Debug)]
pub struct Attachment {
    /// How to speak to it.
    pub voice: Voice,
    /// Blocks of the event stream to send before the first event: a comment, a `retry`, an id, a reset.
    pub preface: Vec<u8>,
    /// When to close it because its grant ends.
    pub expires: Option<Timestamp>,
}

/// Why there is no room for a subscriber now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The configured number of subscribers is connected.
    AtCapacity,
    /// The hub is leaving.
    Draining,
}

impl Refusal {
    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtCapacity => "at_capacity",
            Self::Draining => "draining",
        }
    }

    /// One sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AtCapacity => "the hub holds as many subscribers as it may",
            Self::Draining => "the hub is shutting down",
        }
    }
}

/// What `/readyz` and the metrics want to know.
#[derive(Clone, Debug)]
pub struct Status {
    /// Why the store takes no more events, once it failed.
    pub store_failure: Option<String>,
    /// The hub is leaving.
    pub draining: bool,
    /// Subscribers connected now.
    pub subscribers: usize,
    /// What of the log can be read.
    pub bounds: Bounds,
    /// Bytes the log occupies.
    pub store_bytes: u64,
}

impl Engine {
    /// Starts the threads over `store`.
    ///
    /// # Errors
    ///
    /// [`StartError`] if a thread cannot be had.
    pub fn start(store: Arc<dyn Store>, config: EngineConfig) -> Result<Self, StartError> {
        let head = watch::Sender::new(store.bounds().head);
        let inner = Arc::new(Inner {
            store,
            config,
            committer: Committer::new(),
            reads: Semaphore::new(STORE_READS_MAX),
            head,
        });
        let committer = Arc::clone(&inner);
        spawn("committer", move || {
            committer.committer.run(&committer.store)
        })?;
        Ok(Self { inner })
    }

    /// The name of the log.
    pub fn epoch(&self) -> Epoch {
        self.inner.store.epoch()
    }

    /// Stores `drafts`, in order, all or nothing, as firmly as the store promises. Returns one entry per draft.
    /// They reach subscribers by the store's tail, soon after.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published.
    pub async fn publish(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, PublishError> {
        self.inner.committer.append(drafts).await
    }

    /// Finds where a subscriber starts, and holds a place for it until the opening is dropped.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: no room, ended, or the store cannot be read.
    pub async fn open(&self, interest: Interest, start: Start) -> Result<Opening, OpenError> {
        let epoch = self.epoch();
        self.read(move |store| {
            let resolved = start.resolve(store, &interest)?;
            let ended = all_ended(store, &interest, resolved.position)?;
            let first_id = store.bounds().first.event_id(epoch);
            Ok((interest, resolved, ended, first_id))
        })
        .await
        .map_err(OpenError::Store)
        .and_then(|(interest, resolved, ended, first_id)| {
            if ended == Ended::Seen {
                return Err(OpenError::Ended);
            }
            Ok(Opening {
                interest,
                position: resolved.position,
                outcome: resolved.outcome,
                first_id,
                ended: ended == Ended::Ahead,
            })
        })
    }

    /// Hands an HTTP/1.1 connection to a shard, which from now on writes it directly: first `head` (the bytes of
    /// the response head, up to and with the empty line), then the event stream in chunks.
    pub fn attach_socket(
        &self,
        _opening: Opening,
        _attachment: Attachment,
        _head: Vec<u8>,
        _socket: TcpStream,
    ) {
    }

    /// Makes a response body that a shard feeds, for connections that somebody else frames.
    pub fn attach_body(&self, _opening: Opening, _attachment: Attachment) -> SubscriberBody {
        SubscriberBody {}
    }

    /// A page of history: admitted records after `after`, oldest first, at most `records_max`.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn history(
        &self,
        interest: Interest,
        after: Position,
        records_max: usize,
    ) -> Result<Page, ReadError> {
        self.read(move |store| {
            store.read(&ReadQuery {
                after,
                upto: store.bounds().head,
                interest: Some(&interest),
                records_max,
                bytes_max: crate::limits::PAGE_BYTES_MAX,
            })
        })
        .await
    }

    /// Waits until there is a record after `after`; returns the head. Drop the future to stop waiting.
    pub async fn wait(&self, after: Position) -> Position {
        let mut head = self.inner.head.subscribe();
        let moved = head.wait_for(|head| *head > after).await;
        moved.map_or(after, |head| *head)
    }

    /// The position that `start` means, and what to tell who asked.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn resolve(
        &self,
        interest: Interest,
        start: Start,
    ) -> Result<tidings_hub::Resolved, ReadError> {
        self.read(move |store| start.resolve(store, &interest))
            .await
    }

    /// Topics in the order of their names; see [`Store::topics`].
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn topics(
        &self,
        prefix: String,
        after: Option<Topic>,
        count: usize,
    ) -> Result<Vec<TopicState>, ReadError> {
        self.read(move |store| store.topics(&prefix, after.as_ref(), count))
            .await
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        let store = &self.inner.store;
        Status {
            store_failure: store.failure(),
            draining: false,
            subscribers: 0,
            bounds: store.bounds(),
            store_bytes: store.bytes(),
        }
    }

    /// Leaves gracefully: new subscribers are refused, and those connected are told to come back and closed,
    /// spread over `window`. Returns when the last one is gone.
    pub async fn drain(&self, _window: Duration) {}

    /// Commits what is queued, and ends the threads. Call it after [`drain`](Self::drain).
    pub async fn stop(&self) {
        self.inner.committer.stop();
    }

    /// Runs `read` where waiting for a disk holds up nobody else.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let _permit = self
            .inner
            .reads
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || read(&*inner.store));
        task.await.unwrap_or_else(|panic| {
            Err(ReadError::Failed {
                reason: panic.to_string(),
            })
        })
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    No,
    /// Ended, and the subscriber has yet to be told.
    Ahead,
    /// Ended, and the subscriber starts after the end.
    Seen,
}

fn all_ended(store: &dyn Store, interest: &Interest, start: Position) -> Result<Ended, ReadError> {
    let Some(topics) = interest.exact_topics() else {
        return Ok(Ended::No);
    };
    let mut ended = Ended::Seen;
    for topic in topics {
        match store.topic(topic)? {
            Some(state) if state.ended && state.last <= start => {}
            Some(state) if state.ended => ended = Ended::Ahead,
            _ => return Ok(Ended::No),
        }
    }
    Ok(ended)
}

/// A response body that a shard feeds.
#[derive(Debug)]
pub struct SubscriberBody {}

impl http_body::Body for SubscriberBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    let builder = std::thread::Builder::new().name(format!("tidings-{name}"));
    builder.spawn(run).map_err(StartError::Resources)
}
