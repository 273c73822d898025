//! What writes to the store: one thread, or another one in its place.
//!
//! Publishers put their drafts into a queue and wait. The committer takes everything in the queue,
//! up to a batch, appends it with one call (one `fsync`), answers all of its publishers, and looks
//! again. No delay is added to make batches bigger: while one batch is being synced, the next one
//! collects by itself. While the committer sleeps, a thread with a single publisher can commit what
//! that brings ([`tray`]), so that it waits for no other thread.

mod desk;
mod keys;
mod maxima;
mod queue;
mod run;
mod stream;
mod topics;
mod tray;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_hub::{AppendError, Appended, Draft, EventId, Fate, Kind, Log};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::clock::wall_clock;
use crate::error::{PublishError, StreamError};
use crate::limits::{
    COMMIT_BATCH_BYTES_MAX, COMMIT_QUEUE_BYTES_MAX, OVERTAKEN_MAX, RETENTION_INTERVAL,
};
use crate::timings::Timings;
use crate::topic_share::TopicShare;

pub(crate) use desk::Desk;
pub(crate) use maxima::Maxima;
pub(crate) use queue::JobQueue;
use run::TopicEnd;
pub(crate) use stream::{JobStream, OpenStreams};
pub(crate) use topics::topic_count;
pub use tray::carry_publishes;
use tray::{Answers, Waiting};
use verdict::{Judgement, Verdict, judge};

/// A handle to the committer.
pub(crate) struct Committer {
    pub(crate) queue: JobQueue,
    /// Bytes that the queue still takes. Publishers wait here when it is full.
    room: Arc<Semaphore>,
    maxima: Maxima,
    pub(crate) streams: Arc<OpenStreams>,
}

/// What is appended of drafts of which one is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taking {
    /// None of them.
    AllOrNothing,
    /// Those before the wrong one.
    UpToTheFirstWrongOne,
}

/// One publisher's drafts.
pub(crate) struct Job {
    drafts: Vec<Draft>,
    taking: Taking,
    cost: usize,
    came: Instant,
    /// Its topics must have no events yet.
    begins: bool,
    /// Bounds the topics that it begins.
    topic_share: Option<Arc<TopicShare>>,
    stream: Option<JobStream>,
    waiting: Waiting,
    /// Held until the job is answered, whether or not its publisher still waits: queued drafts, and
    /// those being synced, are in memory either way.
    _room: OwnedSemaphorePermit,
}

impl Committer {
    pub(crate) fn new(maxima: Maxima) -> Self {
        Self {
            queue: JobQueue::default(),
            room: Arc::new(Semaphore::new(COMMIT_QUEUE_BYTES_MAX)),
            maxima,
            streams: Arc::default(),
        }
    }

    /// Appends `drafts`, which came at `came`, together with what other publishers bring at the
    /// same time; with a `topic_share`, only if it has room for the topics that they begin. `desk`
    /// is this committer's.
    pub(crate) async fn append(
        &self,
        desk: Arc<dyn Desk>,
        drafts: Vec<Draft>,
        topic_share: Option<Arc<TopicShare>>,
        stream: Option<JobStream>,
        taking: Taking,
        came: Instant,
    ) -> Result<Vec<Appended>, StreamError> {
        let begins = stream.as_ref().is_some_and(JobStream::take_begins);
        let cost = drafts.iter().map(Draft::cost).sum::<usize>();
        let permits = cost.clamp(1, COMMIT_QUEUE_BYTES_MAX) as u32;
        let room = match Arc::clone(&self.room).try_acquire_many_owned(permits) {
            Ok(room) => room,
            Err(_) => {
                let room = Box::pin(Arc::clone(&self.room).acquire_many_owned(permits)).await;
                room.map_err(|_| PublishError::Stopping)?
            }
        };
        let (answer, answered) = oneshot::channel();
        let job = Job {
            drafts,
            taking,
            cost,
            came,
            begins,
            topic_share,
            stream,
            waiting: Waiting::here(answer),
            _room: room,
        };
        tray::hand_over(desk, job);
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(PublishError::Stopping.into()),
        }
    }

    /// Commits what is queued and ends [`run`](Self::run).
    pub(crate) fn stop(&self) {
        self.queue.stop();
    }

    /// Answers all publishers that nothing was stored, as far as is known: there is no committer
    /// any more.
    pub(crate) fn abandon(&self) {
        self.queue.abandon();
    }

    /// The thread: serves `store` until it is stopped and the queue is empty. Calls `committed`
    /// after each batch, when its publishers have their answers.
    pub(crate) fn run(&self, store: &Arc<dyn Log>, timings: &Timings, committed: impl Fn()) {
        let mut retained = Instant::now();
        let bytes_max = COMMIT_BATCH_BYTES_MAX.min(store.append_bytes_max());
        while let Some(jobs) = self.queue.next_batch(bytes_max) {
            if !jobs.is_empty() {
                self.commit(&**store, jobs, timings);
                committed();
            }
            store.note_time(wall_clock());
            if retained.elapsed() >= RETENTION_INTERVAL {
                retained = Instant::now();
                if let Err(error) = store.retain(wall_clock()) {
                    // The store has said why, once.
                    tracing::debug!(%error, "retention was not applied");
                }
            }
        }
    }

    /// Judges all jobs, appends their drafts in one batch, and gives each its share of the answer.
    ///
    /// If another hub of a shared log has meanwhile stored something that makes a difference, they
    /// are judged again, by the log as it is then: so only the publishers that it concerns learn of
    /// it, and what it was.
    pub(crate) fn commit(&self, store: &dyn Log, mut jobs: Vec<Job>, timings: &Timings) {
        let began = Instant::now();
        // Jobs come in order.
        let came = jobs.first().map_or(began, |job| job.came);
        let mut since = None;
        let mut attempts = 0;
        let (appended, shares, ends) = loop {
            attempts += 1;
            let judged = store.bounds().head;
            let Judgement { verdicts, ends, pieces } = judge(store, &jobs, self.maxima, since);
            since.get_or_insert(judged);
            let is_last = store.shared().is_none() || attempts >= OVERTAKEN_MAX;
            let (mut drafts, shares) = share_out(&mut jobs, verdicts, is_last);
            if drafts.is_empty() {
                break (Ok(Vec::new()), shares, ends);
            }
            timings.committing(came);
            keys::set_places(&mut drafts, &pieces);
            let appended =
                keys::keep_ended(store, &mut drafts).map_err(PublishError::Unread).and_then(|()| {
                    let appended = store.append_judged(drafts, judged, wall_clock());
                    appended.map_err(PublishError::Store)
                });
            let is_overtaken = matches!(
                appended,
                Err(PublishError::Store(AppendError::Away { retry: Duration::ZERO, .. }))
            );
            if is_last || !is_overtaken {
                break (appended, shares, ends);
            }
        };
        let mut answers = Answers::default();
        let upto = appended.iter().flatten().map(|one| one.position).max();
        timings.committed(upto, began.elapsed());
        match appended {
            Ok(appended) => {
                for TopicEnd { topic, by } in &ends {
                    self.streams.end(topic, by.as_ref());
                }
                let mut next = 0;
                for (share, job) in shares.into_iter().zip(jobs) {
                    share.answer(job, &appended, &mut next, &mut answers);
                }
            }
            Err(error) => {
                // The store has said why, once.
                tracing::debug!(%error, "a batch was not stored");
                for (share, job) in shares.into_iter().zip(jobs) {
                    share.fail(job, error.clone(), &mut answers);
                }
            }
        }
        // Hands them over.
        drop(answers);
    }
}

/// The drafts that are stored of a batch, and each job's part of it. Only with `is_last` are the
/// drafts taken from the jobs: else they are copied, as they may be judged again.
fn share_out(jobs: &mut [Job], verdicts: Vec<Verdict>, is_last: bool) -> (Vec<Draft>, Vec<Share>) {
    let mut drafts = Vec::with_capacity(jobs.iter().map(|job| job.drafts.len()).sum());
    let mut shares = Vec::with_capacity(jobs.len());
    for (job, verdict) in jobs.iter_mut().zip(verdicts) {
        let mut own = if is_last { std::mem::take(&mut job.drafts) } else { job.drafts.clone() };
        own.truncate(verdict.count);
        if job.begins {
            // A log that hubs share compares again: another hub can have begun the topic since.
            let events = own.iter_mut().filter(|draft| draft.kind != Kind::Note);
            events.for_each(|draft| draft.begins = true);
        }
        let mut share = Share { verdict, repeated: Vec::new() };
        match &share.verdict.fates {
            None => drafts.extend(own),
            Some(fates) => {
                for (draft, fate) in own.into_iter().zip(fates) {
                    match fate {
                        Fate::Store => drafts.push(draft),
                        Fate::Repeats(_) | Fate::RepeatsNew(_) => share.repeated.extend(draft.id),
                    }
                }
            }
        }
        shares.push(share);
    }
    (drafts, shares)
}

/// One job's part of a batch.
struct Share {
    verdict: Verdict,
    /// The ids of its drafts that are repetitions, in order.
    repeated: Vec<EventId>,
}

impl Share {
    /// Answers with this job's part of what was stored, which begins at `next`.
    fn answer(self, job: Job, stored: &[Appended], next: &mut usize, answers: &mut Answers) {
        let mut take = || {
            *next += 1;
            stored[*next - 1].clone()
        };
        let appended = match self.verdict.fates {
            None => (0..self.verdict.count).map(|_| take()).collect(),
            Some(fates) => {
                let mut repeated = self.repeated.into_iter();
                let mut repeat = |position| {
                    let id = repeated.next().expect("a repetition has the id of what it repeats");
                    Appended { position, id, duplicate: true }
                };
                let each = fates.into_iter().map(|fate| match fate {
                    Fate::Store => take(),
                    Fate::Repeats(position) => repeat(position),
                    Fate::RepeatsNew(number) => repeat(stored[number].position),
                });
                each.collect()
            }
        };
        let answer = match self.verdict.error {
            None => Ok(appended),
            Some(mut error) => {
                job.break_off();
                if let Some(number) = self.verdict.current
                    && let PublishError::VersionDiffers { current, .. } = &mut error
                {
                    *current = Some(stored[number].id.clone());
                }
                Err(StreamError { appended, error })
            }
        };
        answers.give(job.waiting, answer);
    }

    /// The store did not take the batch.
    fn fail(self, job: Job, error: PublishError, answers: &mut Answers) {
        job.break_off();
        // What a publisher's expectation was compared with may not be there after all.
        let own = self.verdict.error.filter(|_| self.verdict.current.is_none());
        answers.give(job.waiting, Err(own.unwrap_or(error).into()));
    }
}

impl Job {
    /// Nothing more of its stream is published.
    fn break_off(&self) {
        if let Some(stream) = &self.stream {
            stream.break_off();
        }
    }
}
