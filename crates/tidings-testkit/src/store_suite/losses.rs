//! What retention drops, and what a log says of that.

use std::thread;
use std::time::{Duration, Instant};

use tidings_hub::{Draft, EventId, Fate, Interest, Position, ReadError, ReadQuery};

use super::ids::{fates, find};
use super::{Retention, Stores, append, at, draft, fill, interest, positions, query, read, topic};

/// Expired reads name the oldest remaining record.
pub fn reading_before_the_oldest_record_is_an_error(stores: &dyn Stores) {
    let store = stores.fresh(Retention { bytes: 256 << 10, ..Retention::ALL });
    fill(&*store, 4_000);
    let first = store.bounds().first;
    assert!(first > Position::new(1), "something was dropped");
    for wanted in [None, Some(&interest(&["topic/1"], &[])), Some(&interest(&["topic/*"], &[]))] {
        match store.read(&query(first.get() - 2, wanted)) {
            Err(ReadError::Expired { first: said, lost }) => {
                assert_eq!((said, lost), (first, first.previous()));
            }
            other => panic!("{other:?}"),
        }
        let page = read(&*store, query(first.get() - 1, wanted));
        assert!(!page.records.is_empty());
        // A reader that was told of the loss gets what there is, and nothing else.
        let told = ReadQuery { told: first.previous(), ..query(0, wanted) };
        let rest = read(&*store, told);
        assert_eq!(
            (positions(&rest.records), rest.reached),
            (positions(&page.records), page.reached)
        );
        let everything = Interest::everything();
        let wanted = wanted.unwrap_or(&everything);
        let lost = |after| store.lost(wanted, after).expect("nothing has to be read");
        assert_eq!(lost(Position::ZERO), Some(first.previous()));
        assert_eq!(lost(first.previous().previous()), Some(first.previous()));
        assert_eq!(lost(first.previous()), None);
    }
}

/// Bytes.
pub fn retention_by_bytes_drops_the_oldest(stores: &dyn Stores) {
    let bytes = 256 << 10;
    let store = stores.fresh(Retention { bytes, ..Retention::ALL });
    fill(&*store, 4_000);
    // What a store writes in the background meanwhile counts with the next time.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        store.retain(at(1)).expect("retained");
        if store.health().bytes <= bytes {
            break;
        }
        assert!(Instant::now() < deadline, "{} bytes", store.health().bytes);
        thread::sleep(Duration::from_millis(10));
    }
    let bounds = store.bounds();
    assert_eq!(bounds.head, Position::new(4_000));
    assert!(bounds.first > Position::new(1));
    assert!(bounds.first < Position::new(3_500), "no more is dropped than needed: {bounds:?}");
    // Topics and ids are known only from the remaining records.
    let left = bounds.head.get() + 1 - bounds.first.get();
    let states = store.catalog().topics("", None, 100).expect("found");
    assert_eq!(states.iter().map(|state| state.records).sum::<u64>(), left);
    for on in [&["**"][..], &["topic/*"], &["topic/1", "topic/9"]] {
        assert_eq!(find(&*store, "id-1", on), None);
        assert_eq!(find(&*store, "id-3999", on), Some(Position::new(4_000)));
    }
    // A repeated draft is a new event if the one it repeats is gone.
    let again = Draft { id: EventId::new("id-1").ok(), once: true, ..draft("topic/1", "x") };
    assert_eq!(fates(&*store, &[again]), Ok(vec![Fate::Store]));
    let store = stores.reopened(store);
    assert!(store.bounds().first >= bounds.first, "nothing comes back");
}

/// Age, with a tolerance of a seventh: a store may drop in parts.
pub fn retention_by_age_drops_the_old(stores: &dyn Stores) {
    let store = stores.fresh(Retention { age: Duration::from_secs(70), ..Retention::ALL });
    for second in 0..100 {
        store.append(vec![draft("a", "x")], at(second * 1_000)).expect("appended");
        store.retain(at(second * 1_000)).expect("retained");
    }
    let first = store.bounds().first.get();
    assert!((20..=31).contains(&first), "{first}");
    assert_eq!(
        store.catalog().topic(&topic("a")).expect("found").expect("there").records,
        101 - first
    );
}

/// Whatever happens.
pub fn the_newest_record_always_stays(stores: &dyn Stores) {
    let store = stores.fresh(Retention { bytes: 64 << 10, age: Duration::from_secs(1) });
    append(&*store, vec![draft("a", "1"), draft("a", &"x".repeat(100_000))]);
    for day in 1..4 {
        store.retain(at(day * 86_400_000)).expect("retained");
    }
    let bounds = store.bounds();
    assert_eq!(bounds.head, Position::new(2));
    assert!(bounds.first <= bounds.head);
    let page = read(&*store, query(1, None));
    assert_eq!(page.records[0].data.len(), 100_000);
    append(&*store, vec![draft("a", "3")]);
    assert_eq!(store.bounds().head, Position::new(3));
}
