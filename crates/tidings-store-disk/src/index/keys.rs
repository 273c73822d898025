//! A sorted table of texts in an index file: the topics of a segment, or its ids.
//!
//! Entries lie one after the other, sorted; an array of their offsets (and one more: the end of the
//! last entry) makes them searchable. The entry of an id is the place of its oldest record, in 4
//! bytes, and the text. That of a topic is:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | place of the newest record |
//! | 4 | number of records |
//! | 4 | number of its first posting |
//! | 4 | place of the oldest record |
//! | 8 | bytes of the records |
//! | 1 | 1 if the topic is ended |
//! | … | the text |

use crate::block::{u32_at, u64_at};
use crate::error::Fault;

use super::TopicSummary;
use super::filter::KeyKind;
use super::pages::PageReader;

/// Bytes of a topic's entry before its text.
const TOPIC_BYTES: usize = 25;

/// Bytes of an id's entry before its text.
const ID_BYTES: usize = 4;

/// Bytes of entries read at once when reading many in a row.
const RUN_BYTES: u64 = 64 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) text: String,
    pub(super) place: u32,
    /// What follows is of a topic.
    pub(super) records: u32,
    pub(super) postings: u32,
    pub(super) first: u32,
    pub(super) bytes: u64,
    pub(super) ended: bool,
}

impl Entry {
    pub(super) fn encode(&self, kind: KeyKind, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.place.to_le_bytes());
        if let KeyKind::Topic = kind {
            buffer.extend_from_slice(&self.records.to_le_bytes());
            buffer.extend_from_slice(&self.postings.to_le_bytes());
            buffer.extend_from_slice(&self.first.to_le_bytes());
            buffer.extend_from_slice(&self.bytes.to_le_bytes());
            buffer.push(u8::from(self.ended));
        }
        buffer.extend_from_slice(self.text.as_bytes());
    }

    fn decode(kind: KeyKind, bytes: &[u8]) -> Option<Self> {
        let fixed = match kind {
            KeyKind::Topic => TOPIC_BYTES,
            KeyKind::Id => ID_BYTES,
        };
        let (fixed, text) = bytes.split_at_checked(fixed)?;
        let text = std::str::from_utf8(text).ok()?.to_owned();
        let place = u32_at(fixed, 0);
        Some(match kind {
            KeyKind::Id => Self { text, place, ..Self::default() },
            KeyKind::Topic => Self {
                text,
                place,
                records: u32_at(fixed, 4),
                postings: u32_at(fixed, 8),
                first: u32_at(fixed, 12),
                bytes: u64_at(fixed, 16),
                ended: fixed[24] == 1,
            },
        })
    }

    pub(super) fn summary(&self) -> TopicSummary {
        TopicSummary {
            records: self.records,
            bytes: self.bytes,
            first: self.first,
            last: self.place,
            ended: self.ended,
        }
    }
}

/// The location of a table in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// What the texts are.
    pub(super) kind: KeyKind,
    /// Number of entries.
    pub(super) count: u32,
    /// Offset at which the array of offsets begins.
    pub(super) offsets: u64,
}

impl Keys {
    /// The entry with this text.
    pub(super) fn get(self, source: &PageReader, text: &str) -> Result<Option<Entry>, Fault> {
        let (_, found) = self.search(source, text)?;
        Ok(found)
    }

    /// The number of the first entry that is not less than `text`.
    pub(super) fn lower_bound(self, source: &PageReader, text: &str) -> Result<u32, Fault> {
        let (at, _) = self.search(source, text)?;
        Ok(at)
    }

    /// The first entry that is not less than `text`.
    pub(super) fn first_from(
        self,
        source: &PageReader,
        text: &str,
    ) -> Result<Option<Entry>, Fault> {
        match self.search(source, text)? {
            (_, Some(entry)) => Ok(Some(entry)),
            (at, None) if at < self.count => self.entry(source, at).map(Some),
            (_, None) => Ok(None),
        }
    }

    fn search(self, source: &PageReader, text: &str) -> Result<(u32, Option<Entry>), Fault> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(source, middle)?;
            match entry.text.as_str().cmp(text) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok((middle, Some(entry))),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok((low, None))
    }

    fn entry(self, source: &PageReader, number: u32) -> Result<Entry, Fault> {
        let ends = source.read(self.offsets + u64::from(number) * 4, 8)?;
        let (start, end) = (u32_at(&ends, 0), u32_at(&ends, 4));
        let bytes = source.read(u64::from(start), end.saturating_sub(start) as usize)?;
        Entry::decode(self.kind, &bytes).ok_or_else(|| source.damaged("an entry"))
    }

    /// Calls `take` for the entries from `number` on, until it returns `false` or there are no
    /// more.
    pub(super) fn each_from(
        self,
        source: &PageReader,
        mut number: u32,
        mut take: impl FnMut(Entry) -> bool,
    ) -> Result<(), Fault> {
        while number < self.count {
            let ahead = (self.count - number).min(1024);
            let offsets = self.offsets + u64::from(number) * 4;
            let offsets = source.read(offsets, (ahead as usize + 1) * 4)?;
            let start = u32_at(&offsets, 0);
            // At least one entry, however long.
            let run = (1..=ahead as usize)
                .take_while(|n| {
                    let end = u32_at(&offsets, n * 4);
                    *n == 1 || u64::from(end.saturating_sub(start)) <= RUN_BYTES
                })
                .count();
            let length = u32_at(&offsets, run * 4).saturating_sub(start);
            let bytes = source.read(u64::from(start), length as usize)?;
            for n in 0..run {
                let from = u32_at(&offsets, n * 4).wrapping_sub(start) as usize;
                let to = u32_at(&offsets, n * 4 + 4).wrapping_sub(start) as usize;
                let entry = bytes.get(from..to).and_then(|bytes| Entry::decode(self.kind, bytes));
                if !take(entry.ok_or_else(|| source.damaged("an entry"))?) {
                    return Ok(());
                }
            }
            number += run as u32;
        }
        Ok(())
    }
}
