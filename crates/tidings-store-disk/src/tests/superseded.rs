//! What a later record superseded does not stand for its slot again, whatever became of the later
//! one.

use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::{Promise, Rule};

fn rule(age: Option<Duration>, promise: Option<Promise>) -> Rule {
    Rule {
        name: "few".into(),
        topics: vec![Matcher::parse("few/*").unwrap()],
        age,
        bytes: Some(64 << 20),
        promise,
    }
}

fn draft(topic: &str, key: Option<&str>) -> Draft {
    let key = key.map(|key| Key::new(key).unwrap());
    Draft { key, ..Draft::new(Topic::new(topic).unwrap(), "value") }
}

fn for_a_second(draft: Draft) -> Draft {
    Draft { ttl_s: NonZeroU32::new(1), ..draft }
}

/// Appends so much, under the rule and under none, that the rule is applied to what was there
/// before, and to all of its events at once.
fn push_out(store: &DiskStore, time: u64) {
    let filler = |topic: &str| Draft::new(Topic::new(topic).unwrap(), "x".repeat(1_000));
    for _ in 0..30 {
        let some = (0..10).map(|n| filler(if n % 2 == 0 { "filler" } else { "few/filler" }));
        store.append(some.collect(), at(time)).unwrap();
    }
    store.note_time(at(time));
    rules::keep(store);
}

/// The data of what stands for `key`, or the topic, in the table of an open log.
fn stands(store: &DiskStore, topic: &str, key: Option<&str>) -> Option<Position> {
    let records = rules::read_told(store, None, Position::ZERO);
    let slots = store.slots();
    slots.complete(store).unwrap();
    let now = store.shared.now();
    let of_slot = |record: &&Arc<Record>| {
        record.topic.as_str() == topic && record.key.as_ref().map(Key::as_str) == key
    };
    let standing = records.iter().filter(of_slot).find(|record| {
        let slot = slots.slot_of(record);
        slot.is_some_and(|slot| slots.stands(slot, record.position()))
    });
    let lasts = |record: &&Arc<Record>| !record.kind.is_removal() && !record.is_over(now);
    standing.filter(lasts).map(|record| record.position())
}

#[test]
fn a_value_whose_removal_or_whose_successor_is_gone_does_not_come_back() {
    let last = NonZeroU32::new(5).map(Promise::Last);
    let hour = Some(Duration::from_secs(3_600));
    let removal = |topic| Draft { kind: Kind::Removal, ..draft(topic, Some("k")) };
    for (name, rule) in [
        ("the last five", rule(None, last)),
        ("an hour", rule(hour, None)),
        ("an hour and the last five", rule(hour, last)),
        ("the state", rule(Some(Duration::from_millis(1)), Some(Promise::State))),
    ] {
        let disk = SimulatedDisk::new(1);
        let config = rules::with_rules(vec![rule]);
        let store = open(&disk, &config).unwrap();
        store.append(vec![draft("few/removed", Some("k"))], at(1_000)).unwrap();
        store.append(vec![removal("few/removed")], at(1_001)).unwrap();
        store.append(vec![draft("few/over", Some("k"))], at(1_002)).unwrap();
        store.append(vec![for_a_second(draft("few/over", Some("k")))], at(1_003)).unwrap();
        store.append(vec![draft("few/no-key", None)], at(1_004)).unwrap();
        store.append(vec![for_a_second(draft("few/no-key", None))], at(1_005)).unwrap();
        // One whose value stays.
        store.append(vec![draft("few/stays", Some("k"))], at(1_006)).unwrap();
        let slots = [
            ("few/removed", Some("k")),
            ("few/over", Some("k")),
            ("few/no-key", None),
            ("few/stays", Some("k")),
        ];
        let found = |store: &DiskStore| slots.map(|(topic, key)| stands(store, topic, key));
        for round in 0..6 {
            push_out(&store, 10_000 + round);
            assert_eq!(found(&store)[..3], [None; 3], "{name}, while it is open");
        }
        let runs = store.shared.read_state().lanes.runs().count();
        assert!(runs > 0, "{name}: the rules were applied");
        drop(store);
        let store = open(&disk, &config).unwrap();
        store.note_time(at(11_000));
        let found = found(&store);
        assert_eq!(found, [None, None, None, Some(Position::new(7))], "{name}, once opened again");
    }
}
