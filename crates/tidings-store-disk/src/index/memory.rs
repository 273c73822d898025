use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use foldhash::fast::RandomState;
use tidings_hub::{Draft, EventId, Matcher, Timestamp, Topic};

use crate::error::Fault;

use super::ids::IdPlaces;
use super::{BlockEntry, Posting, SegmentIndex, TopicSummary};

/// The index of a segment that is being written, or whose index file is still being written.
#[derive(Debug, Default)]
pub(crate) struct MemoryIndex {
    topics: HashMap<Topic, TopicRecords, RandomState>,
    /// The same topics in the order of their names. Changed only when a topic is new.
    names: BTreeSet<Topic>,
    /// Topics added since the last [`take_new`](MemoryIndex::take_new).
    new: Vec<Topic>,
    ids: HashMap<EventId, IdPlaces, RandomState>,
    /// Number of keys that the ids will have in an index file.
    id_keys: usize,
    blocks: Vec<BlockEntry>,
    records: u32,
}

#[derive(Debug, Default)]
struct TopicRecords {
    postings: Vec<Posting>,
    bytes: u64,
    ended: bool,
}

impl MemoryIndex {
    /// Adds the next block.
    pub(crate) fn add_block(&mut self, block: BlockEntry) {
        self.blocks.push(block);
    }

    /// Adds the next record, which is in the block added last and takes `bytes` of it.
    pub(crate) fn add_record(&mut self, record: &Draft, bytes: usize) {
        self.add_record_at(self.records, record, bytes);
    }

    /// Adds the next record, which is in the block added last, in a run: at any place behind the
    /// one before.
    pub(crate) fn add_record_at(&mut self, place: u32, record: &Draft, bytes: usize) {
        let block = self.blocks.last().expect("a record is in a block").offset;
        self.records += 1;
        let posting = Posting::new(place, record, block);
        for topic in record.topics() {
            let entry = match self.topics.get_mut(topic) {
                Some(entry) => entry,
                None => {
                    self.names.insert(topic.clone());
                    self.new.push(topic.clone());
                    self.topics.entry(topic.clone()).or_default()
                }
            };
            // An event may name the same topic twice.
            if entry.postings.last().is_none_or(|last| last.place() != place) {
                entry.postings.push(posting);
                entry.bytes += bytes as u64;
            }
            entry.ended = record.kind.ends_topic();
        }
        if let Some(id) = &record.id {
            for topic in record.topics() {
                self.add_id(id, topic, place);
            }
        }
    }

    fn add_id(&mut self, id: &EventId, topic: &Topic, place: u32) {
        match self.ids.entry(id.clone()) {
            Entry::Vacant(vacant) => {
                self.id_keys += vacant.insert(IdPlaces::new(topic, place)).count();
            }
            Entry::Occupied(mut occupied) => {
                let places = occupied.get_mut();
                let before = places.count();
                if places.add(topic, place) {
                    self.id_keys += places.count() - before;
                }
            }
        }
    }

    /// The topics added since the last call.
    pub(crate) fn take_new(&mut self) -> Vec<Topic> {
        std::mem::take(&mut self.new)
    }

    /// Number of records.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Number of different topics, and of ids on them.
    pub(crate) fn keys(&self) -> usize {
        self.topics.len() + self.id_keys
    }

    /// Number of keys in the filter of an index file: each topic, each id, and each id on its
    /// topics.
    pub(super) fn filter_keys(&self) -> usize {
        self.keys() + self.ids.len()
    }

    /// The blocks in order.
    pub(super) fn blocks(&self) -> &[BlockEntry] {
        &self.blocks
    }

    /// The topics in the order of their names, with their records.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&Topic, TopicSummary, &[Posting])> {
        self.names.iter().map(|topic| {
            let entry = &self.topics[topic];
            (topic, entry.summary(), &entry.postings[..])
        })
    }

    /// The ids in the order of their keys, each with its records.
    pub(super) fn ids_in_order(&self) -> Vec<(&EventId, &IdPlaces)> {
        let mut ids: Vec<_> = self.ids.iter().collect();
        // This is the order of their keys: an id that is a prefix of another comes first, because a
        // NUL follows it in the key.
        ids.sort_unstable_by_key(|(id, _)| id.as_str());
        ids
    }
}

impl SegmentIndex for MemoryIndex {
    fn records_from(
        &self,
        topic: &Topic,
        from: u32,
        count: usize,
        into: &mut Vec<Posting>,
    ) -> Result<(), Fault> {
        if let Some(entry) = self.topics.get(topic) {
            let start = entry.postings.partition_point(|posting| posting.place() < from);
            into.extend(entry.postings[start..].iter().take(count));
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
        if let Some(entry) = self.topics.get(topic) {
            let end = entry.postings.partition_point(|posting| posting.place() < below);
            into.extend(entry.postings[..end].iter().rev().take(count));
        }
        Ok(())
    }

    fn topic(&self, topic: &Topic) -> Result<Option<TopicSummary>, Fault> {
        Ok(self.topics.get(topic).map(TopicRecords::summary))
    }

    fn topics(
        &self,
        prefix: &str,
        after: Option<&Topic>,
        count: usize,
    ) -> Result<Vec<(Topic, TopicSummary)>, Fault> {
        let start = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        let names = self.names.range::<str, _>((start, Bound::Unbounded));
        let wanted = names.take_while(|topic| topic.as_str().starts_with(prefix)).take(count);
        Ok(wanted.map(|topic| (topic.clone(), self.topics[topic].summary())).collect())
    }

    fn find(&self, id: &EventId, on: &[Matcher]) -> Result<Option<u32>, Fault> {
        Ok(self.ids.get(id).and_then(|places| places.find(on)))
    }

    fn blocks_back(&self, place: u32, count: usize) -> Result<Vec<BlockEntry>, Fault> {
        let end = self.blocks.partition_point(|block| block.place <= place);
        Ok(self.blocks[..end].iter().rev().take(count).copied().collect())
    }

    fn place_at(&self, since: Timestamp) -> Result<Option<u32>, Fault> {
        let older = self.blocks.partition_point(|block| block.time < since);
        Ok(self.blocks.get(older).map(|block| block.place))
    }
}

impl TopicRecords {
    fn summary(&self) -> TopicSummary {
        let ends = self.postings.first().zip(self.postings.last());
        let (first, last) = ends.expect("a topic is made with its first record");
        TopicSummary {
            records: self.postings.len() as u32,
            bytes: self.bytes,
            first: first.place(),
            last: last.place(),
            ended: self.ended,
        }
    }
}
