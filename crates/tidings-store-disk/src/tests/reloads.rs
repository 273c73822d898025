//! Rules with other numbers, or with another kind of promise, on a log that was sorted by what they
//! were before.

use std::num::NonZeroU32;
use std::time::Duration;

use super::rules::{keep, read_told, wait_for_indexes, with_rules};
use super::*;
use crate::{Promise, Rule};

const HOUR: u64 = 3_600_000;
const AGE: u64 = 10_000;

fn rule(age_ms: Option<u64>, promise: Option<Promise>) -> Rule {
    Rule {
        name: "board".into(),
        topics: vec![Matcher::parse("board").unwrap()],
        age: age_ms.map(Duration::from_millis),
        bytes: None,
        promise,
    }
}

fn append(store: &DiskStore, now: u64, key: Option<&str>, data: &str) {
    let topic = if key.is_some() { "board" } else { "other" };
    let draft = Draft {
        key: key.map(|key| Key::new(key).unwrap()),
        ..Draft::new(Topic::new(topic).unwrap(), data)
    };
    store.append(vec![draft], at(now)).unwrap();
}

fn on_board(store: &DiskStore) -> Vec<String> {
    let interest = Interest::new(vec![Matcher::parse("board").unwrap()], vec![]);
    let records = read_told(store, Some(&interest), Position::ZERO);
    records.iter().map(|record| record.data.to_string()).collect()
}

/// Moves everything so far to runs.
fn sort(store: &DiskStore, now: u64) {
    store.retain(at(now)).unwrap();
    append(store, now, None, &"x".repeat(70_000));
    append(store, now, None, "newest");
    wait_for_indexes(store, None);
    keep(store);
}

/// The log sorted by `before`, with two values of one key. Then `after`, for as long as it says,
/// and the log opened again if `restarts`. Returns what is left.
fn changed(before: &[Rule], after: Rule, later_ms: u64, restarts: bool) -> Vec<String> {
    let disk = SimulatedDisk::new(1);
    let mut config = with_rules(before.to_vec());
    config.retention_age = Duration::from_millis(HOUR * 24);
    let mut store = open(&disk, &config).unwrap();
    append(&store, 1_000, Some("key"), "old");
    append(&store, 1_000, Some("key"), "new");
    sort(&store, 1_000);
    assert_eq!(on_board(&store), ["old", "new"]);
    if restarts {
        drop(store);
        config.rules = vec![after];
        store = open(&disk, &config).unwrap();
    } else {
        store.set_rules(vec![after]).unwrap();
    }
    sort(&store, 1_000 + later_ms);
    on_board(&store)
}

#[test]
fn an_age_counts_at_once_and_also_for_what_was_sorted_before_it() {
    let state = |age_ms| rule(Some(age_ms), Some(Promise::State));
    let history = |age_ms| rule(Some(age_ms), None);
    let last = rule(None, NonZeroU32::new(1).map(Promise::Last));
    let others = [Rule { topics: vec![Matcher::parse("*").unwrap()], ..history(HOUR) }];
    for restarts in [false, true] {
        // A shorter age; a promise that there was not; other topics, by which everything is sorted
        // once more without a look at its age.
        for before in [&[state(HOUR)][..], &[history(HOUR)], &others] {
            let changed = |after, later| changed(before, after, later, restarts);
            assert_eq!(changed(state(AGE), AGE / 2), ["old", "new"], "{before:?}");
            assert_eq!(changed(state(AGE), AGE * 2), ["new"], "{before:?}");
            assert_eq!(changed(history(AGE), AGE * 2), [""; 0], "{before:?}");
            assert_eq!(changed(history(HOUR), AGE * 2), ["old", "new"], "{before:?}");
            assert_eq!(changed(state(HOUR), AGE * 2), ["old", "new"], "{before:?}");
            assert_eq!(changed(last.clone(), 1), ["new"], "{before:?}");
        }
        // What went under the shorter age cannot come back; a longer one keeps what is there.
        assert_eq!(changed(&[state(AGE)], state(HOUR), AGE * 2, restarts), ["old", "new"]);
    }
}
