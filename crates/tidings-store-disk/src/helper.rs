//! The helper thread: slow work on files that no publisher should wait for.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use tidings_hub::Topic;

use crate::ahead::Ahead;
use crate::error::Fault;
use crate::index::{IndexFile, write_index};
use crate::limits::{COUNT_PAGE, JOBS_MAX};
use crate::segment::{Index, Sealed, SegmentLog, index_name, log_name};
use crate::state::Shared;

/// Something to do.
pub(crate) enum Job {
    /// Write the index of a segment that was sealed, and free the memory it took.
    Index(Arc<Sealed>),
    /// Remove a segment that retention dropped.
    Remove(Arc<Sealed>),
    /// Fill a part of the segment with zeros.
    Fill(Arc<Ahead>),
    /// Bring to the disk what the operating system was given.
    Sync(Arc<SegmentLog>),
}

/// The way to the thread.
pub(crate) struct Helper {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    /// Starts the thread.
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(JOBS_MAX);
        let shared = Arc::downgrade(shared);
        let thread = std::thread::Builder::new()
            .name("tidings-store".to_owned())
            .spawn(move || serve(&waiting, &shared))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands over a job; waits if too many are waiting already.
    pub(crate) fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // It cannot be gone: it ends only when the sender is dropped.
            let _ = jobs.send(job);
        }
    }

    /// Hands over a job that may as well not be done; `false` if it will not be.
    pub(crate) fn try_send(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }

    /// Waits until everything is done, and ends the thread.
    pub(crate) fn stop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn serve(jobs: &Receiver<Job>, shared: &Weak<Shared>) {
    let Some(counting) = shared.upgrade() else {
        return;
    };
    counting.count(jobs);
    drop(counting);
    while let Ok(job) = jobs.recv() {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.work(job);
    }
}

impl Shared {
    fn work(&self, job: Job) {
        let done = match job {
            Job::Index(sealed) => self.write_index(&sealed),
            Job::Remove(sealed) => self.remove(&sealed),
            Job::Fill(ahead) => ahead.work(&*self.disk),
            Job::Sync(log) => log.file.sync().map_err(|error| log.io_fault("sync", &error)),
        };
        if let Err(fault) = done {
            self.fail(fault);
        }
    }

    /// Counts the topics that the log was opened with. Other jobs come first.
    fn count(&self, jobs: &Receiver<Job>) {
        let sealed = self.read_state().sealed.clone();
        for segment in &sealed {
            let first = segment.first();
            let counted = each_page(segment, |page| {
                loop {
                    match jobs.try_recv() {
                        Ok(job) => self.work(job),
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => return false,
                    }
                }
                // One that retention has dropped meanwhile is taken out of the count by us, later.
                let is_kept = self.read_state().first() <= first;
                if is_kept {
                    self.census.add(page, first);
                }
                is_kept
            });
            if let Err(fault) = counted {
                tracing::warn!(reason = %fault.0, "not all topics of the log could be counted");
            }
        }
    }

    fn write_index(&self, sealed: &Sealed) -> Result<(), Fault> {
        let Index::Memory(memory) = &sealed.index else {
            return Ok(());
        };
        let is_kept = |kept: &Arc<Sealed>| kept.first() == sealed.first();
        if !self.read_state().sealed.iter().any(is_kept) {
            return Ok(());
        }
        let name = index_name(sealed.first());
        let written = write_index(&*self.disk, &name, memory, sealed.indexed())
            .and_then(|()| IndexFile::open(&*self.disk, &name, sealed.log.salt));
        let path = self.disk.path(&name);
        let file = written
            .map_err(|error| Fault::io("write the index", &path, &error))?
            .ok_or_else(|| Fault::damaged(&path, "it did not read back"))?;
        let on_disk = Arc::new(Sealed {
            log: Arc::clone(&sealed.log),
            index: Index::File(Arc::new(file)),
            ..*sealed
        });
        let mut state = self.write_state();
        if let Some(kept) = state.sealed.iter_mut().find(|kept| is_kept(kept)) {
            *kept = on_disk;
        }
        Ok(())
    }

    fn remove(&self, sealed: &Sealed) -> Result<(), Fault> {
        let uncounted = each_page(sealed, |page| {
            self.census.remove(page, sealed.first());
            true
        });
        if let Err(fault) = uncounted {
            tracing::warn!(reason = %fault.0, "topics that are gone will count until a restart");
        }
        for name in [log_name(sealed.first()), index_name(sealed.first())] {
            match self.disk.remove(&name) {
                // The index may not have been written yet.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Fault::io("remove", &self.disk.path(&name), &error));
                }
                _ => {}
            }
        }
        // Older segments must be gone for good before newer ones go, or a power cut could leave a
        // gap.
        self.disk.sync().map_err(|error| Fault::io("sync", &self.config.path, &error))
    }
}

/// Calls `take` with the topics of a segment, some at a time, as long as it says to go on.
fn each_page(segment: &Sealed, mut take: impl FnMut(&[Topic]) -> bool) -> Result<(), Fault> {
    let mut after = None::<Topic>;
    loop {
        let page = segment.index().topics("", after.as_ref(), COUNT_PAGE)?;
        let page: Vec<_> = page.into_iter().map(|(topic, _)| topic).collect();
        if page.is_empty() || !take(&page) || page.len() < COUNT_PAGE {
            return Ok(());
        }
        after = page.into_iter().next_back();
    }
}
