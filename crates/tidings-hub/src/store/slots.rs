//! The newest record of each slot: what the state of a topic is made of.
//!
//! A slot is a key of a topic; the events of a topic without a key; or the end of a topic. The
//! newest record of a slot stands for it, and those before it are *superseded*.
//!
//! A key can stand for a growing value: its newest record is a [piece](Piece), and the records from
//! the one that the value begins with up to this one stand for it together. The table has where
//! that is for each such key, in 40 to 80 bytes more.
//!
//! The table is derived from the log and is in memory only: a hash of 128 bits for each slot, and a
//! position. Keys are in it from the moment that the log is open. The other slots, of which every
//! log has some, are looked up in the log ([`Slots::complete`]) once the first key is published, or
//! somebody asks for a state; from then on they are kept, too. So a hub with neither pays nothing.
//!
//! # Beside a log that changes
//!
//! What is in the table can be read. A record is noted before a reader can read it, under the lock
//! under which it becomes readable ([`Slots::note`]), and forgotten before a reader can miss it:
//!
//! - What retention drops from the beginning of the log is forgotten under a lock that both have,
//!   the table and the log ([`Slots::forget_before`], [`Slots::forget_oldest`]). The table knows
//!   where the log begins from then on, and takes no note of what was before: whatever was read of
//!   that, and when.
//! - What goes from the middle of the log, by rules or by erasure, is forgotten one by one. Whoever
//!   read it before could still bring its note, so it may only go once the table is whole
//!   ([`Slots::complete`]): then no reading is under way. (An erasure does one itself,
//!   [`Slots::renew`], beside which nothing else may go.)

mod held;
mod notes;
mod packed;
mod table;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::draft::{Draft, Kind};
use crate::error::ReadError;
use crate::interest::Interest;
use crate::key::Key;
use crate::limits::{SLOTS_NOTES_MAX, SLOTS_READ_RECORDS};
use crate::matcher::Matcher;
use crate::pointer::Pointer;
use crate::position::Position;
use crate::record::Record;
use crate::topic::Topic;

use super::{Erased, Log, ReadQuery};

use held::{Held, count};
use packed::Packed;
use table::Table;

pub use notes::{SlotNote, SlotNotes};

/// The newest record of each slot of a log.
#[derive(Debug, Default)]
pub struct Slots {
    held: RwLock<Held>,
    /// Position of the newest record that was noted while only keys were kept.
    passed: AtomicU64,
    /// Locked while the log is being read.
    completing: Mutex<()>,
    /// Two hashes of a slot make one that no publisher can aim at.
    hashers: [RandomState; 2],
}

/// The newest record of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its position.
    pub position: Position,
    /// Whether it removed its key.
    pub is_removal: bool,
    /// Whether it is a piece of a value.
    pub is_piece: bool,
    /// The value, if it is a piece; `None` if a part of the value is known to be gone.
    pub growing: Option<Growing>,
}

/// A value that has pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growing {
    /// Position of the record that it begins with.
    pub first: Position,
    /// Bytes of its text.
    pub bytes: u64,
    /// A hash of where in the data the text is; see [`Slots::grows_at`].
    at: u64,
}

/// A slot, as the table knows it: a hash that no publisher can aim at. It is good for this table,
/// and not beyond the end of the process. Its last 48 bits are a hash of the topic alone, the
/// others of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotHash([u64; 2]);

/// How a record stands in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It stands for the slot, or is not known.
    Newest,
    /// A later record, at this position, stands for the slot instead.
    Superseded(Position),
    /// It is a piece of the value that stands for the slot, which begins at `first`; `newest` is
    /// the newest piece.
    Piece { first: Position, newest: Position },
    /// It is a piece of a value that is not whole.
    Cut,
    /// Retention has dropped it, and all else of its slot.
    Gone,
}

impl Slots {
    /// Notes the next records of the log. Call it before they can be read, while the store lets no
    /// reader ask for its bounds: what is found here, can be read from then on. Call it in any
    /// order with what [`complete`](Self::complete) finds.
    pub fn note(&self, records: &[Arc<Record>]) {
        let Some(last) = records.last() else { return };
        let has_keys = records.iter().any(|record| record.key.is_some());
        // What was erased may have stood for its slot.
        let mut erased = records.iter().rev().filter(|record| record.kind == Kind::Erased);
        if let Some(erased) = erased.next() {
            self.note_erased(erased.position());
        }
        {
            let held = self.read();
            if !held.keeps_all {
                self.passed.fetch_max(last.position().get(), Ordering::Relaxed);
                if !has_keys {
                    return;
                }
            }
        }
        let mut held = self.write();
        let keeps_all = held.keeps_all;
        for record in records {
            if (keeps_all || record.key.is_some())
                && let Some(note) = self.note_of(record)
            {
                held.apply(&note);
            }
        }
    }

    /// Looks up the slots of all records that are in `store`, the log to which this belongs, unless
    /// that was done before. Takes as long as reading the log. Damaged records are passed over:
    /// whoever reads the log learns of them.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] if the store cannot be read.
    pub fn complete(&self, store: &dyn Log) -> Result<(), ReadError> {
        self.complete_by(store, SLOTS_READ_RECORDS, |mut notes| {
            self.take_in(&mut notes);
            notes
        })
    }

    /// The same for a store that is being opened, from which nothing is dropped or erased yet: so
    /// the table can take in many notes at once, and while the next ones are read. `hand_over` gets
    /// notes for which [`take_in`](Self::take_in) is to be called, in the order of the calls. It
    /// returns those of the call before, or others that are empty, once the table has taken in all
    /// those of the calls before.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] if the store cannot be read.
    pub fn complete_at_opening<'a>(
        &'a self,
        store: &dyn Log,
        hand_over: impl FnMut(SlotNotes<'a>) -> SlotNotes<'a>,
    ) -> Result<(), ReadError> {
        self.complete_by(store, SLOTS_NOTES_MAX, hand_over)
    }

    fn complete_by<'a>(
        &'a self,
        store: &dyn Log,
        notes_max: usize,
        mut hand_over: impl FnMut(SlotNotes<'a>) -> SlotNotes<'a>,
    ) -> Result<(), ReadError> {
        if self.is_whole() {
            return Ok(());
        }
        let _one = self.completing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_whole() {
            return Ok(());
        }
        // From here on the thread that appends notes everything.
        self.write().keeps_all = true;
        // What it appended without noting it may not be there yet.
        let passed = Position::new(self.passed.load(Ordering::Relaxed));
        let first = store.bounds().first;
        let upto = match passed {
            Position::ZERO => store.bounds().head,
            _ => store.wait(passed.previous(), VISIBLE_PATIENCE),
        };
        self.write().purge(first.previous());
        let mut after = first.previous();
        let mut attempts = 0;
        let mut notes = SlotNotes::new(self);
        while after < upto {
            match store.note_slots(after, upto, &mut notes) {
                Ok(reached) => {
                    after = reached;
                    attempts = 0;
                }
                // What is derived from the log, a store makes again after the first attempt.
                Err(ReadError::Damaged { .. }) if attempts < DAMAGE_ATTEMPTS => attempts += 1,
                Err(ReadError::Damaged { .. }) => after = after.next(),
                Err(ReadError::Expired { lost, .. }) => after = after.max(lost),
                Err(error) => return Err(error),
            }
            if notes.count() >= notes_max || after >= upto {
                notes = hand_over(notes);
            }
        }
        // The table has taken in the last ones, too, when this returns.
        hand_over(notes);
        self.write().is_whole = true;
        Ok(())
    }

    /// Whether the slots of all records that are there are known.
    pub fn is_whole(&self) -> bool {
        self.read().is_whole
    }

    /// The newest record of a key that is still there.
    pub fn newest(&self, topic: &Topic, key: &Key) -> Option<Newest> {
        let slot = self.hash(topic.as_str(), KEY, key.as_str());
        let held = self.read();
        let newest = held.newest.get(&slot)?;
        let (is_removal, is_piece) = (newest.is_removal(), newest.is_piece());
        let growing = held.growing.get(&slot).copied();
        Some(Newest { position: newest.position(), is_removal, is_piece, growing })
    }

    /// The position of the newest record of the slot of `draft`, which is at `position`, if it is a
    /// later one that stands for the slot without it. The pieces of one value stand together.
    pub fn superseded_by(&self, draft: &Draft, position: Position) -> Option<Position> {
        match self.place_of(draft, position) {
            Place::Superseded(newest) => Some(newest),
            Place::Newest | Place::Piece { .. } | Place::Cut | Place::Gone => None,
        }
    }

    /// How `draft`, which is at `position`, stands in its slot.
    pub(super) fn place_of(&self, draft: &Draft, position: Position) -> Place {
        let Some(slot) = self.slot_of(draft) else { return Place::Newest };
        let held = self.read();
        let newest = held.newest.get(&slot).map(|newest| newest.position());
        let growing = held.growing.get(&slot).filter(|growing| growing.first <= position);
        match (newest, growing) {
            (Some(newest), Some(Growing { first, .. })) => Place::Piece { first: *first, newest },
            (Some(newest), None) if newest > position => Place::Superseded(newest),
            // The table has all that is there: it was dropped since it was read.
            (None, _) if held.is_whole => Place::Gone,
            _ if draft.piece.is_some() => Place::Cut,
            _ => Place::Newest,
        }
    }

    /// Whether `value` grows at `at`.
    pub fn grows_at(&self, value: &Growing, at: Option<&Pointer>) -> bool {
        value.at == self.hash_of_place(at)
    }

    fn hash_of_place(&self, at: Option<&Pointer>) -> u64 {
        self.hashers[0].hash_one(at)
    }

    /// Number of keys that have records, also of those whose newest record removed them.
    pub fn keys(&self) -> usize {
        self.read().keys
    }

    /// Number of keys of `topic` that have a value.
    pub fn keys_of(&self, topic: &Topic) -> u64 {
        let tag = self.hash(topic.as_str(), KEY, "").tag();
        self.read().live.get(&tag).copied().map_or(0, u64::from)
    }

    /// Position up to which retention may have dropped the newest record of a slot: a reader that
    /// has the state as of a place before that cannot be told of everything that changed.
    pub fn purged(&self) -> Position {
        self.read().purged
    }

    /// Position of the newest record that was erased: a reader that has the state as of a place
    /// before that may have what is gone, and nothing in the log says so any more.
    pub fn erased(&self) -> Position {
        self.read().erased
    }

    /// The record at `position` was erased.
    pub fn note_erased(&self, position: Position) {
        let mut held = self.write();
        held.erased = held.erased.max(position);
    }

    /// Retention may have dropped newest records up to `position`.
    pub fn purge_upto(&self, position: Position) {
        self.write().purge(position);
    }

    /// `record` is about to go: it is erased. Call it once the table is whole.
    pub fn forget(&self, record: &Record) {
        if let Some(slot) = self.slot_of(record) {
            self.forget_slot(slot, record.position());
        }
    }

    /// The record at `position`, which is of `slot`, is about to go, and a value of which it is a
    /// part with it. Call it before readers can miss the record, once the table is whole.
    pub fn forget_slot(&self, slot: SlotHash, position: Position) {
        self.write().forget(slot, position);
    }

    /// Retention drops `record`, the oldest of the log. Call it while the store lets no reader ask
    /// for its bounds.
    pub fn forget_oldest(&self, record: &Record) {
        let slot = self.slot_of(record);
        let mut held = self.write();
        held.begin_at(record.position().next());
        if let Some(slot) = slot {
            held.forget(slot, record.position());
        }
    }

    /// Position of the newest piece of a value of which retention dropped a part while it had that
    /// piece: a reader that has come less far could take the piece for the value, or for a part of
    /// an older one.
    pub fn cut(&self) -> Position {
        self.read().cut
    }

    /// Whether the record at `position`, which is of `slot`, stands for it, alone or as a piece.
    pub fn stands(&self, slot: SlotHash, position: Position) -> bool {
        let held = self.read();
        let is_newest = |newest: &Packed| newest.position() == position;
        held.newest.get(&slot).is_some_and(is_newest)
            || held.growing.get(&slot).is_some_and(|value| value.first <= position)
    }

    /// Looks up what stands for the slots that are not keys, of all topics that had records which
    /// were `erased`. Beside it, nothing may go from the middle of the log.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store cannot be read.
    pub fn renew(&self, store: &dyn Log, erased: &Erased) -> Result<(), ReadError> {
        if !self.read().keeps_all {
            return Ok(());
        }
        if let Some(few) = erased.few_topics() {
            return few.iter().try_for_each(|topic| self.renew_topic(store, topic));
        }
        let mut after = None;
        loop {
            let page = store.catalog().topics("", after.as_ref(), SLOTS_READ_RECORDS)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.topic.clone());
            page.iter().try_for_each(|state| self.renew_topic(store, &state.topic))?;
        }
    }

    fn renew_topic(&self, store: &dyn Log, topic: &Topic) -> Result<(), ReadError> {
        let interest = Interest::new(vec![Matcher::Exact(topic.clone())], vec![Matcher::All]);
        let upto = store.bounds().head;
        // Nearly always one of the newest stands for them.
        for count in [RENEWED_RECORDS, usize::MAX] {
            let mut after = match count {
                usize::MAX => Position::ZERO,
                count => store.catalog().seek_last(&interest, count)?,
            };
            while after < upto {
                let page = store.read(&ReadQuery {
                    after,
                    upto,
                    told: upto,
                    interest: Some(&interest),
                    records_max: SLOTS_READ_RECORDS,
                    bytes_max: usize::MAX,
                })?;
                after = page.reached;
                // Of a key whose newest record was dropped, an older one can be left.
                let without_key = page.records.iter().filter(|record| record.key.is_none());
                let mut held = self.write();
                for note in without_key.filter_map(|record| self.note_of(record)) {
                    held.apply(&note);
                }
            }
            let slot = self.hash(topic.as_str(), NO_KEY, "");
            if self.read().newest.get(&slot).is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Retention drops the oldest records of the log: `drop` does, and returns where the log begins
    /// from then on. Nobody can look at the table meanwhile, so that whoever misses a record finds
    /// that the table has forgotten it. `drop` is called under the lock of the table, so it must
    /// not wait for one that is held while the table is asked. It may release one that it holds:
    /// what it dropped is forgotten after that.
    pub fn forget_before(&self, drop: impl FnOnce() -> Position) {
        let mut held = self.write();
        let first = drop();
        held.begin_at(first);
        held.forget_before(first);
    }

    /// The slot of a record; `None` if no reader gets it, or if it stands for nothing.
    pub fn slot_of(&self, draft: &Draft) -> Option<SlotHash> {
        let key = draft.key.as_ref().map(|key| key.as_str());
        self.slot(draft.kind, draft.topic.as_str(), key)
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a slot is.
const NO_KEY: u8 = 0;
const KEY: u8 = 1;
const END: u8 = 2;

/// Records of a topic that are looked at first.
const RENEWED_RECORDS: usize = 64;

/// How often a damaged record is read again before it is passed over.
const DAMAGE_ATTEMPTS: u32 = 3;

/// How long to wait until records that are noted can be read.
const VISIBLE_PATIENCE: Duration = Duration::from_secs(10);

impl SlotHash {
    /// The hash of the topic.
    fn tag(self) -> u64 {
        self.0[1] & TAG
    }
}

/// The bits of a slot's second half that are a hash of its topic. With a million topics the chance
/// is one in 500 that two of them are counted as one; that two slots are taken for one has a chance
/// of 2^-40 with as many keys.
const TAG: u64 = (1 << 48) - 1;
