//! The jobs of retention take turns.

use std::time::Duration;

use super::rules::{read_told, wait_for_indexes, with_rules};
use super::*;
use crate::{Promise, Rule};

fn rule(topic: &str) -> Rule {
    Rule {
        name: topic.into(),
        topics: vec![Matcher::parse(topic).unwrap()],
        age: None,
        bytes: None,
        promise: None,
    }
}

fn draft(topic: &str, key: Option<&str>, bytes: usize) -> Draft {
    Draft {
        key: key.map(|key| Key::new(key).unwrap()),
        ..Draft::new(Topic::new(topic).unwrap(), "x".repeat(bytes))
    }
}

/// With a topic so busy that there are always segments to sort, and always too many bytes of it,
/// what other rules are to drop goes all the same.
#[test]
fn a_busy_rule_does_not_keep_others_from_being_applied() {
    const AGE: Duration = Duration::from_secs(5);
    let state = |topic| Rule { age: Some(AGE), promise: Some(Promise::State), ..rule(topic) };
    let busy = Rule { bytes: Some(16 << 10), ..rule("busy") };
    let config = with_rules(vec![busy, state("board/1"), state("board/2")]);
    let config = DiskConfig { retention_age: Duration::from_secs(3_600), ..config };
    let store = open(&SimulatedDisk::new(1), &config).unwrap();
    let mut now = 1_000;
    for _ in 0..200 {
        now += 100;
        // Twice as much as makes segments due, but not so much that the store is full.
        while store.shared.read_state().hot_bytes() < 128 << 10 {
            let busy = (0..4).map(|_| draft("busy", None, 1_000)).collect();
            store.append(busy, at(now)).unwrap();
        }
        let boards = ["board/1", "board/2"].map(|topic| draft(topic, Some("key"), 100));
        store.append(boards.to_vec(), at(now)).unwrap();
        wait_for_indexes(&store, None);
        store.note_time(at(now));
        store.keeper.lock().unwrap().step(&store.shared, &mut |_| Ok(()));
    }
    for topic in ["board/1", "board/2"] {
        let interest = Interest::new(vec![Matcher::parse(topic).unwrap()], vec![]);
        let left = read_told(&store, Some(&interest), Position::ZERO);
        let oldest = left.first().unwrap().time().as_millis();
        let allowed = now - 2 * AGE.as_millis() as u64;
        assert!(oldest >= allowed, "{topic}: {} events, the oldest of {oldest}", left.len());
    }
}
