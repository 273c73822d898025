use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tidings_codec::EventId;

use crate::draft::Draft;
use crate::epoch::Epoch;
use crate::error::{AppendError, ReadError};
use crate::interest::Interest;
use crate::matcher::Matcher;
use crate::position::Position;
use crate::record::Record;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

use super::{
    Appended, Bounds, Catalog, Erase, EraseError, Erased, Eraser, Erasing, HeadSignal, Health, Log,
    LogIdentity, Page, ReadQuery, RecentRecords, Slots, TopicState,
};

/// A log in memory: the [`Log`] contract in its simplest form.
///
/// Nothing survives a restart. It keeps at most `bytes_max` bytes, and records that are at most
/// `age_max` old; the newest record always stays.
#[derive(Debug)]
pub struct MemoryStore {
    identity: LogIdentity,
    bytes_max: usize,
    age_max: Duration,
    log: RwLock<Held>,
    head: HeadSignal,
    slots: Slots,
    /// Held by the erasure that is under way.
    erasing: Mutex<()>,
}

#[derive(Debug)]
struct Held {
    records: RecentRecords,
    /// The latest time it was told.
    now: Timestamp,
    /// Publishers' own ids, each with its records: nearly always one.
    ids: HashMap<EventId, VecDeque<Position>>,
    /// The same by topic, for the many topics on which a publisher may use one id.
    ids_on_topics: HashMap<(EventId, Topic), VecDeque<Position>>,
}

impl MemoryStore {
    /// An empty log named `epoch`.
    pub fn new(epoch: Epoch, bytes_max: usize, age_max: Duration) -> Self {
        let held = Held {
            records: RecentRecords::starting_at(Position::new(1)),
            now: Timestamp::default(),
            ids: HashMap::new(),
            ids_on_topics: HashMap::new(),
        };
        Self {
            identity: LogIdentity::new(epoch),
            bytes_max,
            age_max,
            log: RwLock::new(held),
            head: HeadSignal::new(Position::ZERO),
            slots: Slots::default(),
            erasing: Mutex::default(),
        }
    }

    fn read_log(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_log(&self) -> std::sync::RwLockWriteGuard<'_, Held> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for MemoryStore {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    fn bounds(&self) -> Bounds {
        let log = self.read_log();
        Bounds { first: log.records.first(), head: log.records.head() }
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        let mut log = self.write_log();
        let now = log.records.newest().map_or(now, |newest| now.max(newest.time()));
        log.now = log.now.max(now);
        let appended = drafts
            .into_iter()
            .map(|draft| log.append(draft, now, self.identity.epoch, &self.slots))
            .collect();
        while log.records.cost() > self.bytes_max && log.records.first() < log.records.head() {
            log.forget_oldest(&self.slots);
        }
        self.head.advance(log.records.head());
        Ok(appended)
    }

    fn appends_anywhere(&self) -> bool {
        true
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        let log = self.read_log();
        let bounds = Bounds { first: log.records.first(), head: log.records.head() };
        match bounds.lost_after(query.after.max(query.told)) {
            Some(lost) => Err(ReadError::Expired { first: bounds.first, lost }),
            None => Ok(log.records.read(query, log.now)),
        }
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.head.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        let mut log = self.write_log();
        log.now = log.now.max(now);
        let age_max = self.age_max.as_millis().try_into().unwrap_or(u64::MAX);
        let oldest_kept = Timestamp::from_millis(now.as_millis().saturating_sub(age_max));
        while log.records.oldest().is_some_and(|record| record.time() < oldest_kept)
            && log.records.first() < log.records.head()
        {
            log.forget_oldest(&self.slots);
        }
        Ok(())
    }

    fn eraser(&self) -> Option<&dyn Eraser> {
        Some(self)
    }

    fn note_time(&self, now: Timestamp) {
        let mut log = self.write_log();
        log.now = log.now.max(now);
    }

    fn health(&self) -> Health {
        Health { bytes: self.read_log().records.cost() as u64, ..Health::default() }
    }

    fn catalog(&self) -> &dyn Catalog {
        self
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }
}

impl Eraser for MemoryStore {
    fn erase(&self, what: &Erase, _go_on: &dyn Fn() -> bool) -> Result<Erased, EraseError> {
        let _one = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever reads the log for the table brings no notes of what goes now.
        self.slots.complete(self)?;
        let mut log = self.write_log();
        let mut erased = Erased::default();
        for position in log.records.positions_on(&what.topic) {
            let Some(record) = log.records.get(position).cloned() else {
                continue;
            };
            if what.takes(&record, position) {
                erased.note(&record);
                log.erase(&record, what.what == Erasing::All, &self.slots);
            }
        }
        drop(log);
        self.slots.renew(self, &erased)?;
        Ok(erased)
    }
}

impl Catalog for MemoryStore {
    fn find(&self, id: &EventId, on: &[Matcher]) -> Result<Option<Position>, ReadError> {
        Ok(self.read_log().find(id, on))
    }

    fn seek_time(&self, since: Timestamp) -> Result<Position, ReadError> {
        Ok(self.read_log().records.seek_time(since))
    }

    fn seek_last(&self, interest: &Interest, count: usize) -> Result<Position, ReadError> {
        let log = self.read_log();
        Ok(log.records.seek_last(interest, count, log.now).0)
    }

    fn topic(&self, topic: &Topic) -> Result<Option<TopicState>, ReadError> {
        Ok(self.read_log().records.topic(topic))
    }

    fn topics(
        &self,
        prefix: &str,
        after: Option<&Topic>,
        count: usize,
    ) -> Result<Vec<TopicState>, ReadError> {
        Ok(self.read_log().records.topics(prefix, after, count))
    }

    fn topic_count(&self) -> usize {
        self.read_log().records.topic_count()
    }

    fn has_topic(&self, topic: &Topic) -> bool {
        self.read_log().records.has_topic(topic)
    }
}

impl Held {
    fn append(&mut self, draft: Draft, now: Timestamp, epoch: Epoch, slots: &Slots) -> Appended {
        let position = self.records.head().next();
        let record = Record::new(draft, position, now);
        if let Some(id) = &record.id {
            self.ids.entry(id.clone()).or_default().push_back(position);
            for topic in record.topics() {
                let on_topic = self.ids_on_topics.entry((id.clone(), topic.clone())).or_default();
                on_topic.push_back(position);
            }
        }
        let id = record.event_id(epoch);
        let record = Arc::new(record);
        slots.note(std::slice::from_ref(&record));
        self.records.push(record);
        Appended { position, id, duplicate: false }
    }

    fn erase(&mut self, record: &Arc<Record>, with_topic: bool, slots: &Slots) {
        slots.forget(record);
        slots.note_erased(record.position());
        self.forget_ids(record);
        let erased = Arc::new(record.erased(with_topic));
        if let Some(id) = erased.id.clone() {
            let (position, on) = (record.position(), (id.clone(), erased.topic.clone()));
            insert(&mut self.ids, id, position);
            insert(&mut self.ids_on_topics, on, position);
        }
        self.records.erase(erased);
    }

    fn forget_oldest(&mut self, slots: &Slots) {
        let Some(record) = self.records.pop() else {
            return;
        };
        slots.forget_oldest(&record);
        self.forget_ids(&record);
    }

    fn forget_ids(&mut self, record: &Record) {
        if let Some(id) = &record.id {
            forget(&mut self.ids, id.clone(), record.position());
            for topic in record.topics() {
                let key = (id.clone(), topic.clone());
                forget(&mut self.ids_on_topics, key, record.position());
            }
        }
    }

    fn find(&self, id: &EventId, on: &[Matcher]) -> Option<Position> {
        let all = self.ids.get(id)?;
        let exact: Option<Vec<&Topic>> = on.iter().map(Matcher::as_exact).collect();
        match exact {
            Some(topics) => {
                let keys = topics.into_iter().map(|topic| (id.clone(), topic.clone()));
                keys.filter_map(|key| self.ids_on_topics.get(&key)?.front().copied()).min()
            }
            None => all.iter().copied().find(|position| {
                let record = self.records.get(*position);
                record.is_some_and(|record| {
                    on.iter().any(|matcher| record.topics().any(|topic| matcher.matches(topic)))
                })
            }),
        }
    }
}

/// Adds a record to those of a key, in order.
fn insert<K: Eq + Hash>(of: &mut HashMap<K, VecDeque<Position>>, key: K, position: Position) {
    let positions = of.entry(key).or_default();
    let at = positions.partition_point(|known| *known < position);
    positions.insert(at, position);
}

/// Removes a record from those of a key.
fn forget<K: Eq + Hash>(of: &mut HashMap<K, VecDeque<Position>>, key: K, position: Position) {
    if let Entry::Occupied(mut positions) = of.entry(key) {
        // Nearly always it is the oldest. A record that names a topic twice is there twice.
        if let Some(at) = positions.get().iter().position(|known| *known == position) {
            positions.get_mut().remove(at);
        }
        if positions.get().is_empty() {
            positions.remove();
        }
    }
}
