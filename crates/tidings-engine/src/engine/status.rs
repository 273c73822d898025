//! The state of an engine, for operators.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use tidings_hub::{
    AppendError, Backlog, Bounds, CloseReason, EventId, Following, Health, Kind, Matcher,
    ReadError, ReadQuery, Record, ResetReason, Retained, SharedLog, Topic,
};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::Engine;
use crate::committer::topic_count;
use crate::connection::{Connection, ConnectionId};
use crate::histogram::Durations;
use crate::limits::{QUESTION_PATIENCE, STORE_LOOK_INTERVAL, TOPICS_PER_QUESTION_MAX};
use crate::message::{Message, Question};
use crate::search::{Search, Subscriber};

/// The state reported by `/readyz` and the metrics.
#[derive(Clone, Debug)]
pub struct Status {
    /// Health of the store.
    pub store: Health,
    /// How the copy of a shared log follows it; `None` if the log is not shared.
    pub following: Option<Following>,
    /// Number of subscribers, since the start, that could not continue where they asked to, by
    /// reason.
    pub resets: [(ResetReason, u64); ResetReason::ALL.len()],
    /// Whether the hub is shutting down.
    pub draining: bool,
    /// Number of subscribers connected now.
    pub subscribers: usize,
    /// Numbers of those that a worker serves through its own socket, and through a response body.
    pub sinks: [usize; 2],
    /// Number of closed subscribers by reason.
    pub closes: Vec<(CloseReason, u64)>,
    /// Number of events erased since the start.
    pub erased: u64,
    /// Number of events delivered to subscribers since the start.
    pub deliveries: u64,
    /// Number of writes to subscribers since the start.
    pub writes: u64,
    /// Bytes written to subscribers since the start.
    pub bytes_written: u64,
    /// Range of the log that can be read.
    pub bounds: Bounds,
    /// Number of topics with events in the log.
    pub topics: usize,
    /// Maximum number of topics.
    pub topics_max: usize,
}

/// Latencies since the start.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// Publishes: from arrival in the engine to the answer.
    pub publishes: Durations,
    /// Deliveries, one per batch and worker: from the first publish of the batch to the write to
    /// the last live subscriber.
    pub deliveries: Durations,
    /// Commits: batches appended to the store, as firmly as it promises.
    pub commits: Durations,
}

impl Engine {
    /// The rule of retention that events on `topic` fall under, if there is one.
    pub fn rule_of(&self, topic: &Topic) -> Option<Arc<str>> {
        self.inner.store.catalog().rule_of(topic)
    }

    /// What the rules of retention keep. Cheap.
    pub fn retained(&self) -> Retained {
        self.inner.store.catalog().retained()
    }

    /// Number of keys of `topic` that have a value. Cheap.
    pub fn keys_of(&self, topic: &Topic) -> u64 {
        self.inner.store.slots().keys_of(topic)
    }

    /// The current state.
    pub fn status(&self) -> Status {
        let store = &self.inner.store;
        let counters = &self.inner.counters;
        Status {
            store: store.health(),
            following: store.shared().map(SharedLog::following),
            resets: counters.resets(),
            draining: counters.is_draining(),
            subscribers: counters.subscribers(),
            sinks: counters.sinks(),
            closes: counters.closes(),
            erased: counters.erased_events(),
            deliveries: counters.deliveries(),
            writes: counters.writes(),
            bytes_written: counters.bytes_written(),
            bounds: store.bounds(),
            topics: topic_count(&**store),
            topics_max: self.inner.config.topics_max,
        }
    }

    /// Ready when the store has failed for good, with the reason: only a new process, which looks
    /// at what is on the disk, can take events again.
    pub async fn store_failed(&self) -> AppendError {
        loop {
            if let Some(failure) = self.inner.store.health().failure.filter(AppendError::is_final) {
                return failure;
            }
            tokio::time::sleep(STORE_LOOK_INTERVAL).await;
        }
    }

    /// Waits until one of the engine's threads has panicked, and returns its name. From then on the
    /// engine rejects new subscribers and publishes, and nothing waits for the thread; only a new
    /// engine, or better a new process, serves again. The caller decides what happens to the
    /// process.
    pub async fn thread_panicked(&self) -> Box<str> {
        let mut panicked = self.inner.panicked.subscribe();
        match panicked.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(name)) => name.clone(),
            // The sender lives as long as this engine.
            _ => std::future::pending().await,
        }
    }

    /// Permanent failures, which only a new process can fix; empty if all is well. A worker has
    /// [`QUESTION_PATIENCE`] to answer.
    pub async fn failures(&self) -> Vec<&'static str> {
        let mut failures = Vec::new();
        if self.inner.stopping.load(Ordering::Acquire) {
            return failures;
        }
        if self.has_lost_thread() {
            failures.push("thread_ended");
        }
        if self.ask_all_within(&self.inner.pings, Question::Ping).await.len()
            < self.inner.mailboxes.len()
        {
            failures.push("worker_silent");
        }
        failures
    }

    /// Whether a thread has ended unexpectedly.
    fn has_lost_thread(&self) -> bool {
        let threads = self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.panicked.borrow().is_some() || threads.iter().any(JoinHandle::is_finished)
    }

    /// The latencies since the start.
    pub fn latencies(&self) -> Latencies {
        let timings = &self.inner.counters.timings;
        Latencies {
            publishes: timings.publishes.durations(),
            deliveries: timings.deliveries.durations(),
            commits: timings.commits.durations(),
        }
    }

    /// For each of `topics`, the number of subscribers that an event on it would reach if only its
    /// topic decides.
    pub async fn subscribers_of(&self, topics: &[Topic]) -> Vec<u64> {
        let mut all = Vec::with_capacity(topics.len());
        // A part at a time, so that workers deliver in between.
        for part in topics.chunks(TOPICS_PER_QUESTION_MAX) {
            let part: Arc<[Topic]> = part.into();
            let ask = |answer| Question::Subscribers(Arc::clone(&part), answer);
            let mut sums = vec![0; part.len()];
            for counts in self.ask_all(ask).await {
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
            all.append(&mut sums);
        }
        all
    }

    /// The subscribers that are behind, and how far; the sum over all workers.
    pub async fn backlog(&self) -> Backlog {
        let mut sum = Backlog::default();
        for one in self.ask_all(Question::Backlog).await {
            sum.blocked += one.blocked;
            sum.catching_up += one.catching_up;
            sum.lag_max = sum.lag_max.max(one.lag_max);
            sum.rings_bytes += one.rings_bytes;
            sum.groups += one.groups;
        }
        sum
    }

    /// Details of the connection `id`, if it is connected or ended recently.
    pub async fn connection(&self, id: ConnectionId) -> Option<Connection> {
        let ask = |answer| Question::Connection(id, answer);
        let present = self.ask_all(ask).await.into_iter().flatten().next();
        // It may have closed during the query.
        present.or_else(|| self.inner.closed_connections.find(id))
    }

    /// The subscribers that `search` means, in the order of their connections' ids. One that is
    /// [open](Engine::open) but not attached yet is not among them.
    pub async fn search(&self, search: Search) -> Vec<Subscriber> {
        let search = Arc::new(search);
        let found = self.ask_all(|answer| Question::Search(Arc::clone(&search), answer)).await;
        let mut found: Vec<_> = found.into_iter().flatten().collect();
        found.sort_unstable_by_key(|subscriber| subscriber.id);
        found.truncate(search.max);
        found
    }

    /// The record that subscribers know as `id`, if it is in the log.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn record(&self, id: String) -> Result<Option<Arc<Record>>, ReadError> {
        let read = self.read(move |store| {
            let position = match store.identity().mark_of(&id) {
                Some(mark) => store.fits(mark)?.then_some(mark.position),
                None => {
                    let id = EventId::new(&id).ok();
                    let find = |id: EventId| store.catalog().find(&id, &[Matcher::All]);
                    id.map(find).transpose()?.flatten()
                }
            };
            let bounds = store.bounds();
            let Some(position) = position.filter(|at| *at >= bounds.first && *at <= bounds.head)
            else {
                return Ok(None);
            };
            let page = store.read(&ReadQuery::one(position))?;
            Ok(page.records.into_iter().find(|record| record.kind != Kind::Note))
        });
        match read.await {
            Err(ReadError::Expired { .. }) => Ok(None),
            other => other,
        }
    }

    /// Queries every worker, and waits for all answers. A worker that has stopped, or is stuck,
    /// gives none.
    async fn ask_all<T>(&self, question: impl Fn(oneshot::Sender<T>) -> Question) -> Vec<T> {
        self.ask_all_within(&self.inner.questions, question).await
    }

    /// The same within the bound of `questions`: an abandoned query still counts until every worker
    /// has seen it.
    async fn ask_all_within<T>(
        &self,
        questions: &Arc<Semaphore>,
        question: impl Fn(oneshot::Sender<T>) -> Question,
    ) -> Vec<T> {
        let permit = timeout(QUESTION_PATIENCE, Arc::clone(questions).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Vec::new() };
        let permit = Arc::new(permit);
        let mut answers = Vec::new();
        for mailbox in &self.inner.mailboxes {
            let (answer, answered) = oneshot::channel();
            mailbox.post(Message::Ask(question(answer), Arc::clone(&permit)));
            answers.push(answered);
        }
        drop(permit);
        let mut all = Vec::with_capacity(answers.len());
        for answered in answers {
            if let Ok(Ok(answer)) = timeout(QUESTION_PATIENCE, answered).await {
                all.push(answer);
            }
        }
        all
    }
}
