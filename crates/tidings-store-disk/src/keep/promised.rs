//! What a job has to keep whatever its age: found by reading its files, the newest first.
//!
//! The files are neighbours, so of each slot they have records that follow each other. The newest
//! of them *stands* for its slot, as far as this job knows, and so do the pieces before it that are
//! part of its value, down to the record that the value begins with. In truth a later file may have
//! one that supersedes them; then they stay for nothing until a job has both.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tidings_hub::{Draft, Kind, Position, SlotHash, Slots, Timestamp, Topic};

use crate::error::Fault;
use crate::mistake::Mistake;
use crate::record::TopicTexts;
use crate::rule::Promise;
use crate::rules::{Policy, Rules};
use crate::segment::Sealed;

use super::source::Source;

/// What the records of a job's files are, in the order of the files.
#[derive(Default)]
pub(super) struct Promised {
    files: Vec<OfFile>,
    /// Position up to which the others go, because their lane has too many bytes.
    pub(super) trimmed_upto: Position,
    file: usize,
    record: usize,
}

/// What one record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Whether its rule promises to keep it.
    pub(super) is_promised: bool,
    /// Whether it stands for its slot, alone or as a part of a value: if it goes, everything before
    /// it in its slot must go, too.
    pub(super) stands: bool,
}

#[derive(Default)]
struct OfFile {
    promised: Vec<u64>,
    standing: Vec<u64>,
    records: usize,
    last: Position,
    promised_bytes: u64,
    other_bytes: u64,
}

impl Promised {
    /// Gives up the oldest of the others until no more than `bytes_max` bytes are left.
    pub(super) fn trim(&mut self, bytes_max: u64) {
        let mut bytes: u64 =
            self.files.iter().map(|file| file.promised_bytes + file.other_bytes).sum();
        for file in &self.files {
            if bytes <= bytes_max {
                break;
            }
            bytes -= file.other_bytes;
            self.trimmed_upto = file.last;
        }
    }

    /// What the next record is.
    pub(super) fn take_next(&mut self) -> Held {
        while self.files.get(self.file).is_some_and(|file| self.record >= file.records) {
            (self.file, self.record) = (self.file + 1, 0);
        }
        let Some(file) = self.files.get(self.file) else {
            return Held::default();
        };
        let number = self.record;
        self.record += 1;
        let has = |bits: &[u64]| bits[number / 64] & (1 << (number % 64)) != 0;
        Held { is_promised: has(&file.promised), stands: has(&file.standing) }
    }
}

/// By what the records of a job are judged.
pub(super) struct Finder<'a> {
    pub(super) rules: &'a Rules,
    pub(super) policies: &'a [Policy],
    /// Of each lane, whether nothing of it is before the files.
    pub(super) fronts: &'a [bool],
    pub(super) slots: &'a Slots,
    pub(super) now: Timestamp,
}

impl Finder<'_> {
    /// Goes through the files, the newest first.
    pub(super) fn find(
        &self,
        files: &[Arc<Sealed>],
        go_on: &mut dyn FnMut() -> Result<(), Fault>,
    ) -> Result<Promised, Fault> {
        let mut seen = Seen::default();
        let mut promised = Promised::default();
        for file in files.iter().rev() {
            let one = [vec![Arc::clone(file)]];
            let mut source = Source::of(&one);
            let mut texts = TopicTexts::default();
            let mut records = Vec::new();
            while let Some(entry) = source.next()? {
                if records.len() % 1024 == 0 {
                    go_on()?;
                }
                let head = entry.view.head(&mut texts);
                let head = head.ok_or_else(|| file.log.unreadable(entry.position))?;
                records.push(self.look(&head, entry.time, entry.raw.len(), &mut seen));
            }
            let bits = || vec![0; records.len().div_ceil(64)];
            let mut found = OfFile {
                promised: bits(),
                standing: bits(),
                records: records.len(),
                last: file.last,
                ..OfFile::default()
            };
            for (number, record) in records.iter().enumerate().rev() {
                let place = Place { file: promised.files.len(), number };
                let Held { is_promised, stands } = seen.judge(record, place);
                let (word, bit) = (number / 64, 1 << (number % 64));
                if stands {
                    found.standing[word] |= bit;
                }
                if is_promised {
                    found.promised[word] |= bit;
                    found.promised_bytes += u64::from(record.bytes);
                } else if record.is_young {
                    found.other_bytes += u64::from(record.bytes);
                }
            }
            promised.files.push(found);
        }
        for Place { file, number } in seen.needed {
            promised.files[file].promised[number / 64] |= 1 << (number % 64);
        }
        promised.files.reverse();
        Ok(promised)
    }

    fn look(&self, head: &Draft, time: Timestamp, bytes: usize, seen: &mut Seen) -> Seeing {
        let lane = self.rules.lane_of_record(head);
        let policy = self.policies[lane];
        // A record with a time to live does not count: when it is over there would be one too few.
        let counts = head.kind.is_event()
            && (head.ttl_s.is_none() || Mistake::TimeToLiveCounts.is_planted())
            && !is_end(head);
        let matters = policy.promise.is_some() || (head.key.is_some() && !self.fronts[lane]);
        let slot = if matters { self.slots.slot_of(head) } else { None };
        let topic = policy.promise.map_or(0, |_| seen.number_of(&head.topic));
        Seeing {
            promise: policy.promise,
            topic,
            slot,
            lasts: !head.kind.is_removal() && !head.is_over(time, self.now),
            continues: head.piece.as_ref().is_some_and(|piece| piece.from > 0),
            counts,
            ends: head.kind.ends_topic(),
            bytes: bytes as u32,
            is_young: policy.is_young(time, self.now),
        }
    }
}

/// Whether it only says that its topic has ended.
fn is_end(record: &Draft) -> bool {
    matches!(record.kind, Kind::End | Kind::SilentEnd)
}

/// A record, as far as it matters for this.
struct Seeing {
    promise: Option<Promise>,
    topic: u32,
    /// If it matters.
    slot: Option<SlotHash>,
    /// Whether it is neither a removal, nor is its time to live over.
    lasts: bool,
    /// Whether it is a piece that is added to what is before it.
    continues: bool,
    counts: bool,
    ends: bool,
    bytes: u32,
    is_young: bool,
}

/// How many of the newest records of each topic were seen, and of which slots.
#[derive(Default)]
struct Seen {
    topics: HashMap<Topic, u32, RandomState>,
    /// By number: how many count, and whether there was any.
    counts: Vec<(u32, bool)>,
    /// Each with whether the next older record is a part of the value.
    slots: HashMap<SlotHash, bool, RandomState>,
    /// Records that stand for their slots although their time to live is over. They do not count
    /// among the last ones.
    over: HashMap<SlotHash, Place, RandomState>,
    /// Those of them that have to stay, because one that they superseded does.
    needed: Vec<Place>,
}

/// Where a record is.
#[derive(Clone, Copy)]
struct Place {
    /// Number of its file, counted from the newest.
    file: usize,
    number: usize,
}

impl Seen {
    fn number_of(&mut self, topic: &Topic) -> u32 {
        if let Some(number) = self.topics.get(topic) {
            return *number;
        }
        let number = self.counts.len() as u32;
        self.counts.push((0, false));
        self.topics.insert(topic.clone(), number);
        number
    }

    /// What the record before those seen is. The end of a topic stays as long as it is the last:
    /// without it the topic would go on.
    fn judge(&mut self, record: &Seeing, place: Place) -> Held {
        let stands = record.slot.is_some_and(|slot| self.stands(slot, record.continues));
        let Some(promise) = record.promise else {
            return Held { is_promised: false, stands };
        };
        let (count, any) = &mut self.counts[record.topic as usize];
        let is_newest = !std::mem::replace(any, true);
        let is_promised = match promise {
            Promise::Last(last) => {
                let is_one = record.counts && *count < last.get();
                *count += u32::from(is_one);
                is_one
            }
            Promise::State => stands && record.lasts,
        };
        if let (Promise::Last(_), Some(slot)) = (promise, record.slot) {
            if stands && !record.lasts {
                self.over.insert(slot, place);
            } else if is_promised {
                self.needed.extend(self.over.remove(&slot));
            }
        }
        Held { is_promised: is_promised || (is_newest && record.ends), stands }
    }

    fn stands(&mut self, slot: SlotHash, continues: bool) -> bool {
        match self.slots.entry(slot) {
            Entry::Vacant(entry) => {
                entry.insert(continues && !Mistake::PiecesGo.is_planted());
                true
            }
            Entry::Occupied(mut entry) => {
                let is_part = *entry.get();
                entry.insert(is_part && continues);
                is_part
            }
        }
    }
}
