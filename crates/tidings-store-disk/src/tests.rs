//! The store on a simulated disk: power cuts, kills, full disks, failed syncs, flipped bytes.
//!
//! The duties of every store are tested by the store suite (`tidings-testkit`); these tests cover
//! what only a disk can cause. Each test prints the seed it fails with; `SIMULATION_SEED` runs that
//! one, and `scripts/test-long disk` many. The background thread runs beside the test, so a seed
//! repeats what the test does, but not always the timing of that thread.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod copies;
mod copy_rules;
mod crash;
mod damage;
mod decoded_once;
mod erase;
mod faults;
mod job_faults;
mod older_index;
mod opened_slots;
mod reloads;
mod rules;
#[path = "../../tidings-hub/tests/seeds/mod.rs"]
mod seeds;
mod states;
mod superseded;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidings_hub::{
    AppendError, Draft, EventId, Interest, Key, Kind, Log, Matcher, Position, ReadError, ReadQuery,
    Record, Retained, Timestamp, Topic, TopicState, Visibility, with_causes,
};

use self::seeds::{Running, seeds};
use crate::disk::simulated::{Dice, SimulatedDisk};
use crate::recovery::Role;
use crate::{DiskConfig, DiskStore, OpenError};

/// A configuration in which little data makes many segments.
fn small(retention_bytes: u64) -> DiskConfig {
    DiskConfig {
        retention_bytes,
        segment_bytes: Some(16 << 10),
        recent_bytes_max: 8 << 10,
        ..DiskConfig::new("/simulated")
    }
}

fn open(disk: &SimulatedDisk, config: &DiskConfig) -> Result<DiskStore, OpenError> {
    DiskStore::open_on(Arc::new(disk.clone()), config.clone(), None, Role::Original)
}

fn some_draft(dice: &mut Dice, n: u64) -> Draft {
    let topic = |dice: &mut Dice| Topic::new(format!("topic/{}", dice.below(9))).unwrap();
    let length = match dice.below(20) {
        0 => 10_000,
        1..5 => 1_000,
        _ => 60,
    };
    let data = format!("{n}:{}", "x".repeat(dice.below(length) as usize));
    let mut draft = Draft::new(topic(dice), data);
    if dice.one_in(5) {
        draft.alternates.push(topic(dice));
    }
    if dice.one_in(3) {
        draft.id = Some(EventId::new(format!("id-{n}")).unwrap());
    }
    if dice.one_in(6) {
        draft.visibility = Visibility::Private;
    }
    if dice.one_in(12) {
        draft.kind = [Kind::End, Kind::LastEvent, Kind::SilentEnd][dice.below(3) as usize];
    } else if n % 5 == 2 {
        let kinds = [Kind::Event, Kind::Event, Kind::Removal, Kind::LateRemoval];
        draft.key = Some(Key::new(&format!("key-{}", n / 20 % 4)).unwrap());
        draft.kind = kinds[n as usize / 5 % 4];
    }
    draft
}

/// All records, from the oldest one still there.
fn read_all(store: &DiskStore, interest: Option<&Interest>) -> Result<Vec<Arc<Record>>, ReadError> {
    let bounds = store.bounds();
    let mut records = Vec::new();
    let mut after = bounds.first.previous();
    while after < bounds.head {
        let upto = bounds.head;
        let query = ReadQuery {
            after,
            upto,
            interest,
            records_max: 100,
            bytes_max: 50_000,
            ..ReadQuery::everything()
        };
        let page = store.read(&query)?;
        assert!(page.reached > after, "a read makes progress");
        after = page.reached;
        records.extend(page.records);
    }
    Ok(records)
}

/// The expected content of the log: the drafts of all positions from 1 on. Positions that retention
/// dropped are ignored.
struct Expected<'a>(&'a [Draft]);

impl Expected<'_> {
    fn at(&self, position: Position) -> &Draft {
        &self.0[position.get() as usize - 1]
    }

    /// Runs every kind of query. `Err` is what the store itself reports.
    fn check(&self, store: &DiskStore) -> Result<(), ReadError> {
        let bounds = store.bounds();
        assert_eq!(bounds.head, Position::new(self.0.len() as u64));
        let all = read_all(store, None)?;
        assert_eq!(all.len() as u64, bounds.head.get() + 1 - bounds.first.get());
        for (n, record) in all.iter().enumerate() {
            assert_eq!(record.position().get(), bounds.first.get() + n as u64);
            assert_eq!(&***record, self.at(record.position()));
        }
        for number in 0..9 {
            let topic = Topic::new(format!("topic/{number}")).unwrap();
            let on_topic: Vec<_> =
                all.iter().filter(|record| record.topics().any(|t| *t == topic)).collect();
            let interest = Interest::new(vec![Matcher::Exact(topic.clone())], vec![Matcher::All]);
            let read = read_all(store, Some(&interest))?;
            let events = || on_topic.iter().copied().filter(|record| record.kind.is_event());
            assert!(read.iter().eq(events()), "records of {topic}");
            let state = store.catalog().topic(&topic)?;
            assert_eq!(state.as_ref().map_or(0, |state| state.records), on_topic.len() as u64);
            if let (Some(state), Some(last)) = (state, on_topic.last()) {
                assert_eq!((state.last, state.ended), (last.position(), last.kind.ends_topic()));
                check_extent(&state, &on_topic);
            }
            let events: Vec<_> = events().collect();
            let last_three = events.iter().rev().take(3).next_back();
            let expected = last_three.map_or(bounds.head, |record| record.position().previous());
            assert_eq!(store.catalog().seek_last(&interest, 3)?, expected);
        }
        for record in &all {
            if let Some(id) = &record.id {
                assert_eq!(store.catalog().find(id, &[Matcher::All])?, Some(record.position()));
                for topic in record.topics() {
                    let on = [Matcher::Exact(topic.clone())];
                    assert_eq!(store.catalog().find(id, &on)?, Some(record.position()));
                }
            }
            let older = all.partition_point(|older| older.time() < record.time());
            assert_eq!(store.catalog().seek_time(record.time())?, all[older].position().previous());
        }
        self.check_keys(store, &all);
        let names = store.catalog().topics("", None, 100)?;
        assert!(names.is_sorted_by(|a, b| a.topic < b.topic));
        Ok(())
    }

    /// Looks up every key.
    fn check_keys(&self, store: &DiskStore, all: &[Arc<Record>]) {
        for (topic, key) in (0..9).flat_map(|topic| (0..4).map(move |key| (topic, key))) {
            let topic = Topic::new(format!("topic/{topic}")).unwrap();
            let key = Key::new(&format!("key-{key}")).unwrap();
            let of_key =
                |record: &&Arc<Record>| record.topic == topic && record.key.as_ref() == Some(&key);
            let newest = all.iter().rev().find(of_key);
            let newest = newest.map(|record| (record.position(), record.kind.is_removal()));
            let found = store.slots().newest(&topic, &key);
            assert_eq!(found.map(|found| (found.position, found.is_removal)), newest, "{key}");
        }
        for topic in (0..9).map(|topic| Topic::new(format!("topic/{topic}")).unwrap()) {
            let of_topic = all.iter().filter(|record| record.topic == topic);
            let keyed = of_topic.filter_map(|record| Some((record.key.as_ref()?, record)));
            let newest: BTreeMap<_, _> =
                keyed.map(|(key, record)| (key.as_str(), record)).collect();
            let live = newest.values().filter(|record| !record.kind.is_removal()).count();
            assert_eq!(store.slots().keys_of(&topic), live as u64, "keys of {topic}");
        }
    }
}

/// The oldest record of a topic, and its bytes: those of the data at least, and no more than the
/// records take in memory.
fn check_extent(state: &TopicState, on_topic: &[&Arc<Record>]) {
    assert_eq!(state.first, on_topic[0].position(), "the oldest of {}", state.topic);
    let data: usize = on_topic.iter().map(|record| record.data.len()).sum();
    let cost: usize = on_topic.iter().map(|record| record.cost()).sum();
    let expected = data as u64..=cost as u64;
    assert!(expected.contains(&state.bytes), "{} bytes, not {expected:?}", state.bytes);
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}
