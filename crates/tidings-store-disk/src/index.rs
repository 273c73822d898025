//! The index of one segment: finds records by topic, publisher-given id, position and time.
//!
//! While a segment is being written, its index is a [`MemoryIndex`]. When it is sealed, the
//! background thread writes the same content to an [`IndexFile`], and the memory is freed. An index
//! is derived from its segment: a missing one is rebuilt when the log is opened.

mod file;
mod filter;
mod ids;
mod keys;
mod memory;
mod pages;
mod write;

use tidings_hub::{Draft, EventId, Matcher, Timestamp, Topic, Visibility};

use crate::error::Fault;

pub(crate) use file::IndexFile;
pub(crate) use memory::MemoryIndex;
pub(crate) use write::{Indexed, UNFINISHED_ENDING, write_index};

/// Places are counted from the first record of the segment: 0, 1, 2, …
pub(crate) trait SegmentIndex {
    /// Appends to `into` the records on `topic` from place `from` on, in order, at most `count`.
    fn records_from(
        &self,
        topic: &Topic,
        from: u32,
        count: usize,
        into: &mut Vec<Posting>,
    ) -> Result<(), Fault>;

    /// Appends to `into` the records on `topic` before place `below`, newest first, at most
    /// `count`.
    fn records_before(
        &self,
        topic: &Topic,
        below: u32,
        count: usize,
        into: &mut Vec<Posting>,
    ) -> Result<(), Fault>;

    /// A summary of the segment's records on `topic`.
    fn topic(&self, topic: &Topic) -> Result<Option<TopicSummary>, Fault>;

    /// Topics in the order of their names, at most `count` that begin with `prefix` and come after
    /// `after`.
    fn topics(
        &self,
        prefix: &str,
        after: Option<&Topic>,
        count: usize,
    ) -> Result<Vec<(Topic, TopicSummary)>, Fault>;

    /// The place of the oldest record with this publisher-given id and a topic that one of `on`
    /// matches. Patterns are tried on at most [`ID_TOPICS_MAX`](crate::limits::ID_TOPICS_MAX)
    /// topics: if more topics than that have the id, it is the oldest record with it on any topic.
    fn find(&self, id: &EventId, on: &[Matcher]) -> Result<Option<u32>, Fault>;

    /// The block that holds the record at `place`, which must be in the segment, and those before
    /// it: at most `count` in all, newest first.
    fn blocks_back(&self, place: u32, count: usize) -> Result<Vec<BlockEntry>, Fault>;

    /// The place of the first record of the first block with a time of `since` or later.
    fn place_at(&self, since: Timestamp) -> Result<Option<u32>, Fault>;
}

/// A record on a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    /// Its place; with the highest bit set, only the record shows whether a reader gets it.
    place: u32,
    /// Offset of its block in the segment file.
    pub(crate) block: u32,
}

const UNSETTLED: u32 = 1 << 31;

impl Posting {
    pub(crate) fn new(place: u32, record: &Draft, block: u32) -> Self {
        let is_settled = record.visibility != Visibility::Private
            && record.kind.is_event()
            && record.ttl_s.is_none();
        Self { place: place | if is_settled { 0 } else { UNSETTLED }, block }
    }

    pub(crate) fn place(self) -> u32 {
        self.place & !UNSETTLED
    }

    /// Whether it goes to every reader of its topic that may have events that are not private, at
    /// any time.
    pub(crate) fn is_settled(self) -> bool {
        self.place & UNSETTLED == 0
    }

    fn to_bytes(self) -> [u8; 8] {
        (u64::from(self.place) | u64::from(self.block) << 32).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 8]) -> Self {
        let both = u64::from_le_bytes(bytes);
        Self { place: both as u32, block: (both >> 32) as u32 }
    }
}

/// A block of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockEntry {
    /// The place of its first record.
    pub(crate) place: u32,
    /// Its offset in the segment file.
    pub(crate) offset: u32,
    /// The time of its records.
    pub(crate) time: Timestamp,
}

impl BlockEntry {
    const BYTES: usize = 16;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let place = u128::from(self.place);
        let offset = u128::from(self.offset) << 32;
        (place | offset | u128::from(self.time.as_millis()) << 64).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let all = u128::from_le_bytes(bytes);
        Self {
            place: all as u32,
            offset: (all >> 32) as u32,
            time: Timestamp::from_millis((all >> 64) as u64),
        }
    }
}

/// A summary of one segment's records on a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicSummary {
    pub(crate) records: u32,
    /// Bytes of the records in the file.
    pub(crate) bytes: u64,
    /// The place of its oldest record.
    pub(crate) first: u32,
    /// The place of its newest record.
    pub(crate) last: u32,
    /// Whether the newest record ended the topic.
    pub(crate) ended: bool,
}
