//! A log's knowledge of publishers' own ids.

use tidings_hub::{CheckError, Draft, EventId, Fate, Log, Matcher, Position, Repeats};

use super::{Retention, Stores, append, draft, topic};

/// `once`, within a batch, across batches, across reopening.
pub fn a_repeated_draft_is_recognised_and_one_with_other_content_rejected(stores: &dyn Stores) {
    let once = |id: &str, data: &str| with_id(Draft { once: true, ..draft("a", data) }, id);
    let mut store = stores.fresh(Retention::ALL);
    append(&*store, vec![draft("a", "0"), once("1", "x"), once("2", "y")]);
    for _ in 0..2 {
        let batch = [once("2", "y"), once("3", "z"), once("3", "z"), once("1", "x")];
        let repeats = |number| Fate::Repeats(Position::new(number));
        let expected = vec![repeats(3), Fate::Store, Fate::RepeatsNew(0), repeats(2)];
        assert_eq!(fates(&*store, &batch), Ok(expected));
        for wrong in [once("1", "y"), Draft { retry_ms: Some(5), ..once("2", "y") }] {
            assert_eq!(fates(&*store, &[once("1", "x"), wrong]), Err(1));
        }
        store = stores.reopened(store);
    }
}

/// The fates of drafts, or the number of the first one whose id is reused.
pub(super) fn fates(store: &dyn Log, drafts: &[Draft]) -> Result<Vec<Fate>, usize> {
    Repeats::new().check(store, drafts).map_err(|error| match error {
        CheckError::IdReused { at, .. } | CheckError::IdErased { at, .. } => at,
        CheckError::Read(error) => panic!("{error}"),
    })
}

pub(super) fn with_id(draft: Draft, id: &str) -> Draft {
    Draft { id: Some(EventId::new(id).expect("an id")), ..draft }
}

pub(super) fn find(store: &dyn Log, id: &str, on: &[&str]) -> Option<Position> {
    let on: Vec<_> = on.iter().map(|text| Matcher::parse(text).expect("a matcher")).collect();
    store.catalog().find(&EventId::new(id).expect("an id"), &on).expect("found")
}

/// One id on several topics.
pub fn an_id_belongs_to_its_topic(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    let both = Draft { alternates: vec![topic("b")], ..draft("c/1", "") };
    append(
        &*store,
        vec![
            draft("a", ""),
            with_id(draft("a", ""), "5"),
            // Ids of which one is a prefix of the other.
            with_id(draft("a", ""), "55"),
            with_id(both, "5"),
        ],
    );
    append(&*store, vec![with_id(draft("c/1", ""), "5"), with_id(draft("d", ""), "5")]);
    let store = stores.reopened(store);
    for (id, on, position) in [
        ("5", &["a"][..], Some(2)),
        ("5", &["b"], Some(4)),
        ("5", &["c/1"], Some(4)),
        ("5", &["d"], Some(6)),
        ("5", &["d", "b"], Some(4)),
        ("5", &["c/*"], Some(4)),
        ("5", &["*"], Some(2)),
        ("5", &["**"], Some(2)),
        ("5", &["e", "e/*"], None),
        ("55", &["a"], Some(3)),
        ("55", &["b"], None),
        ("55", &["*", "c/*"], Some(3)),
        ("a", &["**"], None),
    ] {
        assert_eq!(find(&*store, id, on), position.map(Position::new), "{id} on {on:?}");
    }
}

/// An id that every topic has.
pub fn an_id_on_very_many_topics_is_found_on_each(stores: &dyn Stores) {
    const TOPICS: u64 = 10_000;
    let mut store = stores.fresh(Retention::ALL);
    for n in (1..=TOPICS).step_by(1000) {
        append(
            &*store,
            (n..n + 1000).map(|n| with_id(draft(&format!("t/{n}"), ""), "1")).collect(),
        );
    }
    for _ in 0..2 {
        for n in [1, 2, 77, 5_000, TOPICS] {
            assert_eq!(find(&*store, "1", &[&format!("t/{n}")]), Some(Position::new(n)));
        }
        assert_eq!(find(&*store, "1", &["t/0"]), None);
        // A pattern may find an older one.
        assert_eq!(find(&*store, "1", &["t/*"]), Some(Position::new(1)));
        assert_eq!(find(&*store, "1", &["**"]), Some(Position::new(1)));
        store = stores.reopened(store);
    }
}

/// Ids.
pub fn the_oldest_record_with_an_id_is_found(stores: &dyn Stores) {
    let with = |id: &str| Draft { id: EventId::new(id).ok(), ..draft("a", "x") };
    let store = stores.fresh(Retention::ALL);
    append(&*store, vec![draft("a", ""), with("x"), with("y")]);
    append(&*store, vec![with("x")]);
    let store = stores.reopened(store);
    let find = |id: &str| find(&*store, id, &["**"]);
    assert_eq!(find("x"), Some(Position::new(2)));
    assert_eq!(find("y"), Some(Position::new(3)));
    assert_eq!(find("z"), None);
    // A topic is not an id, and an id that the log makes is not looked up here.
    assert_eq!(find("a"), None);
}
