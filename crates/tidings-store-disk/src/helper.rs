//! The helper thread: slow work on files that no publisher should wait for.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use crate::ahead::Ahead;
use crate::error::Fault;
use crate::index::{IndexFile, write_index};
use crate::limits::JOBS_MAX;
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
    while let Ok(job) = jobs.recv() {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let done = match job {
            Job::Index(sealed) => shared.write_index(&sealed),
            Job::Remove(sealed) => shared.remove(&sealed),
            Job::Fill(ahead) => ahead.work(&*shared.disk),
            Job::Sync(log) => log.file.sync().map_err(|error| log.io_fault("sync", &error)),
        };
        if let Err(fault) = done {
            shared.fail(fault);
        }
    }
}

impl Shared {
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
