mod background;
mod close;
mod erase;
mod find;
mod ids;
mod pages;
mod publish;
mod status;
mod threads;
mod topics;
mod will;

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConnection;
use tidings_hub::limits::WINDOW_BYTES_MAX;
use tidings_hub::{
    Attach, Coding, Epoch, Interest, Log, Mark, Notice, Outcome, Position, ReadError, ReadQuery,
    Resolved, Sharing, Start, StateStart, StreamForm,
};
use tokio::sync::{Semaphore, watch};

use crate::admission::Admission;
use crate::clock::{Clock, wall_clock};
use crate::committer::{Committer, Maxima};
use crate::connection::{Began, ClosedConnections, ConnectionId};
use crate::counters::Counters;
use crate::error::{OpenError, StartError};
use crate::fanout::Fanout;
use crate::forgetting::Forgetting;
use crate::limits::{
    DRAIN_GRACE, FINISH_MAX, HUB_PATIENCE, KEYS_MAX, PEER_PATIENCE, QUESTIONS_MAX, READ_RETRY,
    RING_BYTES_MAX, STORE_READS_MAX, TOPICS_MAX, VALUE_BYTES_MAX,
};
use crate::mailbox::Mailbox;
use crate::message::Message;
use crate::pending_subscription::PendingSubscription;
use crate::recent::Recent;
use crate::rejection::Rejection;
use crate::replay::Replay;
use crate::sink::{BodyPipe, Sink, SocketSink, SubscriberBody, TlsSink};
use crate::subscribe_options::SubscribeOptions;
use crate::subscription::{ConnectionInfo, Subscription};
use crate::sys::{self, Poller};
use crate::topic_share::TopicShare;
use crate::wills::Wills;

pub use background::{outlived_by, spawn_outliving};
pub use erase::{EraseFailure, EraseTarget, Erasure};
pub use pages::FirstPage;
pub use publish::{PublishStream, Run};
pub use status::{Latencies, Status};
pub use will::OpenWill;

/// The configuration of an engine, fixed at the start.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Number of threads that serve subscribers.
    pub shards: usize,
    /// Heartbeat interval for idle subscribers, ±10 % jitter.
    pub heartbeat: Duration,
    /// Maximum number of subscribers. At the edge: [`Rejection::AtCapacity`].
    pub subscribers_max: usize,
    /// Subscribers admitted per second, after a burst of the same size; `None` is no limit. At the
    /// edge: [`Rejection::TooFast`].
    pub arrival_rate_max: Option<NonZeroU32>,
    /// Maximum number of topics with events in the log. At the edge:
    /// [`TooManyTopics`](crate::PublishError::TooManyTopics), for events on other topics; a topic
    /// counts until retention has dropped its last event.
    pub topics_max: usize,
    /// Maximum number of keys with events in the log. At the edge:
    /// [`TooManyKeys`](crate::PublishError::TooManyKeys), for events with other keys; a key counts,
    /// also once it is removed, until retention has dropped its last event.
    pub keys_max: usize,
    /// Maximum bytes of a value that grows by pieces, with all of them. At the edge:
    /// [`ValueFull`](crate::PublishError::ValueFull). Best what one event may have, so that the
    /// state has no larger ones.
    pub value_bytes_max: usize,
    /// Whether to serve every subscriber through a response body, as on systems where workers
    /// cannot own sockets.
    pub portable: bool,
    /// Age at which connections are rotated, ±10 %; `None` never rotates them.
    pub connection_age_max: Option<Duration>,
    /// Time without an acknowledgement, despite probes, after which a peer counts as gone.
    pub peer_patience: Duration,
    /// Bytes of recent frames kept for subscribers, in all shards together, before they are
    /// shortened. At the edge: subscribers that are behind read the log instead.
    pub ring_bytes_max: usize,
    /// Compresses streams for clients that read gzip; the value says which events may refer to one
    /// another. `None` compresses none.
    pub compression: Option<Sharing>,
    /// Memory for texts that compressed events refer to. At the edge: they are compressed alone.
    pub compression_bytes_max: usize,
    /// Time that another hub of a shared log has to say that it still runs, before the wills of its
    /// publishers are carried out.
    pub hub_patience: Duration,
    /// Seed of the jitter, and the name of the run.
    pub seed: u64,
}

impl Default for EngineConfig {
    /// Two shards, a heartbeat every 15 seconds, and room for 15,000 subscribers.
    fn default() -> Self {
        Self {
            shards: 2,
            heartbeat: Duration::from_secs(15),
            subscribers_max: 15_000,
            arrival_rate_max: None,
            topics_max: TOPICS_MAX,
            keys_max: KEYS_MAX,
            value_bytes_max: VALUE_BYTES_MAX,
            portable: false,
            connection_age_max: None,
            peer_patience: PEER_PATIENCE,
            ring_bytes_max: RING_BYTES_MAX,
            compression: None,
            compression_bytes_max: WINDOW_BYTES_MAX,
            hub_patience: HUB_PATIENCE,
            seed: 0,
        }
    }
}

/// Publishes, subscribers and history over one store. Cheap to clone: all clones are the same
/// engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    /// Bounds the topics that are begun through this handle.
    topic_share: Option<Arc<TopicShare>>,
}

struct Inner {
    store: Arc<dyn Log>,
    config: EngineConfig,
    clock: Clock,
    committer: Committer,
    replay: Arc<Replay>,
    mailboxes: Vec<Arc<Mailbox>>,
    counters: Arc<Counters>,
    admission: Admission,
    /// Number of the next connection. It also decides which worker gets the next subscriber.
    next_connection: AtomicU64,
    closed_connections: Arc<ClosedConnections>,
    reads: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    pings: Arc<Semaphore>,
    recent: Recent,
    fanout: Fanout,
    forgetting: Arc<Forgetting>,
    head: watch::Sender<Position>,
    head_proof: Arc<tokio::sync::Mutex<Option<find::HeadProof>>>,
    stopping: AtomicBool,
    /// The first thread that panicked.
    panicked: watch::Sender<Option<Box<str>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    wills: Arc<Wills>,
    erasures: erase::Erasures,
    begun: background::Begun,
    /// Whether a key was published: then the slots of the log were looked up, or are being.
    has_keys: AtomicBool,
}

impl Engine {
    /// Starts the threads over `store`.
    ///
    /// # Errors
    ///
    /// [`StartError`] if a thread cannot be started.
    pub fn start(store: Arc<dyn Log>, config: EngineConfig) -> Result<Self, StartError> {
        // Before anything is read: a log that was closed for a while has events whose time is over.
        store.note_time(wall_clock());
        let bounds = store.bounds();
        let mut pollers = Vec::new();
        for _ in 0..config.shards.max(1) {
            pollers.push(Poller::new().map_err(StartError::Resources)?);
        }
        let questions = Arc::new(Semaphore::new(QUESTIONS_MAX));
        let forgetting = Arc::new(Forgetting::new(bounds.head, Arc::clone(&questions)));
        let mailboxes = pollers.iter().map(|poller| Arc::new(Mailbox::new(poller.bell())));
        let inner = Arc::new(Inner {
            clock: Clock::start(),
            committer: Committer::new(Maxima {
                topics: config.topics_max,
                keys: config.keys_max,
                value_bytes: config.value_bytes_max,
            }),
            replay: Arc::default(),
            mailboxes: mailboxes.collect(),
            counters: Arc::default(),
            admission: Admission::new(config.arrival_rate_max),
            next_connection: AtomicU64::new(0),
            closed_connections: Arc::default(),
            reads: Arc::new(Semaphore::new(STORE_READS_MAX)),
            questions,
            pings: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            recent: Recent::starting_after(bounds.head),
            fanout: Fanout::new(bounds.head, pollers.len()),
            forgetting,
            head: watch::Sender::new(bounds.head),
            head_proof: Arc::default(),
            stopping: AtomicBool::new(false),
            panicked: watch::Sender::new(None),
            threads: Mutex::default(),
            wills: Arc::default(),
            erasures: erase::Erasures::default(),
            begun: background::Begun::default(),
            has_keys: AtomicBool::new(false),
            store,
            config,
        });
        let engine = Self { inner, topic_share: None };
        engine.start_threads(pollers)?;
        if let Some(shared) = engine.inner.store.shared() {
            shared.set_readers(Arc::<Forgetting>::clone(&engine.inner.forgetting));
        }
        Ok(engine)
    }

    /// The name of the log.
    pub fn epoch(&self) -> Epoch {
        self.inner.store.identity().epoch
    }

    /// A number that distinguishes this engine from those of other processes; the names of its
    /// connections begin with it.
    pub fn run(&self) -> u32 {
        self.inner.run()
    }

    /// Sends `notice` to current subscribers; see [`Notice`]. It is not stored.
    pub fn notify(&self, notice: &Arc<Notice>) {
        for mailbox in &self.inner.mailboxes {
            mailbox.post_notice(notice);
        }
    }

    /// Finds where a subscriber starts, and reserves a place for it until the result is dropped.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: no room, ended, ahead of this node, or the store cannot be read.
    pub async fn open(
        &self,
        interest: Interest,
        start: Start,
    ) -> Result<PendingSubscription, OpenError> {
        // A publisher that has seen this subscriber counted may rely on its getting what is then
        // published. So a live subscriber begins where the log ended before it was counted.
        let live = (start == Start::Live).then(|| self.inner.store.bounds().head);
        let permit = self.inner.counters.admit(self.inner.config.subscribers_max);
        let permit = permit.map_err(OpenError::Rejected)?;
        if !self.inner.admission.admit(self.inner.clock.now_ns()) {
            return Err(OpenError::Rejected(Rejection::TooFast));
        }
        let interest = Arc::new(interest);
        let found = self.find(&interest, start.clone(), move |store, interest, mut resolved| {
            if let Some(head) = live {
                (resolved.position, resolved.told) = (head, head);
            }
            let ended = interest.ended_topics(store)?;
            let is_over =
                interest.wanted().len() == ended.len() && has_all(store, interest, &resolved)?;
            let first = store.mark(resolved.whole_from(store.bounds().first))?;
            Ok((store.mark(resolved.position)?, first, resolved, ended, is_over))
        });
        let (mark, first, resolved, ended, is_over) = found.await?;
        if is_over {
            return Err(OpenError::Ended);
        }
        if let Outcome::Reset { reason, .. } = &resolved.outcome {
            self.inner.counters.was_reset(*reason);
        }
        let asked_at = self.inner.store.bounds().head;
        let (epoch, position) = (self.epoch(), mark.position);
        let number = self.inner.next_connection.fetch_add(1, Ordering::Relaxed);
        let connection = ConnectionId { run: self.inner.run(), number };
        // Behind a loss, the first place from which nothing is missing is ahead.
        let from_the_oldest = position < first.position;
        Ok(PendingSubscription {
            interest: Arc::unwrap_or_clone(interest),
            position,
            told: resolved.told,
            id: mark.event_id(epoch),
            state: start.reads_state(&resolved.outcome).then(|| StateStart {
                has_removals: resolved.outcome == Outcome::State { is_resumed: true },
                asked_at,
            }),
            outcome: resolved.outcome,
            first_id: first.event_id(epoch),
            connection,
            from_the_oldest,
            ended,
            is_compressed: false,
            permit,
        })
    }

    /// Whether bodies are compressed for clients that read gzip: which events in them may refer to
    /// one another.
    pub fn compression(&self) -> Option<Sharing> {
        self.inner.config.compression
    }

    /// Whether [`attach_socket`](Self::attach_socket) may be used.
    pub fn takes_sockets(&self) -> bool {
        sys::SOCKETS && !self.inner.config.portable
    }

    /// Hands an HTTP/1.1 connection to a worker, which from now on writes it directly: first `head`
    /// (the bytes of the response head, up to and with the empty line), then the event stream in
    /// chunks.
    pub fn attach_socket(
        &self,
        pending: PendingSubscription,
        options: SubscribeOptions,
        head: Vec<u8>,
        socket: TcpStream,
    ) {
        self.attach_wire(pending, options, head, SocketSink::new(socket).map(Sink::Socket));
    }

    /// The same for a connection under TLS, whose handshake is over: the worker seals what it
    /// writes.
    pub fn attach_tls_socket(
        &self,
        pending: PendingSubscription,
        options: SubscribeOptions,
        head: Vec<u8>,
        socket: TcpStream,
        tls: Box<ServerConnection>,
    ) {
        self.attach_wire(pending, options, head, TlsSink::new(socket, *tls).map(Sink::Tls));
    }

    fn attach_wire(
        &self,
        pending: PendingSubscription,
        options: SubscribeOptions,
        head: Vec<u8>,
        sink: io::Result<Sink>,
    ) {
        match sink {
            Ok(sink) => self.attach(pending, options, head, sink),
            Err(error) => tracing::debug!(%error, "a connection broke before it could be served"),
        }
    }

    /// Makes a response body that a worker feeds, for connections that are framed elsewhere. It is
    /// returned once the subscriber is attached, so a client that knows it is subscribed is
    /// counted, and with its first bytes: browsers say that a stream is open when they have some.
    pub async fn attach_body(
        &self,
        pending: PendingSubscription,
        options: SubscribeOptions,
    ) -> SubscriberBody {
        let mailbox = self.choose_shard(pending.connection);
        let has_first = !options.preface.is_empty();
        let (pipe, body) = BodyPipe::new(Arc::<Mailbox>::clone(mailbox), has_first);
        self.attach(pending, options, Vec::new(), Sink::Body(pipe));
        body.attached().await;
        body
    }

    fn attach(
        &self,
        pending: PendingSubscription,
        options: SubscribeOptions,
        head: Vec<u8>,
        sink: Sink,
    ) {
        let compression = self.inner.config.compression;
        let form = StreamForm {
            framing: sink.framing(),
            control_style: options.control_style,
            event_form: options.event_form,
            coding: match pending.is_compressed {
                true => compression.map_or(Coding::Identity, Coding::Gzip),
                false => Coding::Identity,
            },
        };
        let mut first = head;
        let began = form.begin(&mut first, &options.preface);
        let expires = options.expires.map(|moment| self.inner.clock.at(moment));
        let can_move = pending.permit.label().is_some_and(|label| label.term().is_some());
        let attach = Attach {
            interest: pending.interest,
            form,
            audience: options.audience,
            position: pending.position,
            told: pending.told,
            state: pending.state,
            ended: pending.ended,
            first,
            began,
            expires_ms: expires.filter(|_| !can_move),
            // The first look says when the next one is due.
            term_ms: expires.and(can_move.then(|| self.inner.clock.now_ms())),
        };
        let info = ConnectionInfo {
            number: pending.connection.number,
            started: pending.position,
            since_s: (self.inner.clock.now_ms() / 1000).try_into().unwrap_or(u32::MAX),
            began: Began::from(&pending.outcome),
        };
        let subscription = Subscription { sink, info, permit: pending.permit, hook: options.hook };
        let mailbox = self.choose_shard(pending.connection);
        mailbox.post(Message::Attach(Box::new((attach, subscription))));
    }

    /// Connections differ little in cost and live long, so taking turns is fair enough.
    fn choose_shard(&self, connection: ConnectionId) -> &Arc<Mailbox> {
        let turn = connection.number % self.inner.mailboxes.len() as u64;
        &self.inner.mailboxes[turn as usize]
    }

    /// Waits until there is a record after `after`; returns the head. Drop the future to stop
    /// waiting.
    pub async fn wait(&self, after: Position) -> Position {
        let mut head = self.inner.head.subscribe();
        let moved = head.wait_for(|head| *head > after).await;
        moved.map_or(after, |head| *head)
    }

    /// Shuts down gracefully: new subscribers are rejected, and those connected are asked to come
    /// back and closed, spread over `window`. Returns when the last one is closed.
    pub async fn drain(&self, window: Duration) {
        self.inner.counters.start_draining();
        for mailbox in &self.inner.mailboxes {
            mailbox.post(Message::Drain { window_ms: millis(window) });
        }
        let emptied = self.inner.counters.emptied();
        // A subscriber that is still there by then does not take its last bytes.
        let _ = tokio::time::timeout(window + DRAIN_GRACE, emptied).await;
    }

    /// Finishes what requests have begun, commits what is queued, and ends the threads. Call it
    /// after [`drain`](Self::drain).
    pub async fn stop(&self) {
        self.inner.counters.start_draining();
        // While everything still works.
        self.inner.begun.ended(FINISH_MAX).await;
        self.inner.stopping.store(true, Ordering::Release);
        self.inner.committer.stop();
        self.inner.wills.stop();
        self.inner.replay.stop();
        for mailbox in &self.inner.mailboxes {
            mailbox.post(Message::Stop);
        }
        let threads = &self.inner.threads;
        let threads = std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(|| {
            for thread in threads {
                // A thread that panicked has already reported it.
                let _ = thread.join();
            }
        });
        let _ = joined.await;
        let left = self.inner.begun.ended(FINISH_MAX).await;
        if left > 0 {
            tracing::warn!(tasks = left, "what requests have begun did not end in time and is cut");
        }
    }

    /// Runs `read` where waiting for a disk does not block other work.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Log) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = Arc::clone(&self.inner.reads).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let inner = Arc::clone(&self.inner);
        let task = tokio::task::spawn_blocking(move || {
            // The read continues after its caller has stopped waiting, and counts until it is done.
            let _permit = permit;
            inner.store.is_fetched()?;
            read(&*inner.store)
        });
        task.await.unwrap_or_else(|panic| {
            Err(ReadError::Away { retry: READ_RETRY, source: Arc::new(panic) })
        })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Inner {
    /// `position` with its check, as far as that is known without an error.
    fn mark(&self, position: Position) -> Mark {
        self.store.mark(position).unwrap_or(position.into())
    }

    /// Distinguishes this process's connections from those of the previous one.
    fn run(&self) -> u32 {
        self.config.seed as u32
    }
}

/// Whether a subscriber that starts at `start` has every event there is for it.
fn has_all(store: &dyn Log, interest: &Interest, start: &Resolved) -> Result<bool, ReadError> {
    let (mut after, told, upto) = (start.position, start.told, store.bounds().head);
    let interest = Some(interest);
    while after < upto {
        let query =
            ReadQuery { after, upto, told, interest, records_max: 1, bytes_max: usize::MAX };
        let page = store.read(&query)?;
        if !page.records.is_empty() {
            return Ok(false);
        }
        after = page.reached;
    }
    Ok(true)
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
