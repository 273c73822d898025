//! Erasing records: their bytes are overwritten where they are.
//!
//! # In each file
//!
//! 1. Its index is removed: the names of topics and ids are in it. A log that is opened now makes
//!    it again.
//! 2. Blocks with records to be erased are made anew: such a record keeps its place and its length,
//!    and nothing else. Some of them at a time go to the file [`redo`], and from there to their
//!    places.
//! 3. The index is made again.
//!
//! So after a crash at any moment each block is either as it was or as it is to be, and no index
//! names what is gone. An erasure that was interrupted is asked for again by whoever has no answer
//! yet; what it did before stays done.
//!
//! # Beside others
//!
//! - The job of retention that is being done is given up, and none begins until the erasure is
//!   over: otherwise the bytes would be in files that no catalogue names.
//! - No backup is made meanwhile.
//! - In the segment that is being written, it is done under the writer's lock, some blocks at a
//!   time, so that appends go on in between.
//! - Readers of half a block read it again.

mod blocks;
mod leftovers;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tidings_hub::limits::ERASED_TOPICS_MAX;
use tidings_hub::{Erase, EraseError, Erased, Eraser, Position, Topic};

use crate::DiskStore;
use crate::error::Fault;
use crate::index::MemoryIndex;
use crate::limits::LEFTOVERS_PATIENCE;
use crate::recovery;
use crate::repair::fault_of;
use crate::segment::Sealed;
use crate::state::{SegmentRef, Shared};

use blocks::{Taken, Targets};

/// How often it is looked whether a backup is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What erasures erased before they failed. Those that asked for them only learn that they failed,
/// and an erasure that is asked for again no longer finds it: but what is held of it in memory is
/// to be forgotten. So it is named with what the next one erases that reaches as far.
#[derive(Debug, Default)]
pub(crate) struct Unheard {
    topics: BTreeSet<Topic>,
    upto: Position,
}

impl Unheard {
    fn note(&mut self, mut erased: Erased, upto: Position) {
        if !erased.topics.is_empty() {
            self.upto = self.upto.max(upto);
            // Beyond that number they mean all topics.
            if self.topics.len() <= ERASED_TOPICS_MAX {
                self.topics.append(&mut erased.topics);
            }
        }
    }

    fn tell(&mut self, erased: &mut Erased, upto: Position) {
        if upto >= self.upto {
            erased.topics.append(&mut self.topics);
            self.upto = Position::ZERO;
        }
    }
}

impl Eraser for DiskStore {
    fn erase(&self, what: &Erase, go_on: &dyn Fn() -> bool) -> Result<Erased, EraseError> {
        let erased = self.erase_each(std::slice::from_ref(what), go_on)?;
        Ok(erased.into_iter().next().unwrap_or_default())
    }
}

impl DiskStore {
    /// [Erases](Eraser::erase) what each of `all` says, as if one was done after the other, but
    /// each file is overwritten, and its index made again, only once. Returns what each of them
    /// erased.
    ///
    /// # Errors
    ///
    /// [`EraseError`]; asking again goes on where this ended.
    pub fn erase_each(
        &self,
        all: &[Erase],
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<Erased>, EraseError> {
        let mut unheard = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut erased = vec![Erased::default(); all.len()];
        let outcome = self.erase_into(&mut erased, &unheard, all, go_on);
        for (erased, what) in erased.iter_mut().zip(all) {
            match outcome {
                Ok(()) => unheard.tell(erased, what.upto),
                Err(_) => unheard.note(std::mem::take(erased), what.upto),
            }
        }
        outcome.map(|()| erased)
    }

    /// Erases records. Adds what is done to `erased`, also if it fails then.
    fn erase_into(
        &self,
        erased: &mut [Erased],
        unheard: &Unheard,
        all: &[Erase],
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), EraseError> {
        let shared = &*self.shared;
        // Whoever reads the log for the table of newest records brings no notes of what goes now.
        shared.slots.complete(self)?;
        let _giving_up = shared.give_up_jobs();
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let _no_backup = loop {
            if keeper.remove_all(shared).map_err(stored)?
                && let Some(guard) = shared.disk.hold_off_backups()
            {
                break guard;
            }
            wait(go_on)?;
        };
        shared.ensure_format_2().map_err(|error| {
            stored(Fault::io("write the format in", &shared.config.path, error))
        })?;
        let outcome = self.erase_everywhere(all, erased);
        let mut done = Erased::default();
        erased.iter().for_each(|erased| done.add(erased.clone()));
        // If it failed, some of it may be done, and the same request does not find that again.
        shared.recount_erased(&done.topics);
        outcome?;
        done.topics.extend(unheard.topics.iter().cloned());
        shared.slots.renew(self, &done)?;
        let patience = Instant::now() + LEFTOVERS_PATIENCE;
        while shared.remove_leftovers().map_err(stored)? {
            if Instant::now() > patience {
                let error = io::Error::other("files that were dropped are still there");
                return Err(stored(Fault::io("clean up", &shared.config.path, error)));
            }
            wait(go_on)?;
        }
        Ok(())
    }

    /// Erases records in all files. Adds what is done to `erased`, also if it fails then.
    fn erase_everywhere(&self, all: &[Erase], erased: &mut [Erased]) -> Result<(), EraseError> {
        let shared = &*self.shared;
        loop {
            // The file of new blocks, with which opening the log repairs a block, is the last one.
            shared.trouble.see_not_final().map_err(EraseError::Store)?;
            let complete: Vec<_> = shared.read_state().complete().cloned().collect();
            for file in &complete {
                shared.erase_in(file, all, erased)?;
            }
            // Otherwise the segment was sealed in between.
            if self.erase_in_active(all, erased)? {
                return Ok(());
            }
        }
    }

    /// Erases records in the segment that is being written. Returns whether it is done with all of
    /// them: the segment may have become another one.
    fn erase_in_active(&self, all: &[Erase], erased: &mut [Erased]) -> Result<bool, EraseError> {
        let shared = &*self.shared;
        let log = Arc::clone(&shared.read_state().active.log);
        let mut left = None::<Targets>;
        loop {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            if !Arc::ptr_eq(&shared.read_state().active.log, &log) {
                return Ok(false);
            }
            shared.trouble.see_not_final().map_err(EraseError::Store)?;
            let targets = match &mut left {
                Some(targets) => targets,
                None => {
                    let state = shared.read_state();
                    let (log, last) = (&state.active.log, state.head);
                    let index = &state.active.index;
                    let targets = Targets::find(&SegmentRef { log, last, index }, all);
                    left.insert(targets.map_err(stored)?)
                }
            };
            if targets.is_empty() {
                return Ok(true);
            }
            let taken = shared.erase_blocks(&log, targets, all)?;
            shared.forget_erased(&taken, erased);
            if !targets.is_empty() {
                drop(writer);
                continue;
            }
            let index = recovery::index_of_active(&log).map_err(|error| {
                // The index in memory no longer fits.
                EraseError::Store(shared.trouble.set(fault_of(error).poisons()))
            })?;
            shared.write_state().active.index = index;
            drop(writer);
        }
    }
}

impl Shared {
    /// Erases records in a complete file.
    fn erase_in(
        &self,
        file: &Arc<Sealed>,
        all: &[Erase],
        erased: &mut [Erased],
    ) -> Result<(), EraseError> {
        let mut targets = self.ask_index(file, |file| Targets::find(&file, all)).map_err(stored)?;
        if targets.is_empty() {
            return Ok(());
        }
        // Nobody makes the index again meanwhile.
        let _one = file.log.repair.lock().unwrap_or_else(PoisonError::into_inner);
        let name = file.log.index_name();
        let removed = self.remove_file(&name).and_then(|()| {
            self.disk.sync().map_err(|error| Fault::io("sync", &self.config.path, error))
        });
        removed.map_err(stored)?;
        while !targets.is_empty() {
            let taken = self.erase_blocks(&file.log, &mut targets, all)?;
            self.forget_erased(&taken, erased);
        }
        let index = recovery::index_again(file).map_err(|error| stored(fault_of(error)))?;
        self.take_index(file, index);
        Ok(())
    }

    /// Puts the index that was made again in its place. If it cannot be written, it stays in memory
    /// and is written later.
    fn take_index(&self, file: &Arc<Sealed>, index: MemoryIndex) {
        let made = recovery::keep_index_of(&*self.disk, file, index);
        let mut state = self.write_state();
        let kept = state.complete().find(|kept| kept.is_same_file(file)).cloned();
        match kept {
            Some(kept) => {
                let new = Arc::new(kept.with_index(made));
                state.replace(&kept, &new);
            }
            None => {
                // Retention dropped it meanwhile.
                drop(state);
                let _ = self.remove_file(&file.log.index_name());
            }
        }
    }

    /// Replaces what is in memory of erased records, and counts each for the erasure that took it.
    fn forget_erased(&self, taken: &[Taken], erased: &mut [Erased]) {
        for Taken { record, by, .. } in taken {
            erased[*by].note(record);
            self.slots.forget(record);
        }
        if let Some(last) = taken.last() {
            self.slots.note_erased(last.record.position());
        }
        let mut state = self.write_state();
        for Taken { record, with_topic, .. } in taken {
            state.recent.replace(Arc::new(record.erased(*with_topic)));
        }
    }

    /// Counts topics anew of which records were erased.
    fn recount_erased(&self, topics: &BTreeSet<Topic>) {
        let (runs, firsts) = {
            let state = self.read_state();
            let runs: Vec<_> = state.lanes.runs().cloned().collect();
            let firsts: Vec<Position> = state.complete().map(|file| file.first()).collect();
            (runs, [firsts, vec![state.active.log.first]].concat())
        };
        for topic in topics.iter().chain([&Topic::of_notes()]) {
            let newest = self.newest_with(topic, &runs);
            match firsts.iter().find(|first| self.topic_count.is_with(topic, **first)) {
                Some(first) if newest != Some(*first) => {
                    self.topic_count.move_on(topic, *first, newest);
                }
                Some(_) => {}
                None => {
                    if let Some(newest) = newest {
                        self.topic_count.add([topic], newest);
                    }
                }
            }
        }
    }
}

fn wait(go_on: &dyn Fn() -> bool) -> Result<(), EraseError> {
    if !go_on() {
        return Err(EraseError::GivenUp);
    }
    std::thread::sleep(LOOK_INTERVAL);
    Ok(())
}

fn stored(fault: Fault) -> EraseError {
    EraseError::Store(fault.refuses())
}
