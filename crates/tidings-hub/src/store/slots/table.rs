use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Packed, SlotHash};

/// The newest record of each slot, in parts by the first bits of the slot's hash.
///
/// Each part is a table of its own. Nearly all of what a start spends on a million keys is the wait
/// for memory, if each key goes to another place of one large table. A part of a million keys fits
/// into a processor's cache, so that thousands of notes which are [taken in](super::Slots) part by
/// part wait once. And tables that grow, grow one part at a time.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Part>);

type Part = HashMap<SlotHash, Packed, foldhash::fast::RandomState>;

/// Number of parts; there are none as long as the table is empty.
pub(super) const PARTS: usize = 256;

impl SlotHash {
    /// The part that the slot is in.
    pub(super) fn part(self) -> usize {
        (self.0[0] >> (u64::BITS - PARTS.ilog2())) as usize
    }
}

impl Table {
    pub(super) fn get(&self, slot: &SlotHash) -> Option<&Packed> {
        self.0.get(slot.part())?.get(slot)
    }

    pub(super) fn entry(&mut self, slot: SlotHash) -> Entry<'_, SlotHash, Packed> {
        if self.0.is_empty() {
            self.0.resize_with(PARTS, Part::default);
        }
        self.0[slot.part()].entry(slot)
    }

    /// Keeps the slots of which `is_kept` says so.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&SlotHash, &mut Packed) -> bool) {
        for part in &mut self.0 {
            part.retain(&mut is_kept);
        }
    }
}
