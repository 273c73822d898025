use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::position::Position;

use super::{Growing, Packed, SlotHash, Table};

/// What the lock of [`Slots`](super::Slots) is around.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) newest: Table,
    /// The values of keys whose newest record is a piece.
    pub(super) growing: HashMap<SlotHash, Growing, foldhash::fast::RandomState>,
    /// Number of slots that are keys.
    pub(super) keys: usize,
    /// By tag of the topic, number of keys that have a value.
    pub(super) live: HashMap<u64, u32, foldhash::fast::RandomState>,
    /// Whether slots that are not keys are kept.
    pub(super) keeps_all: bool,
    /// Whether the slots of all records that are there are kept.
    pub(super) is_whole: bool,
    /// See [`Slots::purged`](super::Slots::purged).
    pub(super) purged: Position,
    /// See [`Slots::erased`](super::Slots::erased).
    pub(super) erased: Position,
    /// See [`Slots::cut`](super::Slots::cut).
    pub(super) cut: Position,
    /// Where the log begins, as far as retention has said: nothing before that is taken in.
    pub(super) first: Position,
}

impl Held {
    /// Changes a slot, and counts it if it is a key that has a value now and had none, or had one.
    pub(super) fn change(&mut self, slot: SlotHash, change: impl FnOnce(&mut Self)) {
        let before = self.has_value(&slot);
        change(self);
        let after = self.has_value(&slot);
        if before != after {
            count(&mut self.live, &slot, after);
        }
    }

    fn has_value(&self, slot: &SlotHash) -> bool {
        self.newest.get(slot).is_some_and(|newest| newest.has_value(slot, &self.growing))
    }

    /// Notes a record that is the newest of its slot, or an older one.
    pub(super) fn note(&mut self, slot: SlotHash, record: Packed) {
        match self.newest.entry(slot) {
            Entry::Vacant(entry) => {
                entry.insert(record);
                self.keys += usize::from(record.is_key());
            }
            Entry::Occupied(mut entry) => {
                let before = *entry.get();
                if before.position() >= record.position() {
                    return;
                }
                entry.insert(record);
                if !record.is_piece() {
                    self.growing.remove(&slot);
                } else if !before.is_piece() && !before.is_removal() {
                    // A value that was published whole is the beginning.
                    let value = Growing { first: before.position(), bytes: 0, at: 0 };
                    self.growing.insert(slot, value);
                }
            }
        }
    }

    /// The value of `slot` is no longer whole, if the record at `position` is a part of it.
    fn cut(&mut self, slot: SlotHash, position: Position) {
        if self.growing.get(&slot).is_some_and(|value| value.first <= position) {
            self.growing.remove(&slot);
            let newest = self.newest.get(&slot).map(|newest| newest.position());
            self.cut = self.cut.max(newest.unwrap_or_default());
        }
    }

    /// Retention may have dropped newest records up to `position`.
    pub(super) fn purge(&mut self, position: Position) {
        self.purged = self.purged.max(position);
    }

    /// The log begins at `first` from now on.
    pub(super) fn begin_at(&mut self, first: Position) {
        self.first = self.first.max(first);
        // What was before that, and is not known, may have stood for its slot.
        if !self.is_whole {
            self.purge(first.previous());
        }
    }

    /// The record at `position`, which is of `slot`, goes.
    pub(super) fn forget(&mut self, slot: SlotHash, position: Position) {
        self.change(slot, |held| {
            held.cut(slot, position);
            if let Entry::Occupied(entry) = held.newest.entry(slot)
                && entry.get().position() == position
            {
                let newest = entry.remove();
                held.keys -= usize::from(newest.is_key());
                held.purge(position);
            }
        });
    }

    /// All records before `first` go.
    pub(super) fn forget_before(&mut self, first: Position) {
        let Self { newest, growing, live, cut, .. } = self;
        growing.retain(|slot, value| {
            let is_there = value.first >= first;
            if let Some(newest) = newest.get(slot).filter(|_| !is_there) {
                count(live, slot, false);
                *cut = newest.position().max(*cut);
            }
            is_there
        });
        let Self { newest, growing, keys, live, .. } = self;
        let mut purged = Position::ZERO;
        newest.retain(|slot, newest| {
            let is_there = newest.position() >= first;
            if !is_there {
                if newest.has_value(slot, growing) {
                    count(live, slot, false);
                }
                *keys -= usize::from(newest.is_key());
                purged = purged.max(newest.position());
            }
            is_there
        });
        self.purge(purged);
    }
}

/// Counts a key that got a value, or lost it.
pub(super) fn count(
    live: &mut HashMap<u64, u32, foldhash::fast::RandomState>,
    slot: &SlotHash,
    has_value: bool,
) {
    match live.entry(slot.tag()) {
        Entry::Vacant(entry) if has_value => drop(entry.insert(1)),
        Entry::Vacant(_) => {}
        Entry::Occupied(mut entry) if has_value => *entry.get_mut() += 1,
        Entry::Occupied(entry) if *entry.get() == 1 => drop(entry.remove()),
        Entry::Occupied(mut entry) => *entry.get_mut() -= 1,
    }
}
