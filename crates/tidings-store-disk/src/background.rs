//! The background thread: slow work on files that no publisher should wait for.
//!
//! Work that fails is tried again: pending indexes and removals are found in the store's state, not
//! in the queue, so nothing is forgotten and nothing is queued twice.

use std::io;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel,
};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidings_hub::{Position, Topic, with_causes};

use crate::error::Fault;
use crate::index::{IndexFile, write_index};
use crate::limits::{
    BACKGROUND_RETRY_MAX, BACKGROUND_RETRY_MIN, BACKGROUND_TICK, COUNT_PAGE, JOBS_MAX,
};
use crate::preallocate::Preallocation;
use crate::segment::{Index, Sealed, SegmentLog, index_name, log_name};
use crate::state::{SegmentRef, Shared};

/// A job for the background thread.
pub(crate) enum Job {
    /// Write the index of a segment that was just sealed, and free its memory.
    Index,
    /// Remove a segment that retention dropped.
    Remove(Arc<Sealed>),
    /// Fill a part of the segment with zeros.
    Fill(Arc<Preallocation>),
    /// Sync data that the operating system has.
    Sync(Arc<SegmentLog>),
    /// Drop this, so that its other end learns that all earlier jobs are done.
    Turn(Sender<()>),
}

/// A handle to the background thread.
pub(crate) struct Background {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the thread, which first removes the segments `dropped`.
    pub(crate) fn start(shared: &Arc<Shared>, dropped: Vec<Position>) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(JOBS_MAX);
        let shared = Arc::downgrade(shared);
        let thread = std::thread::Builder::new()
            .name("tidings-store".to_owned())
            .spawn(move || serve(&waiting, &shared, dropped))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands over a job; waits if too many are waiting already.
    pub(crate) fn send(&self, shared: &Shared, job: Job) {
        if let Some(jobs) = &self.jobs
            && jobs.send(job).is_err()
        {
            shared.trouble.set(Fault::BackgroundEnded.poisons());
        }
    }

    /// Nothing comes from what is returned, but its other end is dropped when all jobs before this
    /// are done, or with the thread.
    pub(crate) fn turn(&self, shared: &Shared) -> Receiver<()> {
        let (turn, done) = channel();
        self.send(shared, Job::Turn(turn));
        done
    }

    /// Hands over an optional job; `false` if it will not be done.
    pub(crate) fn try_send(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }

    /// Waits until everything is done, and ends the thread.
    pub(crate) fn stop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn serve(jobs: &Receiver<Job>, shared: &Weak<Shared>, dropped: Vec<Position>) {
    let _guard = Guard(shared);
    let mut work = Work { removals: dropped, ..Work::default() };
    let Some(counting) = shared.upgrade() else {
        return;
    };
    counting.disk.keep_spare_files();
    work.count(&counting, jobs);
    drop(counting);
    loop {
        let job = match jobs.recv_timeout(BACKGROUND_TICK) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match job {
            Some(job) => work.take(&shared, job),
            None => work.look_around(&shared),
        }
    }
    if let Some(shared) = shared.upgrade() {
        work.finish(&shared);
    }
}

/// Poisons the log if the thread panics: the log cannot work without it.
struct Guard<'a>(&'a Weak<Shared>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(shared) = self.0.upgrade()
        {
            shared.trouble.set(Fault::BackgroundEnded.poisons());
        }
    }
}

/// The thread's own state: work that is pending besides the current job.
#[derive(Default)]
struct Work {
    /// First positions of the segments whose files are to be removed, oldest first.
    removals: Vec<Position>,
    /// Beginning of the log as noted in its format file, if a removal failed.
    noted: Position,
    removing: Backoff,
    indexing: Backoff,
}

impl Work {
    fn take(&mut self, shared: &Shared, job: Job) {
        match job {
            Job::Index => self.write_indexes(shared),
            Job::Remove(sealed) => {
                shared.uncount(&sealed);
                self.remove(shared, sealed.first());
            }
            Job::Fill(part) => {
                if let Err(fault) = part.work(&*shared.disk) {
                    shared.trouble.set(fault.poisons());
                }
            }
            Job::Sync(log) => {
                if let Err(error) = log.file.sync() {
                    shared.trouble.set(log.io_fault("sync", error).poisons());
                }
            }
            Job::Turn(turn) => drop(turn),
        }
    }

    /// Periodic work.
    fn look_around(&mut self, shared: &Shared) {
        shared.disk.keep_spare_files();
        shared.note_place();
        shared.remake_misleading();
        self.write_indexes(shared);
        self.remove_dropped(shared);
    }

    /// Tries everything once more before the thread ends.
    fn finish(&mut self, shared: &Shared) {
        self.removing = Backoff::default();
        self.indexing = Backoff::default();
        self.write_indexes(shared);
        self.remove_dropped(shared);
    }

    /// Counts the topics that were in the log when it was opened. Other jobs come first.
    fn count(&mut self, shared: &Shared, jobs: &Receiver<Job>) {
        let complete: Vec<_> = shared.read_state().complete().cloned().collect();
        // Counting is an earlier job than these.
        let mut turns = Vec::new();
        for segment in &complete {
            let first = segment.first();
            let counted = shared.each_page(segment, |page| {
                loop {
                    match jobs.try_recv() {
                        Ok(Job::Turn(turn)) => turns.push(turn),
                        Ok(job) => self.take(shared, job),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => return false,
                    }
                }
                // If it has gone meanwhile, its topics will be subtracted later, or were.
                let is_kept = shared.read_state().complete().any(|kept| kept.is_same_file(segment));
                if is_kept {
                    shared.topic_count.add(page, first);
                }
                is_kept
            });
            if let Err(fault) = counted {
                tracing::warn!(reason = %fault, "not all topics of the log could be counted");
            }
        }
    }

    /// Writes the indexes that are only in memory.
    fn write_indexes(&mut self, shared: &Shared) {
        if !self.indexing.is_due() {
            return;
        }
        let in_memory = |segment: &&Arc<Sealed>| matches!(segment.index, Index::Memory(_));
        let waiting: Vec<_> = shared.read_state().complete().filter(in_memory).cloned().collect();
        let mut outcome = Ok(());
        for segment in &waiting {
            let written = shared.write_index(segment);
            outcome = outcome.and(written);
        }
        self.indexing.note(shared, outcome, "an index cannot be written, and is kept in memory");
    }

    /// Removes the files of segments that retention dropped. Older ones must be gone for good
    /// before newer ones are removed, or a power cut could leave a gap. If an old one cannot be
    /// removed, the format file first records that the log begins after all of them.
    fn remove_dropped(&mut self, shared: &Shared) {
        if !self.removing.is_due() {
            return;
        }
        // Removals left from earlier are tried first; those that fail are left again.
        let mut outcome = Ok(());
        let mut left = Vec::new();
        for first in std::mem::take(&mut self.removals) {
            let is_allowed = outcome.is_ok() || self.note_beginning(shared);
            let removed = if is_allowed { shared.remove(first) } else { Ok(()) };
            if !is_allowed || removed.is_err() {
                left.push(first);
            }
            outcome = outcome.and(removed);
        }
        self.removals = left;
        self.removing.note(shared, outcome, "a segment that retention dropped cannot be removed");
    }

    /// Removes the files of one more segment, without waiting until failed removals are tried
    /// again.
    fn remove(&mut self, shared: &Shared, first: Position) {
        let is_next = self.removals.is_empty();
        self.removals.push(first);
        if is_next {
            self.remove_dropped(shared);
        } else if self.note_beginning(shared) && shared.remove(first).is_ok() {
            self.removals.pop();
        }
    }

    /// Records on disk where the log begins. Returns whether that succeeded.
    fn note_beginning(&mut self, shared: &Shared) -> bool {
        let first = shared.read_state().hot_first();
        if self.noted < first && shared.note_beginning(first).is_ok() {
            self.noted = first;
        }
        self.noted == first
    }
}

/// When to try again something that failed.
#[derive(Default)]
pub(crate) struct Backoff {
    /// After a failure: the length of the wait, and its end.
    failing: Option<(Duration, Instant)>,
}

impl Backoff {
    pub(crate) fn is_due(&self) -> bool {
        self.failing.is_none_or(|(_, due)| due <= Instant::now())
    }

    pub(crate) fn note(&mut self, shared: &Shared, outcome: Result<(), Fault>, what: &str) {
        match outcome {
            Ok(()) => {
                if self.failing.take().is_some() {
                    tracing::info!("mended: {what}");
                }
            }
            Err(fault) => {
                shared.count_background_failure();
                if self.failing.is_none() {
                    let reason = with_causes(&fault);
                    tracing::warn!(reason, "{what}; it will be tried again");
                }
                let wait = self
                    .failing
                    .map_or(BACKGROUND_RETRY_MIN, |(wait, _)| (wait * 2).min(BACKGROUND_RETRY_MAX));
                self.failing = Some((wait, Instant::now() + wait));
            }
        }
    }
}

impl Shared {
    /// Checks that the folder is where it was.
    pub(crate) fn see_in_place(&self) -> Result<(), Fault> {
        match self.disk.is_in_place() {
            Ok(true) => Ok(()),
            Ok(false) => {
                let what = "was moved or replaced while the log was open";
                Err(Fault::Misplaced { path: self.config.path.clone(), what })
            }
            Err(error) => Err(Fault::io("find the folder", &self.config.path, error)),
        }
    }

    /// Checks whether the files are where they were. The writer makes its own check that its file
    /// has a name; this one is for hubs without publishers.
    fn note_place(&self) {
        let log = Arc::clone(&self.read_state().active.log);
        if let Err(fault) = log.see_linked() {
            self.trouble.set(fault.poisons());
        } else if let Err(fault) = self.see_in_place() {
            self.trouble.set(fault.refuses());
        }
    }

    fn write_index(&self, sealed: &Arc<Sealed>) -> Result<(), Fault> {
        let Index::Memory(memory) = &sealed.index else {
            return Ok(());
        };
        // While records of it are being erased, its index is about to be another.
        let Ok(_one) = sealed.log.repair.try_lock() else {
            return Ok(());
        };
        if !self.read_state().complete().any(|kept| Arc::ptr_eq(kept, sealed)) {
            return Ok(());
        }
        let name = sealed.log.index_name();
        let written = write_index(&*self.disk, &name, memory, sealed.indexed())
            .and_then(|()| IndexFile::open(&*self.disk, &name, sealed.log.salt));
        let path = self.disk.path(&name);
        let file = written
            .map_err(|error| Fault::io("write the index", &path, error))?
            .ok_or_else(|| Fault::damaged(&path, "it cannot be read back"))?;
        let on_disk = Arc::new(sealed.with_index(Index::File(Arc::new(file))));
        self.write_state().replace(sealed, &on_disk);
        Ok(())
    }

    /// Subtracts the topics of a segment that retention dropped.
    fn uncount(&self, sealed: &Arc<Sealed>) {
        let uncounted = self.each_page(sealed, |page| {
            self.topic_count.remove(page, sealed.first());
            true
        });
        if let Err(fault) = uncounted {
            tracing::warn!(reason = %fault, "dropped topics will be counted until a restart");
        }
    }

    /// Records in the format file that the log begins at `first`.
    fn note_beginning(&self, first: Position) -> io::Result<()> {
        self.rewrite_format(|name| name.kept_from = first)
    }

    fn remove(&self, first: Position) -> Result<(), Fault> {
        // The index may not have been written yet.
        for name in [log_name(first), index_name(first)] {
            self.remove_file(&name)?;
        }
        self.disk.sync().map_err(|error| Fault::io("sync", &self.config.path, error))
    }

    /// Calls `take` with the topics of a segment, some at a time, for as long as it returns `true`.
    pub(crate) fn each_page(
        &self,
        segment: &Arc<Sealed>,
        mut take: impl FnMut(&[Topic]) -> bool,
    ) -> Result<(), Fault> {
        let mut after = None::<Topic>;
        loop {
            let ask =
                |segment: SegmentRef<'_>| segment.index.topics("", after.as_ref(), COUNT_PAGE);
            let page = self.ask_index(segment, ask)?;
            let page: Vec<_> = page.into_iter().map(|(topic, _)| topic).collect();
            if page.is_empty() || !take(&page) || page.len() < COUNT_PAGE {
                return Ok(());
            }
            after = page.into_iter().next_back();
        }
    }
}
