//! The embedded durable log of the Tidings hub: a [`Log`] that keeps its records in one folder.
//!
//! # What it guarantees
//!
//! *Acknowledged means stored.* With [`Durability::Fsync`], when `append` returns, its records are
//! on the disk (`fdatasync`); with [`Durability::Os`] they are with the operating system and
//! survive the end of the process. Either way no reader sees a record before that.
//!
//! *All or nothing.* After a crash a batch is there as a whole or not at all.
//!
//! *It recovers where it can.* A full disk, too few descriptors, a folder that cannot be written:
//! the append fails, what it wrote is cut off again, and the next one is tried. Indexes that cannot
//! be written, and files that cannot be removed, are tried again in the background. Only a failed
//! `fsync`, a torn write that cannot be cut off, and a folder that was removed end all appending
//! until the log is reopened, because what the disk holds is no longer known; reading continues.
//! [`Log::health`] says what is wrong.
//!
//! *An index is derived.* A damaged one is rebuilt from its segment by the thread that finds the
//! damage.
//!
//! *Damage is reported, never repaired by forgetting.* Every block has a checksum. Damage is
//! reported by file and place, with what to do about it: by [`DiskStore::open`] if it is in the
//! part that is read then, otherwise by the read that finds it. Only what a crash can leave at the
//! very end of the log, an append that was never acknowledged, is removed, and a warning says so.
//!
//! *Space is freed.* Retention removes whole segment files.
//!
//! # What it does not guarantee
//!
//! It does not notice a disk that lies about `fsync`, or damage to the very last append of a log
//! that was not closed cleanly: that looks like an append that was never acknowledged. It is one
//! log for one process; it does not replicate.
//!
//! # How it is built
//!
//! The log is a sequence of segment files. Only the newest is written: each `append` is encoded
//! into blocks and added with one write and one sync. While it is written, its index is in memory;
//! when it is full, it is sealed, and a background thread writes the index beside it. Opening reads
//! all of the newest segment, and the index footers of the others. The newest records are held in
//! memory too, so that subscribers that keep up never touch the disk.
//!
//! Why not an embedded database: `docs/decisions/0001-a-log-of-our-own.md`.

mod append;
mod background;
mod backup;
mod block;
mod catalogue;
mod config;
mod copy;
mod disk;
mod erase;
mod error;
mod folder_lock;
mod format;
mod index;
mod keep;
mod lanes;
pub mod limits;
mod log_identity;
mod lost;
mod mistake;
mod note_slots;
mod preallocate;
mod random;
mod read;
mod read_runs;
mod record;
mod records;
mod recovery;
mod redo;
mod repair;
mod restore;
mod retained;
mod retention;
mod rule;
mod rules;
mod run;
mod run_name;
mod seek;
mod seek_runs;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod topic_count;
mod topics;
mod trouble;

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Eraser, EventId, Health, Interest, Log,
    LogIdentity, Matcher, Page, Position, ReadError, ReadQuery, Retained, SlotNotes, Slots,
    Timestamp, Topic, TopicState,
};

pub use backup::{BackupError, backup, finish_copy, partial_of, try_backup};
pub use config::{DiskConfig, Durability};
pub use copy::cut_copy;
pub use error::OpenError;
pub use folder_lock::FolderLock;
pub use random::RandomSource;
pub use record::{decode_drafts, encode_draft};
pub use recovery::make_folder;
pub use restore::{RestoreError, Restored, restore, restore_without};
pub use rule::{Promise, Rule};

use crate::append::Writer;
use crate::background::Background;
use crate::keep::{KeepThread, Keeper};
use crate::log_identity::FORMAT_2;
use crate::lost::LostTo;
use crate::recovery::Role;
use crate::rules::Rules;
use crate::state::Shared;

/// A log in a folder. See the [crate](self) for what it guarantees.
pub struct DiskStore {
    shared: Arc<Shared>,
    writer: Mutex<Writer>,
    keeper: Arc<Mutex<Keeper>>,
    /// Held by the erasure that is under way.
    erasing: Mutex<erase::Unheard>,
    /// Runs if there are rules, or runs from when there were.
    keep_thread: Mutex<Option<KeepThread>>,
    /// Holds the lock on the folder; dropped last.
    _lock: Option<FolderLock>,
}

impl DiskStore {
    /// Opens the log in `config.path`, or creates one.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; its [`hint`](OpenError::hint) says what can be done.
    pub fn open(config: DiskConfig) -> Result<Self, OpenError> {
        let (disk, lock) = recovery::open_folder(&config.path, &config.random)?;
        let store = Self::open_on(Arc::new(disk), config, Some(lock), Role::Original)?;
        store.start_keeping()?;
        Ok(store)
    }

    /// Replaces the rules of retention. Runs that were sorted by others are sorted again, in the
    /// background; until then nothing is dropped.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] if the thread that applies them cannot be started, or if the log cannot be
    /// read; the first rules of a log can take as long as reading it.
    pub fn set_rules(&self, rules: Vec<Rule>) -> Result<(), OpenError> {
        if !rules.is_empty() {
            self.complete_slots(|| self.shared.slots.complete(self).map_err(io::Error::other))?;
        }
        self.shared.set_rules(Rules(rules));
        self.start_keeping()
    }

    /// Waits until the background thread has done all the work that it was given so far. For tests
    /// in which what is on the disk must not depend on how fast the thread is.
    pub fn wait_for_background(&self) {
        let done = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.background.turn(&self.shared)
        };
        let _ = done.recv();
    }

    /// Starts the thread that applies the rules, if there are any. For a [copy](Self::open_copy):
    /// a log of its own has it.
    ///
    /// # Errors
    ///
    /// [`OpenError::Io`] if the thread cannot be started.
    pub fn start_keeping(&self) -> Result<(), OpenError> {
        let mut thread = self.keep_thread.lock().unwrap_or_else(PoisonError::into_inner);
        let has_runs = self.shared.read_state().lanes.generation > 0;
        if thread.is_none() && (has_runs || !self.shared.rules().0.is_empty()) {
            let started = KeepThread::start(&self.shared, &self.keeper);
            *thread = Some(started.map_err(|source| OpenError::Io {
                action: "start a thread for the log in",
                path: self.shared.config.path.clone(),
                source,
            })?);
        }
        Ok(())
    }

    /// Applies the rules to all that is due, in this thread. For a [copy](Self::open_copy) whose
    /// thread was not [started](Self::start_keeping).
    pub fn keep(&self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        while keeper.step(&self.shared, &mut |_| Ok(())) {}
    }

    /// Opens the log on any disk.
    fn open_on(
        disk: Arc<dyn disk::Disk>,
        config: DiskConfig,
        lock: Option<FolderLock>,
        role: Role,
    ) -> Result<Self, OpenError> {
        let (shared, end, dropped) = recovery::recover(disk, config, role)?;
        let new = shared.write_state().active.index.take_new();
        shared.topic_count.add(&new, end.log.first);
        let shared = Arc::new(shared);
        let background = Background::start(&shared, dropped).map_err(|source| OpenError::Io {
            action: "start a thread for the log in",
            path: shared.config.path.clone(),
            source,
        })?;
        let writer = Writer::new(end, background);
        let store = Self {
            shared,
            writer: Mutex::new(writer),
            keeper: Arc::default(),
            erasing: Mutex::default(),
            keep_thread: Mutex::default(),
            _lock: lock,
        };
        // A log of an older format has no keys.
        let may_have_keys = store.shared.format.load(Ordering::Acquire) >= FORMAT_2;
        if may_have_keys || !store.shared.rules().0.is_empty() {
            store.complete_slots(|| store.complete_slots_at_opening())?;
        }
        Ok(store)
    }

    /// Makes the table of newest records whole: once there are keys, and before rules drop
    /// anything. Whoever reads the log for the table later could bring notes of what they dropped.
    fn complete_slots(&self, complete: impl FnOnce() -> io::Result<()>) -> Result<(), OpenError> {
        complete().map_err(|source| OpenError::Io {
            action: "read the keys of the log in",
            path: self.shared.config.path.clone(),
            source,
        })
    }
}

impl Log for DiskStore {
    fn identity(&self) -> &LogIdentity {
        &self.shared.identity
    }

    fn bounds(&self) -> Bounds {
        self.shared.read_state().bounds()
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.append(&self.shared, drafts, now)
    }

    fn appends_anywhere(&self) -> bool {
        true
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        self.shared.read(query)
    }

    fn lost(&self, interest: &Interest, after: Position) -> Result<Option<Position>, ReadError> {
        let state = self.shared.read_state();
        let (lanes, hot_first) = (Arc::clone(&state.lanes), state.hot_first());
        drop(state);
        Ok(lanes.lost(after, Some(interest), LostTo::History, hot_first))
    }

    fn lost_of_state(
        &self,
        interest: &Interest,
        after: Position,
    ) -> Result<Option<Position>, ReadError> {
        let state = self.shared.read_state();
        let (lanes, hot_first) = (Arc::clone(&state.lanes), state.hot_first());
        drop(state);
        // Without runs, segments go as a whole, and with them what stood for its slot.
        Ok(match lanes.generation {
            0 => Some(self.shared.slots.purged()).filter(|purged| after < *purged),
            _ => lanes.lost(after, Some(interest), LostTo::State, hot_first),
        })
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.shared.head.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.retain(&self.shared, now)
    }

    fn eraser(&self) -> Option<&dyn Eraser> {
        Some(self)
    }

    fn note_time(&self, now: Timestamp) {
        self.shared.note_time(now);
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self
    }

    fn note_slots(
        &self,
        after: Position,
        upto: Position,
        notes: &mut SlotNotes<'_>,
    ) -> Result<Position, ReadError> {
        self.shared.note_slots(after, upto, notes)
    }

    fn slots(&self) -> &Slots {
        &self.shared.slots
    }
}

impl Catalog for DiskStore {
    fn find(&self, id: &EventId, on: &[Matcher]) -> Result<Option<Position>, ReadError> {
        Ok(self.shared.find(id, on)?)
    }

    fn seek_time(&self, since: Timestamp) -> Result<Position, ReadError> {
        self.shared.seek_time(since)
    }

    fn seek_last(&self, interest: &Interest, count: usize) -> Result<Position, ReadError> {
        self.shared.seek_last(interest, count)
    }

    fn topic(&self, topic: &Topic) -> Result<Option<TopicState>, ReadError> {
        Ok(self.shared.topic(topic)?)
    }

    fn topics(
        &self,
        prefix: &str,
        after: Option<&Topic>,
        count: usize,
    ) -> Result<Vec<TopicState>, ReadError> {
        Ok(self.shared.topics(prefix, after, count)?)
    }

    fn topic_count(&self) -> usize {
        self.shared.topic_count.count()
    }

    fn has_topic(&self, topic: &Topic) -> bool {
        self.shared.topic_count.has(topic)
    }

    fn rule_of(&self, topic: &Topic) -> Option<Arc<str>> {
        let rules = self.shared.rules();
        let lane = rules.lane_of(topic).checked_sub(1)?;
        Some(Arc::clone(&rules.0[lane].name))
    }

    fn full_rule_of(&self, topic: &Topic) -> Option<Arc<str>> {
        let rules = self.shared.rules();
        let lane = rules.lane_of(topic).checked_sub(1)?;
        self.shared.is_full(&rules, lane + 1).then(|| Arc::clone(&rules.0[lane].name))
    }

    fn full_rule_of_keys(&self, topic: &Topic) -> Option<Arc<str>> {
        let rules = self.shared.rules();
        let lane = rules.lane_of(topic).checked_sub(1)?;
        let has_state = rules.0[lane].promise == Some(Promise::State);
        (has_state && self.shared.is_full(&rules, lane + 1))
            .then(|| Arc::clone(&rules.0[lane].name))
    }

    fn has_full_rules(&self) -> bool {
        let rules = self.shared.rules();
        (1..rules.lanes()).any(|lane| self.shared.is_full(&rules, lane))
    }

    fn retained(&self) -> Retained {
        self.shared.retained()
    }
}

impl Drop for DiskStore {
    /// Marks the log as cleanly closed and waits for the background thread.
    fn drop(&mut self) {
        self.keep_thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        writer.close(&self.shared);
    }
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStore").field("path", &self.shared.config.path).finish_non_exhaustive()
    }
}

/// Compiles the README's examples as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
