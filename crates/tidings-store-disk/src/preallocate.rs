//! Preallocation: zeros written ahead of the end of the log.
//!
//! A sync of bytes that overwrite others is cheaper than a sync of bytes that lengthen a file or
//! take new blocks: the file system has no metadata to record, and its journal thread need not run.
//! So the background thread fills the next part of the segment with zeros before the writer gets
//! there.
//!
//! The part belongs to the background thread while it works on it. A writer that gets there first
//! either takes the task back, if it was not begun, or waits until it is done.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;
use crate::error::Fault;
use crate::segment::{SegmentLog, log_name};

/// A part of a segment that is to be filled with zeros.
pub(crate) struct Preallocation {
    log: Arc<SegmentLog>,
    from: u64,
    /// Offset at which the part ends.
    pub(crate) to: u64,
    stage: Mutex<Stage>,
    finished: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Working,
    /// The writer took it back, or filling it failed.
    Given,
    Done,
}

impl Preallocation {
    pub(crate) fn new(log: &Arc<SegmentLog>, from: u64, to: u64) -> Arc<Self> {
        let stage = Mutex::new(Stage::Waiting);
        Arc::new(Self { log: Arc::clone(log), from, to, stage, finished: Condvar::new() })
    }

    /// Fills the part, on the background thread.
    ///
    /// # Errors
    ///
    /// A sync failed. Bytes that the writer wrote meanwhile may be lost with it.
    pub(crate) fn work(&self, disk: &dyn Disk) -> Result<(), Fault> {
        {
            let mut stage = self.lock();
            if *stage != Stage::Waiting {
                return Ok(());
            }
            *stage = Stage::Working;
        }
        // Whatever happens to the background thread, the writer does not wait for ever.
        let mut working = Working { part: self, outcome: Stage::Given };
        let done = self.fill(disk);
        if matches!(done, Ok(true)) {
            working.outcome = Stage::Done;
        }
        done.map(|_| ())
    }

    /// `Ok(false)` if it cannot be written, perhaps because the disk is full: the writer will find
    /// out.
    fn fill(&self, disk: &dyn Disk) -> Result<bool, Fault> {
        // It uses its own handle: the system reports a failed sync once to each handle, and the
        // writer must not miss it.
        let Ok(file) = disk.open(&log_name(self.log.first)) else {
            return Ok(false);
        };
        let zeros = vec![0; (self.to - self.from) as usize];
        if file.write_at(&zeros, self.from).is_err() {
            return Ok(false);
        }
        file.sync().map_err(|error| self.log.io_fault("sync", error))?;
        Ok(true)
    }

    /// Whether the part can be written to; `None` while the background thread works on it.
    pub(crate) fn outcome(&self) -> Option<bool> {
        match *self.lock() {
            Stage::Done => Some(true),
            Stage::Given => Some(false),
            Stage::Waiting | Stage::Working => None,
        }
    }

    /// Takes the task back if it was not begun, or waits until it ends; afterwards no thread works
    /// on it. Returns whether it was done.
    pub(crate) fn end(&self) -> bool {
        let mut stage = self.lock();
        if *stage == Stage::Waiting {
            *stage = Stage::Given;
        }
        let finished = self.finished.wait_while(stage, |stage| *stage == Stage::Working);
        *finished.unwrap_or_else(PoisonError::into_inner) == Stage::Done
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part while the background thread has it. Records the outcome, even if that thread panics.
struct Working<'a> {
    part: &'a Preallocation,
    outcome: Stage,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        *self.part.lock() = self.outcome;
        self.part.finished.notify_all();
    }
}
