//! What history has of events with a time to live.

use std::num::NonZeroU32;

use tidings_hub::{Draft, Interest, Log, Matcher, Position};

use super::{Retention, Stores, at, draft, fill, interest, query, read};

/// The same from memory, from the disk, and after reopening.
pub fn an_event_is_no_part_of_history_after_its_time_to_live(stores: &dyn Stores) {
    let mut store = stores.fresh(Retention::ALL);
    let lasting =
        |seconds: u32, data: &str| Draft { ttl_s: NonZeroU32::new(seconds), ..draft("a/x", data) };
    let id = tidings_hub::EventId::new("mine").expect("a valid id");
    let named = Draft { id: Some(id.clone()), once: true, ..lasting(10, "2") };
    let both = Draft { alternates: vec![super::topic("b")], ..lasting(20, "4") };
    let drafts = vec![draft("a/x", "1"), named.clone(), draft("a/x", "3"), both, draft("a/x", "5")];
    store.append(drafts, at(1000)).expect("the store takes events");
    let steps: [(u64, &[u64]); 5] = [
        (1000, &[1, 2, 3, 4, 5]),
        (10_999, &[1, 2, 3, 4, 5]),
        (11_000, &[1, 3, 4, 5]),
        (20_999, &[1, 3, 4, 5]),
        (21_000, &[1, 3, 5]),
    ];
    for (now, left) in steps {
        store.note_time(at(now));
        check(&*store, left);
    }
    // Time does not go back.
    store.note_time(at(5000));
    check(&*store, &[1, 3, 5]);
    let on = [Matcher::Exact(super::topic("a/x"))];
    assert_eq!(store.catalog().find(&id, &on).expect("found"), Some(Position::new(2)));
    // Enough behind them that they are no longer held in memory.
    fill(&*store, 4_000);
    for _ in 0..2 {
        store = stores.reopened(store);
        store.note_time(at(21_000));
        check(&*store, &[1, 3, 5]);
        let raw = read(&*store, query(1, None));
        assert_eq!(raw.records[0].ttl_s, named.ttl_s, "it is in the log, all the same");
    }
}

/// The events on `a/x` and `b` are those at `left`, however they are asked for.
fn check(store: &dyn Log, left: &[u64]) {
    let positions = |interest: &Interest| {
        let page = read(store, query(0, Some(interest)));
        page.records.iter().map(|record| record.position().get()).collect::<Vec<_>>()
    };
    let (exact, pattern) = (interest(&["a/x"], &["**"]), interest(&["a/*"], &["**"]));
    let public = interest(&["a/x"], &[]);
    let b: Vec<_> = left.iter().copied().filter(|position| *position == 4).collect();
    assert_eq!(positions(&exact), left);
    assert_eq!(positions(&pattern), left);
    assert_eq!(positions(&public), left);
    assert_eq!(positions(&interest(&["b"], &[])), b);
    for interest in [&exact, &pattern, &public] {
        for count in 1..=left.len() {
            let after = store.catalog().seek_last(interest, count).expect("found");
            assert_eq!(after.next().get(), left[left.len() - count], "the last {count}");
        }
    }
}
