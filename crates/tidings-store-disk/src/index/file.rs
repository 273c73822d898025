//! The index of a sealed segment, as a file.
//!
//! Five sections in a row of [pages](super::pages), then a footer in a page of its own, which is
//! read first:
//!
//! | section | content |
//! |---|---|
//! | entries | the topics, then the [ids](super::ids), as [`keys`](super::keys) describes |
//! | postings | 8 bytes per record and topic: its place, its block's offset; topic after topic |
//! | blocks | 16 bytes per block: place of its first record, its offset, its time |
//! | offsets | offsets of the topics' entries, then of the ids' |
//! | filter | see [`filter`](super::filter) |

use std::io;

use tidings_hub::{EventId, Matcher, Position, Timestamp, Topic};

use crate::block::{u32_at, u64_at};
use crate::disk::Disk;
use crate::error::Fault;
use crate::limits::ID_TOPICS_MAX;

use super::filter::{Filter, KeyKind};
use super::ids::{exact, key, key_of_all, matches_any};
use super::keys::{Entry, Keys};
use super::pages::{PAGE_BYTES, PageReader};
use super::{BlockEntry, Posting, SegmentIndex, TopicSummary};

/// Bytes of the footer.
const FOOTER_BYTES: usize = 104;

const MAGIC: [u8; 8] = *b"TIDINGSI";

/// Changes whenever the layout does. An index of another format is rebuilt.
const FORMAT: u32 = 3;

/// Facts about the segment, and the offsets of the index's sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Ties the index to its segment file.
    pub(super) salt: u64,
    pub(crate) first: Position,
    pub(crate) records: u32,
    /// Length of the segment file.
    pub(crate) log_bytes: u64,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
    pub(super) topics: u32,
    pub(super) ids: u32,
    pub(super) blocks: u32,
    /// Number of keys that the filter was made for.
    pub(super) filter_keys: u32,
    pub(super) postings_at: u64,
    pub(super) blocks_at: u64,
    pub(super) offsets_at: u64,
    pub(super) filter_at: u64,
}

impl Footer {
    pub(super) fn encode(&self) -> [u8; FOOTER_BYTES] {
        let mut bytes = [0; FOOTER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        let longs = [
            self.salt,
            self.first.get(),
            self.log_bytes,
            self.first_time.as_millis(),
            self.last_time.as_millis(),
            self.postings_at,
            self.blocks_at,
            self.offsets_at,
            self.filter_at,
        ];
        for (n, long) in longs.iter().enumerate() {
            bytes[12 + n * 8..][..8].copy_from_slice(&long.to_le_bytes());
        }
        let ints = [self.records, self.topics, self.ids, self.blocks, self.filter_keys];
        for (n, int) in ints.iter().enumerate() {
            bytes[84 + n * 4..][..4].copy_from_slice(&int.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let right = bytes[..8] == MAGIC && u32_at(bytes, 8) == FORMAT;
        right.then(|| Self {
            salt: u64_at(bytes, 12),
            first: Position::new(u64_at(bytes, 20)),
            log_bytes: u64_at(bytes, 28),
            first_time: Timestamp::from_millis(u64_at(bytes, 36)),
            last_time: Timestamp::from_millis(u64_at(bytes, 44)),
            postings_at: u64_at(bytes, 52),
            blocks_at: u64_at(bytes, 60),
            offsets_at: u64_at(bytes, 68),
            filter_at: u64_at(bytes, 76),
            records: u32_at(bytes, 84),
            topics: u32_at(bytes, 88),
            ids: u32_at(bytes, 92),
            blocks: u32_at(bytes, 96),
            filter_keys: u32_at(bytes, 100),
        })
    }
}

/// An index on disk. Only its filter is in memory.
pub(crate) struct IndexFile {
    source: PageReader,
    footer: Footer,
    filter: Filter,
}

impl IndexFile {
    /// Opens the index in `name`. `None` if it is damaged, unfinished, of another format, or
    /// belongs to another segment than the one with this `salt`: then it must be rebuilt.
    pub(crate) fn open(disk: &dyn Disk, name: &str, salt: u64) -> io::Result<Option<Self>> {
        let Some(source) = PageReader::open(disk.open(name)?, disk.path(name))? else {
            return Ok(None);
        };
        let footer_at = source.end() - PAGE_BYTES as u64;
        let footer = source.read(footer_at, FOOTER_BYTES).ok();
        let footer = footer.and_then(|bytes| Footer::decode(&bytes));
        let Some(footer) = footer.filter(|footer| footer.salt == salt) else {
            return Ok(None);
        };
        // It lies between the offsets and the footer, padded to whole words and to the page.
        let bytes = Filter::bytes_for(footer.filter_keys as usize);
        let filter = source.read(footer.filter_at, bytes).ok();
        let filter = filter.map(|bytes| Filter::from_bytes(&bytes));
        Ok(filter.map(|filter| Self { source, footer, filter }))
    }

    pub(crate) fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Length of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.source.file_bytes()
    }

    fn topic_keys(&self) -> Keys {
        let Footer { topics, offsets_at, .. } = self.footer;
        Keys { kind: KeyKind::Topic, count: topics, offsets: offsets_at }
    }

    fn id_keys(&self) -> Keys {
        let offsets = self.footer.offsets_at + (u64::from(self.footer.topics) + 1) * 4;
        Keys { kind: KeyKind::Id, count: self.footer.ids, offsets }
    }

    fn topic_entry(&self, topic: &Topic) -> Result<Option<Entry>, Fault> {
        if !self.filter.may_hold(KeyKind::Topic, topic.as_str()) {
            return Ok(None);
        }
        self.topic_keys().get(&self.source, topic.as_str())
    }

    /// The place of the oldest record with this id, on any topic.
    fn oldest_with(&self, id: &EventId) -> Result<Option<u32>, Fault> {
        let key = key_of_all(id);
        if !self.filter.may_hold(KeyKind::Id, &key) {
            return Ok(None);
        }
        // The entry for all topics; if there is only one topic, the entry for that one.
        let first = self.id_keys().first_from(&self.source, &key)?;
        Ok(first.filter(|entry| entry.text.starts_with(&key)).map(|entry| entry.place))
    }

    /// The place of the oldest record with this id on one of `topics`.
    fn find_on(&self, id: &EventId, topics: &[&Topic]) -> Result<Option<u32>, Fault> {
        let mut oldest = None;
        for topic in topics {
            let key = key(id, topic.as_str());
            if self.filter.may_hold(KeyKind::Id, &key)
                && let Some(entry) = self.id_keys().get(&self.source, &key)?
            {
                oldest = Some(oldest.unwrap_or(entry.place).min(entry.place));
            }
        }
        Ok(oldest)
    }

    /// The same on topics that one of `on` matches.
    fn find_matching(&self, id: &EventId, on: &[Matcher]) -> Result<Option<u32>, Fault> {
        let Some(oldest) = self.oldest_with(id)? else {
            return Ok(None);
        };
        let (mut found, mut topics, mut is_damaged) = (None, 0, false);
        let prefix = key_of_all(id);
        let start = self.id_keys().lower_bound(&self.source, &prefix)?;
        self.id_keys().each_from(&self.source, start, |entry| {
            let Some(name) = entry.text.strip_prefix(&prefix) else {
                return false;
            };
            if name.is_empty() {
                return true;
            }
            topics += 1;
            match Topic::stored(name) {
                Ok(topic) if matches_any(on, &topic) => {
                    found = Some(found.unwrap_or(entry.place).min(entry.place));
                }
                Ok(_) => {}
                Err(_) => is_damaged = true,
            }
            topics <= ID_TOPICS_MAX && !is_damaged
        })?;
        match found {
            _ if is_damaged => Err(self.source.damaged("the topic of an id")),
            _ if topics > ID_TOPICS_MAX => Ok(Some(oldest)),
            found => Ok(found),
        }
    }

    /// The postings of `entry` with these numbers, counted from its first.
    fn postings(&self, entry: &Entry, from: u32, to: u32) -> Result<Vec<Posting>, Fault> {
        let number = u64::from(entry.postings) + u64::from(from);
        let address = self.footer.postings_at + number * 8;
        let bytes = self.source.read(address, (to - from) as usize * 8)?;
        let each = bytes.chunks_exact(8);
        Ok(each.map(|bytes| Posting::from_bytes(bytes.try_into().expect("eight"))).collect())
    }

    /// Number of postings of `entry` before `place`.
    fn postings_before(&self, entry: &Entry, place: u32) -> Result<u32, Fault> {
        partition_point(entry.records, |number| {
            Ok(self.postings(entry, number, number + 1)?[0].place() < place)
        })
    }

    fn blocks(&self, from: u32, to: u32) -> Result<Vec<BlockEntry>, Fault> {
        let address = self.footer.blocks_at + u64::from(from) * BlockEntry::BYTES as u64;
        let bytes = self.source.read(address, (to - from) as usize * BlockEntry::BYTES)?;
        let each = bytes.chunks_exact(BlockEntry::BYTES);
        Ok(each.map(|bytes| BlockEntry::from_bytes(bytes.try_into().expect("16"))).collect())
    }
}

impl SegmentIndex for IndexFile {
    fn records_from(
        &self,
        topic: &Topic,
        from: u32,
        count: usize,
        into: &mut Vec<Posting>,
    ) -> Result<(), Fault> {
        if let Some(entry) = self.topic_entry(topic)? {
            let start = self.postings_before(&entry, from)?;
            let end = entry.records.min(start.saturating_add(count as u32));
            into.extend(self.postings(&entry, start, end)?);
        }
        Ok(())
    }

    fn records_before(
        &self,
        topic: &Topic,
        below: u32,
        count: usize,
        into: &mut Vec<Posting>,
    ) -> Result<(), Fault> {
        if let Some(entry) = self.topic_entry(topic)? {
            let end = self.postings_before(&entry, below)?;
            let start = end.saturating_sub(count as u32);
            into.extend(self.postings(&entry, start, end)?.into_iter().rev());
        }
        Ok(())
    }

    fn topic(&self, topic: &Topic) -> Result<Option<TopicSummary>, Fault> {
        Ok(self.topic_entry(topic)?.map(|entry| entry.summary()))
    }

    fn topics(
        &self,
        prefix: &str,
        after: Option<&Topic>,
        count: usize,
    ) -> Result<Vec<(Topic, TopicSummary)>, Fault> {
        let keys = self.topic_keys();
        let after = after.map(Topic::as_str).filter(|after| *after >= prefix);
        let start = keys.lower_bound(&self.source, after.unwrap_or(prefix))?;
        let mut found = Vec::new();
        let mut damaged = false;
        if count == 0 {
            return Ok(found);
        }
        keys.each_from(&self.source, start, |entry| {
            if Some(entry.text.as_str()) == after {
                return true;
            }
            if !entry.text.starts_with(prefix) {
                return false;
            }
            match Topic::stored(&entry.text) {
                Ok(topic) => found.push((topic, entry.summary())),
                Err(_) => damaged = true,
            }
            found.len() < count && !damaged
        })?;
        if damaged { Err(self.source.damaged("a topic's name")) } else { Ok(found) }
    }

    fn find(&self, id: &EventId, on: &[Matcher]) -> Result<Option<u32>, Fault> {
        match exact(on) {
            _ if on.contains(&Matcher::All) => self.oldest_with(id),
            Some(topics) => self.find_on(id, &topics),
            None => self.find_matching(id, on),
        }
    }

    fn blocks_back(&self, place: u32, count: usize) -> Result<Vec<BlockEntry>, Fault> {
        let end = partition_point(self.footer.blocks, |number| {
            Ok(self.blocks(number, number + 1)?[0].place <= place)
        })?;
        let mut blocks = self.blocks(end.saturating_sub(count as u32), end)?;
        blocks.reverse();
        Ok(blocks)
    }

    fn place_at(&self, since: Timestamp) -> Result<Option<u32>, Fault> {
        let older = partition_point(self.footer.blocks, |number| {
            Ok(self.blocks(number, number + 1)?[0].time < since)
        })?;
        if older == self.footer.blocks {
            return Ok(None);
        }
        Ok(Some(self.blocks(older, older + 1)?[0].place))
    }
}

/// The first of `0..count` for which `before` no longer holds.
fn partition_point(
    count: u32,
    mut before: impl FnMut(u32) -> Result<bool, Fault>,
) -> Result<u32, Fault> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
