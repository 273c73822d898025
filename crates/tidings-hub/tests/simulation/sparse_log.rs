//! A log that drops any record but the newest, and rewrites others: what a store that keeps some
//! topics longer than others may do, and more than any store does. It remembers everything, so that
//! it always knows what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings_codec::EventId;
use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Epoch, HeadSignal, Health, Interest, Log,
    LogIdentity, Matcher, Page, Position, ReadError, ReadQuery, Record, Slots, Timestamp, Topic,
    TopicState,
};

/// What the log does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    Nothing,
    /// A rewritten record looks like the one that was there.
    RewritesInSilence,
    /// Losses are not reported.
    DropsInSilence,
    /// Losses are reported to readers that want nothing of what was lost.
    CriesWolf,
}

pub(crate) struct SparseLog {
    identity: LogIdentity,
    head: HeadSignal,
    bug: Bug,
    held: Mutex<Held>,
    slots: Slots,
}

#[derive(Default)]
struct Held {
    kept: BTreeMap<Position, Arc<Record>>,
    /// What was dropped and is missed by its readers.
    lost: BTreeMap<Position, Arc<Record>>,
    /// Topics whose newest record is an end.
    ended: BTreeSet<Topic>,
    head: Position,
}

impl SparseLog {
    pub(crate) fn new(epoch: Epoch, bug: Bug) -> Self {
        Self {
            identity: LogIdentity::new(epoch),
            head: HeadSignal::new(Position::ZERO),
            bug,
            held: Mutex::default(),
            slots: Slots::default(),
        }
    }

    /// Drops the record at `position`, unless it is the newest. Its readers must learn
    /// of that if it `is_missed`.
    pub(crate) fn drop_one(&self, position: Position, is_missed: bool) -> bool {
        let mut held = self.lock();
        if position == held.head {
            return false;
        }
        let Some(record) = held.kept.remove(&position) else { return false };
        if is_missed {
            held.lost.insert(position, record);
        }
        true
    }

    /// Replaces the payload of the record at `position`.
    pub(crate) fn rewrite(&self, position: Position, data: &str) -> bool {
        let mut held = self.lock();
        let Some(record) = held.kept.get_mut(&position) else { return false };
        let draft = Draft { data: data.into(), ..Draft::clone(record) };
        let other = Record::new(draft, position, record.time());
        let is_silent = self.bug == Bug::RewritesInSilence;
        *record = Arc::new(if is_silent { other } else { other.rewritten() });
        true
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost_to(
        &self,
        held: &Held,
        interest: Option<&Interest>,
        after: Position,
    ) -> Option<Position> {
        let is_wanted = |record: &Record| interest.is_none_or(|wanted| wanted.admits(record));
        let mut newest = held.lost.range(after.next()..).rev();
        let lost = match self.bug {
            Bug::DropsInSilence => None,
            Bug::CriesWolf => newest.next(),
            _ => newest.find(|(_, record)| is_wanted(record)),
        };
        lost.map(|(position, _)| *position)
    }
}

impl Held {
    fn bounds(&self) -> Bounds {
        let first = self.kept.keys().next().copied().unwrap_or(self.head.next());
        Bounds { first, head: self.head }
    }

    fn on<'a>(&'a self, topic: &'a Topic) -> impl DoubleEndedIterator<Item = &'a Arc<Record>> {
        self.kept.values().filter(move |record| record.topics().any(|on| on == topic))
    }
}

impl Log for SparseLog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    fn bounds(&self) -> Bounds {
        self.lock().bounds()
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        let mut held = self.lock();
        let append = |draft: Draft| {
            let position = held.head.next();
            for topic in draft.topics() {
                match draft.kind.ends_topic() {
                    true => held.ended.insert(topic.clone()),
                    false => held.ended.remove(topic),
                };
            }
            let record = Record::new(draft, position, now);
            let id = record.event_id(self.identity.epoch);
            let record = Arc::new(record);
            self.slots.note(std::slice::from_ref(&record));
            held.kept.insert(position, record);
            held.head = position;
            Appended { position, id, duplicate: false }
        };
        let appended = drafts.into_iter().map(append).collect();
        self.head.advance(held.head);
        Ok(appended)
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        let held = self.lock();
        let known = query.after.max(query.told);
        if let Some(lost) = self.lost_to(&held, query.interest, known) {
            return Err(ReadError::Expired { first: held.bounds().first, lost });
        }
        let upto = query.upto.min(held.head);
        let mut page = Page { records: Vec::new(), reached: query.after.max(upto) };
        let mut bytes = 0;
        for (position, record) in &held.kept {
            if *position <= query.after || *position > upto {
                continue;
            }
            if query.interest.is_none_or(|interest| interest.admits(record)) {
                bytes += record.cost();
                page.records.push(Arc::clone(record));
                if page.records.len() >= query.records_max || bytes >= query.bytes_max {
                    page.reached = *position;
                    break;
                }
            }
        }
        Ok(page)
    }

    fn lost(&self, interest: &Interest, after: Position) -> Result<Option<Position>, ReadError> {
        Ok(self.lost_to(&self.lock(), Some(interest), after))
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.head.wait(after, timeout)
    }

    fn retain(&self, _now: Timestamp) -> Result<(), AppendError> {
        Ok(())
    }

    /// Its events are dropped without regard to any clock.
    fn note_time(&self, _now: Timestamp) {}

    fn health(&self) -> Health {
        Health::default()
    }

    fn catalog(&self) -> &dyn Catalog {
        self
    }

    fn slots(&self) -> &Slots {
        &self.slots
    }
}

impl Catalog for SparseLog {
    fn find(&self, id: &EventId, on: &[Matcher]) -> Result<Option<Position>, ReadError> {
        let held = self.lock();
        let is_on = |record: &&Arc<Record>| {
            record.topics().any(|topic| on.iter().any(|matcher| matcher.matches(topic)))
        };
        let mut with_id = held.kept.values().filter(|record| record.id.as_ref() == Some(id));
        Ok(with_id.find(is_on).map(|record| record.position()))
    }

    fn seek_time(&self, since: Timestamp) -> Result<Position, ReadError> {
        let held = self.lock();
        let first = held.kept.values().find(|record| record.time() >= since);
        Ok(first.map_or(held.head, |record| record.position().previous()))
    }

    fn seek_last(&self, interest: &Interest, count: usize) -> Result<Position, ReadError> {
        let held = self.lock();
        let admitted = held.kept.values().rev().filter(|record| interest.admits(record));
        let oldest = admitted.take(count).last();
        Ok(oldest.map_or(held.head, |record| record.position().previous()))
    }

    fn topic(&self, topic: &Topic) -> Result<Option<TopicState>, ReadError> {
        let held = self.lock();
        let state = held.on(topic).next_back().map(|last| TopicState {
            topic: topic.clone(),
            records: held.on(topic).count() as u64,
            bytes: held.on(topic).map(|record| record.cost() as u64).sum(),
            first: held.on(topic).next().map_or(last.position(), |first| first.position()),
            last: last.position(),
            ended: last.kind.ends_topic() && held.ended.contains(topic),
        });
        Ok(state)
    }

    fn topics(
        &self,
        _prefix: &str,
        _after: Option<&Topic>,
        _count: usize,
    ) -> Result<Vec<TopicState>, ReadError> {
        Ok(Vec::new())
    }

    fn topic_count(&self) -> usize {
        0
    }

    fn has_topic(&self, topic: &Topic) -> bool {
        self.lock().on(topic).next().is_some()
    }
}
