use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};

use crate::draft::{Draft, Kind};
use crate::piece::Piece;
use crate::position::Position;
use crate::record::Record;

use super::table::PARTS;
use super::{END, Growing, Held, KEY, NO_KEY, Packed, SlotHash, Slots, TAG, count};

/// What [`Slots`] keep of a record. Whoever has it needs the record no longer.
#[derive(Debug)]
pub struct SlotNote {
    slot: SlotHash,
    record: Packed,
    /// Boxed, because few records are pieces.
    piece: Option<Box<PieceNote>>,
}

/// The same of a piece.
#[derive(Debug)]
struct PieceNote {
    /// Bytes of the value's text before it, and with it.
    from: u64,
    bytes: u64,
    /// A hash of where in the data the text is.
    at: u64,
}

/// Notes of records that were read, until [`Slots`] take them in. They are kept by the part of the
/// table that they belong to.
#[derive(Debug)]
pub struct SlotNotes<'a> {
    slots: &'a Slots,
    parts: Vec<Vec<SlotNote>>,
    count: usize,
    /// Position of the newest erased record that was read.
    erased: Position,
    /// The topic of the last record, what its slot was, and how their hash begins: often that of
    /// the next record begins so, too.
    topic: String,
    what: u8,
    begun: BegunHash,
}

/// The hash of a slot without its key.
#[derive(Clone, Debug)]
struct BegunHash {
    first: DefaultHasher,
    second: DefaultHasher,
    /// The hash of the topic alone.
    tag: u64,
}

impl SlotNote {
    /// Position of the record.
    pub fn position(&self) -> Position {
        self.record.position()
    }
}

impl<'a> SlotNotes<'a> {
    /// No notes yet, for `slots`.
    pub fn new(slots: &'a Slots) -> Self {
        Self {
            slots,
            parts: std::iter::repeat_with(Vec::new).take(PARTS).collect(),
            count: 0,
            erased: Position::ZERO,
            topic: String::new(),
            what: NO_KEY,
            begun: slots.begin_hash("", NO_KEY),
        }
    }

    /// Number of notes.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The note of the record at `position` that has this kind, topic and key and is no
    /// [piece](crate::Piece); `None` if it has no slot.
    pub fn note_of(
        &mut self,
        position: Position,
        kind: Kind,
        topic: &str,
        key: Option<&str>,
    ) -> Option<SlotNote> {
        if kind == Kind::Erased {
            self.erased = self.erased.max(position);
        }
        let (what, text) = slot_in_topic(kind, key)?;
        if self.what != what || self.topic != topic {
            self.topic.clear();
            self.topic.push_str(topic);
            self.what = what;
            self.begun = self.slots.begin_hash(topic, what);
        }
        let slot = self.begun.clone().end(text);
        Some(SlotNote {
            slot,
            record: Packed::of(kind, key.is_some(), false, position),
            piece: None,
        })
    }

    /// The note of any record; `None` if it has no slot.
    pub fn note_of_draft(&mut self, position: Position, draft: &Draft) -> Option<SlotNote> {
        let key = draft.key.as_ref().map(|key| key.as_str());
        let mut note = self.note_of(position, draft.kind, draft.topic.as_str(), key)?;
        self.slots.complete_note(&mut note, draft);
        Some(note)
    }

    /// Adds a note. The notes of one slot are added in the order of their records.
    pub fn add(&mut self, note: SlotNote) {
        self.parts[note.slot.part()].push(note);
        self.count += 1;
    }

    /// Adds the note of `record`, if it has a slot.
    pub fn add_record(&mut self, record: &Record) {
        if let Some(note) = self.note_of_draft(record.position(), record) {
            self.add(note);
        }
    }
}

impl Slots {
    /// Takes in what was noted. `notes` is empty then.
    pub fn take_in(&self, notes: &mut SlotNotes<'_>) {
        if notes.erased > Position::ZERO {
            self.note_erased(notes.erased);
        }
        for part in notes.parts.iter_mut().filter(|part| !part.is_empty()) {
            // Readers wait for one part at most.
            let mut held = self.write();
            for note in part.drain(..) {
                held.apply(&note);
            }
        }
        notes.count = 0;
    }

    /// The note of a record; `None` if it has no slot.
    pub(super) fn note_of(&self, record: &Record) -> Option<SlotNote> {
        let (slot, position) = (self.slot_of(record)?, record.position());
        let is_key = record.key.is_some();
        let packed = Packed::of(record.kind, is_key, false, position);
        let mut note = SlotNote { slot, record: packed, piece: None };
        self.complete_note(&mut note, record);
        Some(note)
    }

    /// Adds to a note what is to be known of a piece, if `draft` is one.
    fn complete_note(&self, note: &mut SlotNote, draft: &Draft) {
        let Some(Piece { at, from }) = draft.piece.as_deref() else { return };
        let own = draft.text_at(at.as_ref()).map_or(0, |text| text.len() as u64);
        let (bytes, at) = (from + own, self.hash_of_place(at.as_ref()));
        note.piece = Some(Box::new(PieceNote { from: *from, bytes, at }));
        note.record = Packed::of(draft.kind, draft.key.is_some(), true, note.position());
    }

    /// The slot of a record of this kind; `None` if no reader gets it, or if it stands for nothing.
    pub(super) fn slot(&self, kind: Kind, topic: &str, key: Option<&str>) -> Option<SlotHash> {
        let (what, text) = slot_in_topic(kind, key)?;
        Some(self.hash(topic, what, text))
    }

    pub(super) fn hash(&self, topic: &str, what: u8, key: &str) -> SlotHash {
        self.begin_hash(topic, what).end(key)
    }

    fn begin_hash(&self, topic: &str, what: u8) -> BegunHash {
        let [mut first, mut second] = self.hashers.each_ref().map(RandomState::build_hasher);
        topic.hash(&mut first);
        topic.hash(&mut second);
        let tag = second.finish() & TAG;
        first.write_u8(what);
        second.write_u8(what);
        BegunHash { first, second, tag }
    }
}

/// What the slot of a record is in its topic.
fn slot_in_topic(kind: Kind, key: Option<&str>) -> Option<(u8, &str)> {
    match (kind, key) {
        (Kind::Event | Kind::Removal | Kind::LateRemoval, Some(key)) => Some((KEY, key)),
        (Kind::Event, None) => Some((NO_KEY, "")),
        (Kind::LastEvent | Kind::End, _) => Some((END, "")),
        (Kind::Removal | Kind::LateRemoval, None)
        | (Kind::SilentEnd | Kind::Note | Kind::Erasure | Kind::Erased, _) => None,
    }
}

impl BegunHash {
    /// The hash of the slot with this key. What is hashed ends with it, so no end need be hashed.
    fn end(self, key: &str) -> SlotHash {
        let Self { mut first, mut second, tag } = self;
        first.write(key.as_bytes());
        second.write(key.as_bytes());
        SlotHash([first.finish(), second.finish() & !TAG | tag])
    }
}

impl Held {
    /// Applies the note of a record that is the newest of its slot, or an older one; or that has
    /// gone since it was read.
    pub(super) fn apply(&mut self, note: &SlotNote) {
        if note.position() < self.first {
            return;
        }
        // Most slots are new when a log is opened, and have a value: one look is enough for them.
        if note.piece.is_none()
            && let Entry::Vacant(entry) = self.newest.entry(note.slot)
        {
            entry.insert(note.record);
            if note.record.is_key() {
                self.keys += 1;
                if !note.record.is_removal() {
                    count(&mut self.live, &note.slot, true);
                }
            }
            return;
        }
        self.change(note.slot, |held| {
            held.note(note.slot, note.record);
            if let Some(piece) = &note.piece {
                held.note_piece(note, piece);
            }
        });
    }

    fn note_piece(&mut self, note: &SlotNote, piece: &PieceNote) {
        let position = note.position();
        if self.newest.get(&note.slot).is_none_or(|newest| newest.position() != position) {
            return;
        }
        let PieceNote { from, bytes, at } = *piece;
        match self.growing.entry(note.slot) {
            Entry::Vacant(entry) if from == 0 => {
                entry.insert(Growing { first: position, bytes, at });
            }
            // What it continues is gone.
            Entry::Vacant(_) => self.cut = self.cut.max(position),
            Entry::Occupied(mut entry) => {
                let value = entry.get_mut();
                if from == 0 {
                    value.first = position;
                }
                (value.bytes, value.at) = (bytes, at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Epoch, Key, Log, MemoryStore, Timestamp, Topic};

    /// More records than are read at once, on two topics with 40 keys each, with removals and
    /// growing values.
    fn store() -> MemoryStore {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let store = MemoryStore::new(epoch, 1 << 30, Duration::from_secs(60));
        let mut lengths = [0; 80];
        for number in 0..10_000_usize {
            let slot = number * number % 79;
            let mut draft = Draft::new(Topic::new(format!("t{}", slot % 2)).expect("a topic"), "x");
            draft.key = Key::new(&format!("k{}", slot / 2)).ok();
            match number % 11 {
                0 => (draft.kind, lengths[slot]) = (Kind::Removal, 0),
                1 => lengths[slot] = 1,
                _ => {
                    draft.piece = Some(Box::new(Piece { at: None, from: lengths[slot] }));
                    lengths[slot] += 1;
                }
            }
            store.append(vec![draft], Timestamp::default()).expect("memory takes everything");
        }
        store
    }

    #[test]
    fn what_is_looked_up_after_an_erasure_brings_no_older_value_of_a_key_back() {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let store = MemoryStore::new(epoch, 1 << 30, Duration::from_secs(60));
        let topic = Topic::new("t").expect("a topic");
        let key = Key::new("k").expect("a key");
        for key in [None, Some(key.clone()), Some(key.clone()), None] {
            let draft = Draft { key, ..Draft::new(topic.clone(), "x") };
            store.append(vec![draft], Timestamp::default()).expect("memory takes everything");
        }
        let slots = store.slots();
        slots.complete(&store).expect("memory can be read");
        let one = |position| {
            let query = crate::ReadQuery::one(Position::new(position));
            store.read(&query).expect("memory can be read").records.remove(0)
        };
        // A rule can drop what stands for a key and keep an older record, whose time is not over.
        slots.forget(&one(3));
        slots.forget(&one(4));
        slots.renew_topic(&store, &topic).expect("memory can be read");
        assert_eq!(slots.newest(&topic, &key), None);
        // The newest is still in this log; otherwise the one before would stand for the topic.
        let slot = slots.slot_of(&one(4)).expect("it has a slot");
        assert!(slots.stands(slot, Position::new(4)), "what has no key is looked up");
    }

    #[test]
    fn a_table_takes_in_the_same_however_many_notes_come_at_once() {
        let store = store();
        let at_once = Slots::default();
        fn take_in(mut notes: SlotNotes<'_>) -> SlotNotes<'_> {
            notes.slots.take_in(&mut notes);
            notes
        }
        at_once.complete_at_opening(&store, take_in).expect("memory can be read");
        let in_turns = Slots::default();
        in_turns.complete_by(&store, 1, take_in).expect("memory can be read");
        let all = || (0..2).flat_map(|topic| (0..40).map(move |key| (topic, key)));
        let mut growing = 0;
        for (topic, key) in all() {
            let topic = Topic::new(format!("t{topic}")).expect("a topic");
            let key = Key::new(&format!("k{key}")).expect("a key");
            let newest = |slots: &Slots| {
                let newest = slots.newest(&topic, &key)?;
                let value = newest.growing.map(|value| (value.first, value.bytes));
                Some((newest.position, newest.is_removal, newest.is_piece, value))
            };
            // What the store noted itself, record by record.
            let noted = newest(store.slots());
            assert_eq!(newest(&at_once), noted, "{key} of {topic}");
            assert_eq!(newest(&in_turns), noted, "{key} of {topic}");
            growing += usize::from(noted.is_some_and(|(.., value)| value.is_some()));
            for slots in [&at_once, &in_turns] {
                assert_eq!(slots.keys_of(&topic), store.slots().keys_of(&topic), "{topic}");
            }
        }
        assert!(growing > 0, "no value grows");
        assert_eq!([at_once.keys(), in_turns.keys()], [store.slots().keys(); 2]);
    }
}
