use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use tidings_codec::EventId;

use crate::draft::Draft;
use crate::error::ReadError;
use crate::matcher::Matcher;
use crate::position::Position;
use crate::topic::Topic;

use super::{Log, ReadQuery, erased_id};

/// Finds the drafts of one append that repeat an event already published.
///
/// A publisher's own id belongs to its topic: the same id on another topic is another event. A
/// draft with [`Draft::once`] and the id of an event on its topic is a repetition if it [says the
/// same](Draft::says_the_same), and is rejected if it does not. If several events on the topic have
/// the id (not every protocol forbids that), the oldest one counts.
///
/// The check runs on the thread that appends, in the order of the drafts, so nothing can be
/// published between the check and the append.
#[derive(Debug)]
pub struct Repeats<'a> {
    /// Drafts that will be stored with this append, by id and topic; of several, the first.
    batch: HashMap<(&'a EventId, &'a Topic), New<'a>>,
    /// Number of drafts that will be stored.
    count: usize,
}

/// A draft that will be stored, and its number among them.
#[derive(Clone, Copy, Debug)]
struct New<'a> {
    number: usize,
    draft: &'a Draft,
}

/// What to do with a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Store it.
    Store,
    /// It repeats the record at this position.
    Repeats(Position),
    /// It repeats a draft of the same append: the one with this number, counted from 0 among those
    /// that are stored.
    RepeatsNew(usize),
}

/// Why drafts must not be stored.
#[derive(Clone, Debug)]
pub enum CheckError {
    /// A draft has the id of an event on its topic, but other content. The publisher's fault.
    IdReused {
        /// Index of the draft among those checked.
        at: usize,
        /// Its topic.
        topic: Topic,
        /// Its id.
        id: EventId,
    },
    /// A draft has the id of an event on its topic that was erased.
    IdErased {
        /// Index of the draft among those checked.
        at: usize,
        /// Its topic.
        topic: Topic,
        /// Its id.
        id: EventId,
    },
    /// The store could not be read, so whether a draft is a repetition is unknown.
    Read(ReadError),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdReused { topic, id, .. } => {
                write!(f, "an event on {topic} has the id {id}, and other content")
            }
            Self::IdErased { topic, id, .. } => {
                write!(f, "an event on {topic} had the id {id}, and was erased")
            }
            Self::Read(_) => f.write_str("an id could not be looked up in the store"),
        }
    }
}

impl Error for CheckError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::IdReused { .. } | Self::IdErased { .. } => None,
            Self::Read(error) => Some(error),
        }
    }
}

impl<'a> Repeats<'a> {
    /// No drafts yet.
    pub fn new() -> Self {
        Self { batch: HashMap::new(), count: 0 }
    }

    /// Checks drafts that are appended together, after those checked before. Returns a fate for
    /// each.
    ///
    /// # Errors
    ///
    /// [`CheckError`]: then it is as if the drafts had not been checked.
    pub fn check(&mut self, store: &dyn Log, drafts: &'a [Draft]) -> Result<Vec<Fate>, CheckError> {
        let count_before = self.count;
        let mut fates = Vec::with_capacity(drafts.len());
        for (at, draft) in drafts.iter().enumerate() {
            match self.fate(store, draft, at) {
                Ok(fate) => {
                    self.count += usize::from(fate == Fate::Store);
                    fates.push(fate);
                }
                Err(error) => {
                    self.forget(&drafts[..at], count_before);
                    return Err(error);
                }
            }
        }
        Ok(fates)
    }

    fn fate(&mut self, store: &dyn Log, draft: &'a Draft, at: usize) -> Result<Fate, CheckError> {
        let Some(id) = &draft.id else {
            return Ok(Fate::Store);
        };
        let reused = || CheckError::IdReused { at, topic: draft.topic.clone(), id: id.clone() };
        if draft.once {
            let stored = stored(store, draft, id).map_err(CheckError::Read)?;
            if let Some((position, says_the_same)) = stored {
                return says_the_same.then_some(Fate::Repeats(position)).ok_or_else(reused);
            }
            let new = draft.topics().filter_map(|topic| self.batch.get(&(id, topic)));
            if let Some(first) = new.min_by_key(|new| new.number) {
                let says_the_same = first.draft.says_the_same(draft);
                let fate = says_the_same.then_some(Fate::RepeatsNew(first.number));
                return fate.ok_or_else(reused);
            }
            if where_erased(store, &draft.topic, id).map_err(CheckError::Read)?.is_some() {
                let (topic, id) = (draft.topic.clone(), id.clone());
                return Err(CheckError::IdErased { at, topic, id });
            }
        }
        for topic in draft.topics() {
            let new = New { number: self.count, draft };
            self.batch.entry((id, topic)).or_insert(new);
        }
        Ok(Fate::Store)
    }

    /// Number of drafts checked so far that will be stored.
    pub fn stored(&self) -> usize {
        self.count
    }

    /// Forgets `drafts`, which were checked last and are not stored after all. Of all drafts that
    /// are stored, `first` come before them.
    pub fn forget(&mut self, drafts: &'a [Draft], first: usize) {
        for draft in drafts {
            let Some(id) = &draft.id else { continue };
            for topic in draft.topics() {
                if self.batch.get(&(id, topic)).is_some_and(|new| new.number >= first) {
                    self.batch.remove(&(id, topic));
                }
            }
        }
        self.count = first;
    }
}

impl Default for Repeats<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The place of an event with this id that was erased from `topic`, if the log still has it.
///
/// # Errors
///
/// [`ReadError`] if the store cannot be read.
pub fn where_erased(
    store: &dyn Log,
    topic: &Topic,
    id: &EventId,
) -> Result<Option<Position>, ReadError> {
    let notes = [Matcher::Exact(Topic::of_notes())];
    store.catalog().find(&erased_id(topic, id), &notes)
}

/// The oldest record with the id of `draft` on one of its topics, and whether it says the same.
fn stored(
    store: &dyn Log,
    draft: &Draft,
    id: &EventId,
) -> Result<Option<(Position, bool)>, ReadError> {
    let on: Vec<_> = draft.topics().cloned().map(Matcher::Exact).collect();
    let Some(position) = store.catalog().find(id, &on)? else {
        return Ok(None);
    };
    let page = store.read(&ReadQuery::one(position));
    match page {
        Ok(page) => {
            let record = page.records.first();
            let record = record.filter(|record| record.position() == position);
            Ok(record.map(|record| (position, record.says_the_same(draft))))
        }
        // Retention has just dropped it, so the id is no longer known.
        Err(ReadError::Expired { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Epoch, EventType, MemoryStore, Timestamp};

    fn draft(topic: &str, id: &str, data: &str) -> Draft {
        let topic = Topic::new(topic).expect("a valid topic");
        Draft { id: EventId::new(id).ok(), once: true, ..Draft::new(topic, data) }
    }

    fn store(drafts: Vec<Draft>) -> MemoryStore {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let store = MemoryStore::new(epoch, 1 << 20, Duration::from_secs(60));
        store.append(drafts, Timestamp::default()).expect("memory takes everything");
        store
    }

    fn check<'a>(
        repeats: &mut Repeats<'a>,
        store: &MemoryStore,
        drafts: &'a [Draft],
    ) -> Result<Vec<Fate>, usize> {
        repeats.check(store, drafts).map_err(|error| match error {
            CheckError::IdReused { at, .. } | CheckError::IdErased { at, .. } => at,
            CheckError::Read(error) => panic!("{error}"),
        })
    }

    #[test]
    fn an_id_on_another_topic_is_another_event() {
        let store = store(vec![draft("a", "5", "x")]);
        let drafts = [draft("b", "5", "x"), draft("a", "5", "x"), draft("b", "5", "x")];
        let fates = check(&mut Repeats::new(), &store, &drafts);
        let expected = [Fate::Store, Fate::Repeats(Position::new(1)), Fate::RepeatsNew(0)];
        assert_eq!(fates, Ok(expected.to_vec()));
    }

    #[test]
    fn an_id_with_other_content_is_rejected_whatever_differs() {
        let store = store(vec![draft("a", "5", "x")]);
        let retry = Draft { retry_ms: Some(1000), ..draft("a", "5", "x") };
        let typed = Draft { event_type: EventType::new("t").ok(), ..draft("a", "5", "x") };
        let also = Draft { alternates: vec![draft("b", "5", "").topic], ..draft("a", "5", "x") };
        for other in [draft("a", "5", "y"), retry, typed, also] {
            let drafts = [draft("a", "6", "x"), other];
            assert_eq!(check(&mut Repeats::new(), &store, &drafts), Err(1));
        }
    }

    #[test]
    fn rejected_drafts_do_not_count() {
        let store = store(vec![draft("a", "5", "x")]);
        let refused = [draft("a", "6", "lost"), draft("a", "5", "other")];
        let next = [draft("a", "6", "kept"), draft("a", "6", "kept")];
        let last = [draft("a", "6", "kept"), draft("a", "6", "lost")];
        let mut repeats = Repeats::new();
        assert_eq!(check(&mut repeats, &store, &refused), Err(1));
        let expected = vec![Fate::Store, Fate::RepeatsNew(0)];
        assert_eq!(check(&mut repeats, &store, &next), Ok(expected));
        assert_eq!(check(&mut repeats, &store, &last), Err(1));
    }

    #[test]
    fn two_updates_with_one_id_are_two_events_and_a_repetition_is_compared_with_the_oldest() {
        let update = |data| Draft { once: false, ..draft("a", "5", data) };
        let store = store(vec![update("x"), update("y")]);
        let drafts = [update("z"), update("x")];
        let fates = check(&mut Repeats::new(), &store, &drafts);
        assert_eq!(fates, Ok(vec![Fate::Store, Fate::Store]));
        let repeated = [draft("a", "5", "x")];
        let fates = check(&mut Repeats::new(), &store, &repeated);
        assert_eq!(fates, Ok(vec![Fate::Repeats(Position::new(1))]));
        assert_eq!(check(&mut Repeats::new(), &store, &[draft("a", "5", "y")]), Err(0));
    }
}
