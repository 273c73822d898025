//! A sorted table of texts in an index file: the topics of a segment, or the ids.
//!
//! Entries lie one after the other, sorted; an array of their offsets (one more than there are entries: where
//! the last one ends) makes them searchable. An entry is:
//!
//! | bytes | what | |
//! |---|---|---|
//! | 4 | CRC-32 of what follows | |
//! | 4 | place of the newest record | of an id: of the oldest |
//! | 4 | number of records | of an id: 0 |
//! | 4 | number of its first posting | of an id: 0 |
//! | 1 | 1 if the topic is ended | of an id: 0 |
//! | … | the text | |

use crate::block::u32_at;
use crate::error::Fault;

use super::TopicSummary;
use super::file::Source;

/// Bytes of an entry before its text.
const FIXED_BYTES: usize = 17;

/// Bytes of entries read at once when many follow each other.
const RUN_BYTES: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) text: String,
    pub(super) place: u32,
    pub(super) records: u32,
    pub(super) postings: u32,
    pub(super) ended: bool,
}

impl Entry {
    pub(super) fn encode(&self, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(&self.place.to_le_bytes());
        buffer.extend_from_slice(&self.records.to_le_bytes());
        buffer.extend_from_slice(&self.postings.to_le_bytes());
        buffer.push(u8::from(self.ended));
        buffer.extend_from_slice(self.text.as_bytes());
        let crc = crc32fast::hash(&buffer[start + 4..]);
        buffer[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < FIXED_BYTES || u32_at(bytes, 0) != crc32fast::hash(&bytes[4..]) {
            return None;
        }
        Some(Self {
            text: std::str::from_utf8(&bytes[FIXED_BYTES..]).ok()?.to_owned(),
            place: u32_at(bytes, 4),
            records: u32_at(bytes, 8),
            postings: u32_at(bytes, 12),
            ended: bytes[16] == 1,
        })
    }

    pub(super) fn summary(&self) -> TopicSummary {
        TopicSummary { records: self.records, last: self.place, ended: self.ended }
    }
}

/// Where a table is in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// How many entries there are.
    pub(super) count: u32,
    /// Where the array of offsets begins.
    pub(super) offsets: u64,
}

impl Keys {
    /// The entry with this text.
    pub(super) fn get(self, source: &Source, text: &str) -> Result<Option<Entry>, Fault> {
        let (_, found) = self.search(source, text)?;
        Ok(found)
    }

    /// The number of the first entry that is not less than `text`.
    pub(super) fn lower_bound(self, source: &Source, text: &str) -> Result<u32, Fault> {
        let (at, _) = self.search(source, text)?;
        Ok(at)
    }

    fn search(self, source: &Source, text: &str) -> Result<(u32, Option<Entry>), Fault> {
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

    fn entry(self, source: &Source, number: u32) -> Result<Entry, Fault> {
        let mut ends = [0; 8];
        source.read(&mut ends, self.offsets + u64::from(number) * 4)?;
        let (start, end) = (u32_at(&ends, 0), u32_at(&ends, 4));
        let mut bytes = vec![0; source.length(start, end)?];
        source.read(&mut bytes, u64::from(start))?;
        Entry::decode(&bytes).ok_or_else(|| source.damaged("an entry"))
    }

    /// Calls `take` for the entries from `number` on, until it returns `false` or there are no more.
    pub(super) fn each_from(
        self,
        source: &Source,
        mut number: u32,
        mut take: impl FnMut(Entry) -> bool,
    ) -> Result<(), Fault> {
        while number < self.count {
            let ahead = (self.count - number).min(1024);
            let mut offsets = vec![0; (ahead as usize + 1) * 4];
            source.read(&mut offsets, self.offsets + u64::from(number) * 4)?;
            let start = u32_at(&offsets, 0);
            // At least one entry, however long.
            let run = (1..=ahead as usize)
                .take_while(|n| {
                    let end = u32_at(&offsets, n * 4);
                    *n == 1 || u64::from(end.saturating_sub(start)) <= RUN_BYTES
                })
                .count();
            let mut bytes = vec![0; source.length(start, u32_at(&offsets, run * 4))?];
            source.read(&mut bytes, u64::from(start))?;
            for n in 0..run {
                let from = u32_at(&offsets, n * 4).wrapping_sub(start) as usize;
                let to = u32_at(&offsets, n * 4 + 4).wrapping_sub(start) as usize;
                let entry = bytes.get(from..to).and_then(Entry::decode);
                if !take(entry.ok_or_else(|| source.damaged("an entry"))?) {
                    return Ok(());
                }
            }
            number += run as u32;
        }
        Ok(())
    }
}
