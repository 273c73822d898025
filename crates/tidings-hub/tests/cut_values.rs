//! Values that grow by pieces, of which retention drops the beginning while a reader gets the state
//! and goes on live: what the reader has in the end is all of a value, or nothing where a part of
//! the value is gone; never a part.

mod watched_log;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tidings_hub::{
    Draft, Epoch, Interest, Key, Kind, Log, MemoryStore, Page, Piece, Position, ReadError,
    ReadQuery, Record, StatePoll, StateRead, Timestamp, Topic,
};
use watched_log::WatchedLog;

/// What happens to the log; keys are numbers.
#[derive(Clone, Debug)]
enum Change {
    Whole(u8, String),
    Append(u8, String),
    Remove(u8),
    /// Retention drops this many of the oldest records.
    Drop(u64),
}

/// Texts by key.
type Map = BTreeMap<u8, String>;

/// Milliseconds that a record is kept.
const AGE_MS: u64 = 1_000_000;

/// The values as their publishers know them.
#[derive(Clone, Default)]
struct Publishers(Arc<Mutex<Map>>);

impl Publishers {
    fn apply(&self, log: &MemoryStore, change: &Change) {
        let mut now = self.0.lock().expect("nobody panics");
        let topic = topic();
        match change {
            Change::Drop(count) => {
                // The time of a record is its position.
                let kept = log.bounds().first.get() + count;
                log.retain(Timestamp::from_millis(AGE_MS + kept)).expect("memory retains");
            }
            Change::Whole(key, text) => {
                append(log, *key, |draft| draft.data = text.as_str().into());
                now.insert(*key, text.clone());
            }
            Change::Remove(key) => {
                let newest = log.slots().newest(&topic, &name_of(*key));
                if newest.is_some_and(|newest| !newest.is_removal) {
                    append(log, *key, |draft| draft.kind = Kind::Removal);
                    now.remove(key);
                }
            }
            Change::Append(key, text) => {
                let newest = log.slots().newest(&topic, &name_of(*key));
                let from = match newest.filter(|newest| !newest.is_removal) {
                    None => 0,
                    // A hub rejects a piece of a value that is not whole.
                    Some(newest) if newest.is_piece && newest.growing.is_none() => return,
                    Some(_) => now[key].len(),
                };
                let before = now.get(key).map_or("", |value| &value[..from]);
                let value = [before, text].concat();
                append(log, *key, |draft| {
                    draft.data = text.as_str().into();
                    draft.piece = Some(Box::new(Piece { at: None, from: from as u64 }));
                });
                now.insert(*key, value);
            }
        }
    }

    fn now(&self) -> Map {
        self.0.lock().expect("nobody panics").clone()
    }
}

fn topic() -> Topic {
    Topic::new("a").expect("a valid topic")
}

fn name_of(key: u8) -> Key {
    Key::new(&format!("k{key}")).expect("a valid key")
}

fn append(log: &MemoryStore, key: u8, change: impl FnOnce(&mut Draft)) {
    let mut draft = Draft::new(topic(), "");
    draft.key = Some(name_of(key));
    change(&mut draft);
    let now = Timestamp::from_millis(log.bounds().head.next().get());
    log.append(vec![draft], now).expect("memory takes everything");
}

/// A client: it folds what it gets.
#[derive(Default)]
struct Reader {
    map: Map,
    position: Position,
    told: Position,
}

/// Something is lost: the client gets a reset, and then the state from its beginning.
struct Reset;

impl Reader {
    fn query<'a>(&self, interest: &'a Interest, upto: Position, count: usize) -> ReadQuery<'a> {
        ReadQuery {
            after: self.position,
            upto,
            told: self.told,
            interest: Some(interest),
            records_max: count,
            bytes_max: usize::MAX,
        }
    }

    /// Gets the state as a stream does.
    fn stream(&mut self, log: &dyn Log, is_new: bool, count: usize) -> Result<(), Reset> {
        let interest = Interest::everything();
        let mut state = StateRead {
            from: self.position,
            has_removals: !is_new,
            has_superseded: false,
            half: None,
        };
        let (mut upto, mut successor) = (log.bounds().head, Position::ZERO);
        loop {
            let page = unless_lost(state.read(log, &self.query(&interest, upto, count)))?;
            page.page.records.iter().for_each(|record| self.take(record));
            successor = successor.max(page.successor);
            self.position = page.page.reached;
            if self.position >= upto && successor <= upto {
                self.told = self.told.max(upto);
                return Ok(());
            }
            if self.position >= upto {
                upto = successor;
                state = StateRead { has_removals: true, has_superseded: true, ..state };
            }
        }
    }

    /// Gets the state page by page.
    fn poll(&mut self, log: &dyn Log, is_new: bool, count: usize) -> Result<(), Reset> {
        let interest = Interest::everything();
        let mut has_removals = !is_new;
        loop {
            let query = self.query(&interest, log.bounds().head, count);
            let poll = unless_lost(StatePoll::read(log, &query, has_removals))?;
            poll.page.records.iter().for_each(|record| self.take(record));
            self.position = poll.page.reached;
            has_removals = true;
            if poll.is_complete {
                return Ok(());
            }
        }
    }

    /// Gets what comes after the state.
    fn live(&mut self, log: &dyn Log, count: usize) -> Result<(), Reset> {
        let interest = Interest::everything();
        while self.position < log.bounds().head {
            let query = self.query(&interest, log.bounds().head, count);
            let page = unless_lost(log.read(&query))?;
            page.records.iter().for_each(|record| self.take(record));
            self.position = page.reached;
        }
        Ok(())
    }

    fn take(&mut self, record: &Record) {
        let key = record.key.as_ref().expect("all have keys").as_str();
        let key: u8 = key.trim_start_matches('k').parse().expect("a number");
        let is_whole = record.is_whole();
        match self.map.get_mut(&key) {
            _ if record.kind.is_removal() => drop(self.map.remove(&key)),
            // What clients do: the first piece that they get is the value.
            Some(value) if !is_whole => value.push_str(&record.data),
            _ => drop(self.map.insert(key, record.data.to_string())),
        }
    }

    fn reset(&mut self, log: &dyn Log) {
        let bounds = log.bounds();
        *self = Self { map: Map::new(), position: bounds.first.previous(), told: bounds.head };
    }
}

fn unless_lost<T>(read: Result<T, ReadError>) -> Result<T, Reset> {
    match read {
        Ok(read) => Ok(read),
        Err(ReadError::Expired { .. }) => Err(Reset),
        Err(error) => panic!("memory can be read: {error}"),
    }
}

/// Whether the log still has all records of what a key stands for.
fn is_whole(log: &MemoryStore, key: u8) -> bool {
    let newest = log.slots().newest(&topic(), &name_of(key));
    newest.is_some_and(|newest| !newest.is_piece || newest.growing.is_some())
}

fn change() -> impl Strategy<Value = Change> {
    let text = || "[a-z]{1,3}";
    let key = || 0..3_u8;
    prop_oneof![
        6 => (key(), text()).prop_map(|(key, text)| Change::Append(key, text)),
        1 => (key(), text()).prop_map(|(key, text)| Change::Whole(key, text)),
        1 => key().prop_map(Change::Remove),
        3 => (1..6_u64).prop_map(Change::Drop),
    ]
}

fn changes(count: usize) -> impl Strategy<Value = Vec<Change>> {
    proptest::collection::vec(change(), 0..count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_reader_has_all_of_a_value_or_nothing_when_its_beginning_goes_meanwhile(
        before in changes(12),
        away in prop_oneof![Just(None), changes(6).prop_map(Some)],
        coming in changes(40),
        paces in proptest::collection::vec(0..5_usize, 0..20),
        count in 1..5_usize,
        is_polled in any::<bool>(),
    ) {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let store = MemoryStore::new(epoch, usize::MAX, Duration::from_millis(AGE_MS));
        let publishers = Publishers::default();
        before.iter().for_each(|change| publishers.apply(&store, change));
        store.slots().complete(&store).expect("memory can be read");
        // It comes with nothing, or comes back with what it had.
        let mut reader = Reader::default();
        let bounds = store.bounds();
        (reader.position, reader.told) = (bounds.first.previous(), bounds.head);
        let mut is_new = true;
        if let Some(away) = away {
            is_new = false;
            reader.map = publishers.now();
            (reader.position, reader.told) = (bounds.head, bounds.head);
            away.iter().for_each(|change| publishers.apply(&store, change));
        }
        // Between what a read finds and what the hub makes of it.
        let rest = Mutex::new((coming.into_iter(), paces.into_iter()));
        let hook = {
            let publishers = publishers.clone();
            move |log: &MemoryStore, _: &Page| {
                let mut rest = rest.lock().expect("nobody panics");
                let (coming, paces) = &mut *rest;
                let pace = paces.next().unwrap_or(0);
                coming.take(pace).for_each(|change| publishers.apply(log, &change));
            }
        };
        let log = WatchedLog::new(store, hook);
        let mut resets = 0;
        loop {
            let read = match is_polled {
                true => reader.poll(&log, is_new, count),
                false => reader.stream(&log, is_new, count),
            };
            if read.and_then(|()| reader.live(&log, count)).is_ok() {
                break;
            }
            resets += 1;
            prop_assert!(resets < 100, "a reset leads to a reset");
            reader.reset(&log);
            is_new = true;
        }
        for (key, value) in publishers.now() {
            match reader.map.get(&key) {
                Some(held) => prop_assert_eq!(held, &value, "k{}", key),
                None => prop_assert!(!is_whole(log.log(), key), "k{} is missing", key),
            }
        }
        for key in reader.map.keys() {
            prop_assert!(publishers.now().contains_key(key), "k{} was removed", key);
        }
    }
}
