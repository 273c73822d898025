use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::interest::Interest;
use crate::limits::{SCAN_RECORDS_MAX, SEEK_RECORDS_MAX};
use crate::position::Position;
use crate::record::Record;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

use super::{Page, ReadQuery, TopicState};

/// The newest records, held in memory: the whole log of the [`MemoryStore`](super::MemoryStore),
/// the hot end of a log on disk.
///
/// An unbroken run of positions, with an index by topic, so that reading one topic of many costs no
/// more than its own records. It forgets the oldest records first, on request.
#[derive(Debug)]
pub struct RecentRecords {
    records: VecDeque<Arc<Record>>,
    /// Position of the oldest record held, or of the next one to come.
    first: Position,
    topics: BTreeMap<Topic, TopicRecords>,
    cost: usize,
}

#[derive(Debug, Default)]
struct TopicRecords {
    positions: VecDeque<Position>,
    bytes: u64,
    ended: bool,
}

impl RecentRecords {
    /// No records yet; the first to come is the one at `next`.
    pub fn starting_at(next: Position) -> Self {
        Self { records: VecDeque::new(), first: next, topics: BTreeMap::new(), cost: 0 }
    }

    /// Adds the next record of the log.
    ///
    /// # Panics
    ///
    /// If it is not the next one: the run would be broken.
    pub fn push(&mut self, record: Arc<Record>) {
        assert_eq!(record.position(), self.head().next(), "records come in log order");
        for topic in record.topics() {
            // Nearly always the topic is there already, and then its name need not be cloned.
            let entry = match self.topics.get_mut(topic) {
                Some(entry) => entry,
                None => self.topics.entry(topic.clone()).or_default(),
            };
            // An event may name the same topic twice.
            if entry.positions.back() != Some(&record.position()) {
                entry.positions.push_back(record.position());
                entry.bytes += record.cost() as u64;
            }
            entry.ended = record.kind.ends_topic();
        }
        self.cost += record.cost();
        self.records.push_back(record);
    }

    /// Forgets the oldest record and returns it.
    pub fn pop(&mut self) -> Option<Arc<Record>> {
        let record = self.records.pop_front()?;
        self.first = record.position().next();
        self.cost -= record.cost();
        for topic in record.topics() {
            let Some(entry) = self.topics.get_mut(topic) else {
                continue;
            };
            if entry.positions.front() == Some(&record.position()) {
                entry.positions.pop_front();
                entry.bytes -= record.cost() as u64;
            }
            if entry.positions.is_empty() {
                self.topics.remove(topic);
            }
        }
        Some(record)
    }

    /// Puts `erased` in the place of the record that is there.
    pub fn erase(&mut self, erased: Arc<Record>) {
        let position = erased.position();
        let Some(record) = self.get(position).cloned() else {
            return;
        };
        for topic in record.topics() {
            let Some(entry) = self.topics.get_mut(topic) else {
                continue;
            };
            let before = entry.positions.len();
            entry.positions.retain(|of_topic| *of_topic != position);
            // An event may name the same topic twice.
            if entry.positions.len() < before {
                entry.bytes -= record.cost() as u64;
            }
            let Some(last) = entry.positions.back().copied() else {
                self.topics.remove(topic);
                continue;
            };
            let at = (last.get() - self.first.get()) as usize;
            entry.ended = self.records[at].kind.ends_topic();
        }
        for topic in erased.topics().filter(|topic| !topic.is_of_notes()) {
            let entry = self.topics.entry(topic.clone()).or_default();
            let at = entry.positions.partition_point(|of_topic| *of_topic < position);
            entry.positions.insert(at, position);
            entry.bytes += erased.cost() as u64;
            entry.ended |= at + 1 == entry.positions.len() && erased.kind.ends_topic();
        }
        self.cost = self.cost - record.cost() + erased.cost();
        let at = self.index_of(position);
        self.records[at] = erased;
    }

    /// Positions of the records on `topic`.
    pub fn positions_on(&self, topic: &Topic) -> Vec<Position> {
        let entry = self.topics.get(topic);
        entry.map_or_else(Vec::new, |entry| entry.positions.iter().copied().collect())
    }

    /// The oldest record.
    pub fn oldest(&self) -> Option<&Arc<Record>> {
        self.records.front()
    }

    /// The newest record.
    pub fn newest(&self) -> Option<&Arc<Record>> {
        self.records.back()
    }

    /// Position of the oldest record, or of the next one to come.
    pub fn first(&self) -> Position {
        self.first
    }

    /// Position of the newest record, or the one before the next to come.
    pub fn head(&self) -> Position {
        Position::new(self.first.get() + self.records.len() as u64).previous()
    }

    /// Memory that the records take, in bytes.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// The record at `position`, if it is held.
    pub fn get(&self, position: Position) -> Option<&Arc<Record>> {
        let place = position.get().checked_sub(self.first.get())?;
        self.records.get(usize::try_from(place).ok()?)
    }

    /// Reads the records that are held here, as they are history at `now`. A query that no index
    /// narrows down is answered in parts of [`SCAN_RECORDS_MAX`] records.
    pub fn read(&self, query: &ReadQuery<'_>, now: Timestamp) -> Page {
        let after = query.after.max(self.first.previous());
        let upto = query.upto.min(self.head());
        let mut page = Page { records: Vec::new(), reached: query.after.max(upto) };
        if upto <= after {
            return page;
        }
        let mut bytes = 0;
        let mut take = |record: &Arc<Record>| {
            let is_unwanted = |interest: &Interest| !interest.admits(record) || record.is_over(now);
            if query.interest.is_some_and(is_unwanted) {
                return true;
            }
            bytes += record.cost();
            page.records.push(Arc::clone(record));
            let full = page.records.len() >= query.records_max || bytes >= query.bytes_max;
            if full {
                page.reached = record.position();
            }
            !full
        };
        let exact = query.interest.and_then(Interest::exact_topics);
        match exact.as_deref() {
            Some(topics) => {
                for position in self.positions_of(topics, after, upto) {
                    if !take(&self.records[self.index_of(position)]) {
                        break;
                    }
                }
            }
            None => {
                let start = self.index_of(after.next());
                let end = self.index_of(upto.next()).min(start + SCAN_RECORDS_MAX);
                let all_taken = self.records.range(start..end).all(take);
                if all_taken {
                    page.reached = self.records[end - 1].position();
                }
            }
        }
        page
    }

    /// The position after which the last `count` admitted records begin, and how many there are;
    /// looks at no more than [`SEEK_RECORDS_MAX`] records.
    pub fn seek_last(
        &self,
        interest: &Interest,
        count: usize,
        now: Timestamp,
    ) -> (Position, usize) {
        let (mut after, mut found) = (self.head(), 0);
        // `false` once there are enough.
        let mut take = |record: &Arc<Record>| {
            if found < count && interest.admits(record) && !record.is_over(now) {
                after = record.position().previous();
                found += 1;
            }
            found < count
        };
        match interest.exact_topics().as_deref() {
            Some(topics) => {
                let mut positions: Vec<_> = topics
                    .iter()
                    .filter_map(|topic| self.topics.get(*topic))
                    .flat_map(|entry| entry.positions.iter().rev().take(SEEK_RECORDS_MAX))
                    .collect();
                positions.sort_unstable();
                positions.dedup();
                let _ = positions.iter().rev().all(|p| take(&self.records[self.index_of(**p)]));
            }
            None => {
                let _ = self.records.iter().rev().take(SEEK_RECORDS_MAX).all(take);
            }
        }
        (after, found)
    }

    /// The position after which records with a time of `since` or later begin.
    pub fn seek_time(&self, since: Timestamp) -> Position {
        let older = self.records.partition_point(|record| record.time() < since);
        Position::new(self.first.get() + older as u64).previous()
    }

    /// The state of one topic.
    pub fn topic(&self, topic: &Topic) -> Option<TopicState> {
        let (topic, entry) = self.topics.get_key_value(topic)?;
        Some(entry.state(topic))
    }

    /// Topics in the order of their names; see [`Catalog::topics`](super::Catalog::topics).
    pub fn topics(&self, prefix: &str, after: Option<&Topic>, count: usize) -> Vec<TopicState> {
        let start = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        self.topics
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(topic, _)| topic.as_str().starts_with(prefix))
            .take(count)
            .map(|(topic, entry)| entry.state(topic))
            .collect()
    }

    /// Number of topics.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Whether a topic has records.
    pub fn has_topic(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// Positions after `after` and up to `upto` of records on any of `topics`, ascending, each
    /// once.
    fn positions_of<'a>(
        &'a self,
        topics: &[&Topic],
        after: Position,
        upto: Position,
    ) -> impl Iterator<Item = Position> + 'a {
        let mut runs: Vec<_> = topics
            .iter()
            .filter_map(|topic| self.topics.get(*topic))
            .map(|entry| {
                let start = entry.positions.partition_point(|position| *position <= after);
                entry.positions.range(start..).copied().peekable()
            })
            .collect();
        std::iter::from_fn(move || {
            let next = runs.iter_mut().filter_map(|run| run.peek().copied()).min()?;
            for run in &mut runs {
                run.next_if_eq(&next);
            }
            (next <= upto).then_some(next)
        })
    }

    fn index_of(&self, position: Position) -> usize {
        (position.get() - self.first.get()) as usize
    }
}

impl TopicRecords {
    fn state(&self, topic: &Topic) -> TopicState {
        TopicState {
            topic: topic.clone(),
            records: self.positions.len() as u64,
            bytes: self.bytes,
            first: *self.positions.front().expect("a topic without records is removed"),
            last: *self.positions.back().expect("a topic without records is removed"),
            ended: self.ended,
        }
    }
}
