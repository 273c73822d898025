//! The [`Log`] contract as tests, for every store.
//!
//! [`store_suite!`](macro@crate::store_suite) makes one test from each function here. [`Stores`]
//! says how a kind of store is created; the rest is the same for all. Tests with random data print
//! their seed and compare the store with a [`Model`] that keeps everything in a list.

#![allow(clippy::print_stderr)] // A failing test prints its seed.

mod ids;
mod losses;
mod model;
mod random;
mod slots;
mod time_to_live;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidings_hub::{
    Draft, EventId, Interest, Kind, Log, Matcher, Page, Position, ReadQuery, Record, Timestamp,
    Topic, Visibility,
};

pub use ids::{
    a_repeated_draft_is_recognised_and_one_with_other_content_rejected, an_id_belongs_to_its_topic,
    an_id_on_very_many_topics_is_found_on_each, the_oldest_record_with_an_id_is_found,
};
pub use losses::{
    reading_before_the_oldest_record_is_an_error, retention_by_age_drops_the_old,
    retention_by_bytes_drops_the_oldest, the_newest_record_always_stays,
};
pub use model::Model;
pub use random::Dice;
pub use slots::{
    a_record_dropped_while_the_table_is_made_does_not_come_back,
    a_record_erased_while_the_table_is_made_does_not_come_back,
    the_event_before_one_that_was_erased_under_another_topic_stands,
    the_table_of_newest_records_is_never_ahead_of_the_log_or_behind,
    the_table_of_newest_records_knows_of_losses_before_readers_do,
};
pub use time_to_live::an_event_is_no_part_of_history_after_its_time_to_live;

/// The retention of a store under test.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Most bytes to keep.
    pub bytes: u64,
    /// Maximum age of an event.
    pub age: Duration,
}

impl Retention {
    /// Everything.
    pub const ALL: Self = Self { bytes: 1 << 40, age: Duration::from_secs(1 << 32) };
}

/// Creates stores of one kind.
pub trait Stores {
    /// A new, empty log.
    fn fresh(&self, retention: Retention) -> Arc<dyn Log>;

    /// The same log, closed and reopened; for a store that does not outlive its process, the same
    /// store.
    fn reopened(&self, store: Arc<dyn Log>) -> Arc<dyn Log>;
}

/// Makes a module of tests, one for each clause of the contract.
///
/// ```ignore
/// store_suite!(memory, MemoryStores::default());
/// ```
///
/// Behind `maybe`, the stores are an `Option`: without them the tests are skipped.
#[macro_export]
macro_rules! store_suite {
    ($name:ident, maybe $stores:expr) => {
        mod $name {
            use super::*;

            $crate::store_suite!(@each $stores,
                a_new_log_is_empty,
                positions_are_gapless_and_begin_with_one,
                every_field_of_an_event_is_kept,
                an_empty_append_changes_nothing,
                time_never_goes_back_along_the_log,
                a_repeated_draft_is_recognised_and_one_with_other_content_rejected,
                the_oldest_record_with_an_id_is_found,
                an_id_belongs_to_its_topic,
                an_id_on_very_many_topics_is_found_on_each,
                a_page_ends_where_its_query_says,
                a_page_has_at_least_one_record_however_large,
                a_pattern_that_matches_nothing_is_read_to_the_end,
                reading_before_the_oldest_record_is_an_error,
                an_event_is_no_part_of_history_after_its_time_to_live,
                private_records_need_a_grant,
                events_by_topic_are_not_for_every_reader,
                notes_are_found_again_and_are_no_events,
                an_ended_topic_is_known_until_the_next_event,
                topics_come_in_pages_in_order,
                waiting_ends_with_the_next_record_or_at_the_timeout,
                readers_see_every_record_in_order_while_others_append,
                the_table_of_newest_records_is_never_ahead_of_the_log_or_behind,
                the_table_of_newest_records_knows_of_losses_before_readers_do,
                a_record_dropped_while_the_table_is_made_does_not_come_back,
                a_record_erased_while_the_table_is_made_does_not_come_back,
                the_event_before_one_that_was_erased_under_another_topic_stands,
                retention_by_bytes_drops_the_oldest,
                retention_by_age_drops_the_old,
                the_newest_record_always_stays,
                answers_equal_those_of_a_plain_list,
            );
        }
    };
    ($name:ident, $stores:expr) => {
        $crate::store_suite!($name, maybe Some($stores));
    };
    (@each $stores:expr, $($test:ident,)*) => {
        $(#[test]
        fn $test() {
            if let Some(stores) = $stores {
                $crate::store_suite::$test(&stores);
            }
        })*
    };
}

/// A topic.
///
/// # Panics
///
/// If it is not a valid topic.
pub fn topic(name: &str) -> Topic {
    Topic::new(name).expect("a valid topic")
}

/// A public event.
pub fn draft(on: &str, data: &str) -> Draft {
    Draft::new(topic(on), data)
}

/// A moment.
pub fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// An interest in matchers, with a grant for private events on `private`.
pub fn interest(wanted: &[&str], private: &[&str]) -> Interest {
    let matchers = |all: &[&str]| {
        all.iter().map(|text| Matcher::parse(text).expect("a valid matcher")).collect()
    };
    Interest::new(matchers(wanted), matchers(private))
}

fn append(store: &dyn Log, drafts: Vec<Draft>) {
    store.append(drafts, at(1)).expect("the store takes events");
}

fn query(after: u64, interest: Option<&Interest>) -> ReadQuery<'_> {
    let (after, upto) = (Position::new(after), Position::new(u64::MAX));
    ReadQuery {
        after,
        upto,
        interest,
        records_max: 1000,
        bytes_max: 1 << 20,
        ..ReadQuery::everything()
    }
}

fn read(store: &dyn Log, query: ReadQuery<'_>) -> Page {
    store.read(&query).expect("the store can be read")
}

/// Reads pages up to the head.
fn read_on(store: &dyn Log, mut query: ReadQuery<'_>) -> Vec<Arc<Record>> {
    let mut records = Vec::new();
    let upto = query.upto.min(store.bounds().head);
    while query.after < upto {
        let page = read(store, query);
        assert!(page.reached > query.after, "a read makes progress");
        records.extend(page.records);
        query.after = page.reached;
    }
    records
}

fn positions(records: &[Arc<Record>]) -> Vec<u64> {
    records.iter().map(|record| record.position().get()).collect()
}

/// Positions, times, ids, topics, bounds.
pub fn a_new_log_is_empty(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    let bounds = store.bounds();
    assert_eq!((bounds.first, bounds.head), (Position::new(1), Position::ZERO));
    let page = read(&*store, query(0, None));
    assert_eq!((page.records.len(), page.reached), (0, Position::ZERO));
    assert_eq!(
        store.catalog().find(&EventId::new("x").expect("an id"), &[Matcher::All]).expect("found"),
        None
    );
    assert_eq!(store.catalog().seek_time(at(0)).expect("found"), Position::ZERO);
    assert_eq!(
        store.catalog().seek_last(&Interest::everything(), 5).expect("found"),
        Position::ZERO
    );
    assert_eq!(store.catalog().topic(&topic("a")).expect("found"), None);
    assert!(store.catalog().topics("", None, 10).expect("found").is_empty());
    assert!(store.health().failure.is_none());
}

/// Order, across appends and reopening.
pub fn positions_are_gapless_and_begin_with_one(stores: &dyn Stores) {
    let mut store = stores.fresh(Retention::ALL);
    let epoch = store.identity().epoch;
    let mut next = 1;
    for count in [1, 7, 100, 1] {
        let drafts = (0..count).map(|n| draft("a", &format!("{n}"))).collect();
        let appended = store.append(drafts, at(1)).expect("appended");
        for entry in appended {
            assert_eq!(entry.position, Position::new(next));
            assert_eq!(entry.id, store.mark(entry.position).expect("read").event_id(epoch));
            assert!(!entry.duplicate);
            next += 1;
        }
        assert_eq!(store.bounds().head, Position::new(next - 1));
        store = stores.reopened(store);
        assert_eq!(store.identity().epoch, epoch);
    }
    let all = read_on(&*store, query(0, None));
    assert!(positions(&all).into_iter().eq(1..next));
}

/// Every field, small and large.
pub fn every_field_of_an_event_is_kept(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    let full = Draft {
        alternates: vec![topic("grüße/2"), topic("b c")],
        event_type: Some(tidings_hub::EventType::new("score").expect("a type")),
        id: Some(EventId::new("urn:x:1").expect("an id")),
        once: true,
        retry_ms: Some(u64::MAX),
        ttl_s: std::num::NonZeroU32::new(u32::MAX),
        visibility: Visibility::Private,
        kind: Kind::End,
        ..draft("a/b", "two\nlines, and \u{1F600}\0")
    };
    let large = draft("large", &"x".repeat(1 << 20));
    let drafts = vec![full, draft("plain", ""), large, draft("after", "the large one")];
    store.append(drafts.clone(), at(1_700_000_000_000)).expect("appended");
    let store = stores.reopened(store);
    let all = read_on(&*store, query(0, None));
    assert_eq!(all.len(), drafts.len());
    for (record, draft) in all.iter().zip(&drafts) {
        assert_eq!(&***record, draft);
        assert_eq!(record.time(), at(1_700_000_000_000));
    }
    assert_eq!(all[0].event_id(store.identity().epoch).as_str(), "urn:x:1");
}

/// A batch can be empty.
pub fn an_empty_append_changes_nothing(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    append(&*store, vec![draft("a", "1")]);
    assert!(store.append(Vec::new(), at(9)).expect("appended").is_empty());
    assert_eq!(store.bounds().head, Position::new(1));
}

/// A clock that is set back does not reorder the log.
pub fn time_never_goes_back_along_the_log(stores: &dyn Stores) {
    let mut store = stores.fresh(Retention::ALL);
    for now in [100, 50, 200, 10] {
        store.append(vec![draft("a", "")], at(now)).expect("appended");
        store = stores.reopened(store);
    }
    let all = read_on(&*store, query(0, None));
    let times: Vec<_> = all.iter().map(|record| record.time().as_millis()).collect();
    assert_eq!(times, [100, 100, 200, 200]);
    for (since, expected) in [(0, 0), (100, 0), (101, 2), (200, 2), (201, 4)] {
        let found = store.catalog().seek_time(at(since)).expect("found");
        assert_eq!(found, Position::new(expected), "since {since}");
    }
}

/// Limits of a read.
pub fn a_page_ends_where_its_query_says(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    append(&*store, (0..20).map(|n| draft(if n % 2 == 0 { "a" } else { "b" }, "xxxx")).collect());
    let some = |after, upto, records_max| ReadQuery {
        upto: Position::new(upto),
        records_max,
        ..query(after, None)
    };
    let page = read(&*store, some(3, 7, 100));
    assert_eq!((positions(&page.records), page.reached.get()), (vec![4, 5, 6, 7], 7));
    let page = read(&*store, some(3, 7, 2));
    assert_eq!((positions(&page.records), page.reached.get()), (vec![4, 5], 5));
    let page = read(&*store, some(7, 7, 2));
    assert_eq!((page.records.len(), page.reached.get()), (0, 7));
    let page = read(&*store, some(25, 30, 2));
    assert_eq!((page.records.len(), page.reached.get()), (0, 25));
    let only_a = interest(&["a"], &[]);
    let page = read(&*store, query(0, Some(&only_a)));
    assert_eq!(page.reached, Position::new(20), "there is nothing more up to the head");
    assert_eq!(positions(&page.records), [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    let cost = page.records[0].cost();
    let page = read(&*store, ReadQuery { bytes_max: cost * 2 + 1, ..query(0, None) });
    assert_eq!(page.records.len(), 3, "the third crosses the limit and ends the page");
}

/// A limit never keeps a reader from making progress.
pub fn a_page_has_at_least_one_record_however_large(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    append(&*store, vec![draft("a", &"x".repeat(100_000)), draft("a", "y")]);
    let page = read(&*store, ReadQuery { bytes_max: 1, ..query(0, None) });
    assert_eq!((positions(&page.records), page.reached.get()), (vec![1], 1));
}

/// Pages can be empty, but a reader reaches the end.
pub fn a_pattern_that_matches_nothing_is_read_to_the_end(stores: &dyn Stores) {
    let mut store = stores.fresh(Retention::ALL);
    for _ in 0..20 {
        append(&*store, (0..1_000).map(|n| draft(&format!("a/{n}"), "x")).collect());
    }
    for _ in 0..2 {
        for wanted in ["b/*", "b"] {
            let wanted = interest(&[wanted], &[]);
            assert!(read_on(&*store, query(0, Some(&wanted))).is_empty());
            assert_eq!(
                store.catalog().seek_last(&wanted, 1).expect("found"),
                Position::new(20_000)
            );
        }
        let one = interest(&["a/7", "b/*"], &[]);
        assert_eq!(read_on(&*store, query(0, Some(&one))).len(), 20);
        store = stores.reopened(store);
    }
}

/// Private events.
pub fn private_records_need_a_grant(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    let private = |on: &str, also: &[&str]| Draft {
        visibility: Visibility::Private,
        alternates: also.iter().map(|name| topic(name)).collect(),
        ..draft(on, "x")
    };
    append(
        &*store,
        vec![
            draft("book", "1"),
            private("book", &[]),
            private("book", &["user/1"]),
            private("user/1", &[]),
        ],
    );
    let store = stores.reopened(store);
    for (wanted, granted, expected) in [
        ("book", "nothing", vec![1]),
        ("book", "book", vec![1, 2, 3]),
        ("book", "user/1", vec![1, 3]),
        ("user/*", "book", vec![3]),
        ("**", "**", vec![1, 2, 3, 4]),
        ("**", "nothing", vec![1]),
    ] {
        let wanted = interest(&[wanted], &[granted]);
        let found = read_on(&*store, query(0, Some(&wanted)));
        assert_eq!(positions(&found), expected, "{wanted:?}");
        let last = expected[expected.len() - 1];
        let after = store.catalog().seek_last(&wanted, 1).expect("found");
        assert_eq!(after, Position::new(last - 1), "{wanted:?}");
    }
}

/// Events whose topics decide, for readers whose matchers were not compared with a grant.
pub fn events_by_topic_are_not_for_every_reader(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    let public = |on: &str| Draft { visibility: Visibility::Public, ..draft(on, "x") };
    append(
        &*store,
        vec![draft("mine", "1"), draft("other", "2"), public("other"), draft("other", "4")],
    );
    let store = stores.reopened(store);
    for (wanted, granted, by_topic, within_grant) in [
        ("mine", "mine", vec![1], vec![1]),
        ("other", "mine", vec![3], vec![]),
        ("other", "other", vec![2, 3, 4], vec![2, 3, 4]),
        ("**", "mine", vec![1, 3], vec![1]),
        ("**", "**", vec![1, 2, 3, 4], vec![1, 2, 3, 4]),
    ] {
        let asked = interest(&[wanted], &[granted]);
        for (reader, expected) in
            [(asked.clone().within_topics(&[]), by_topic), (asked.within_grant(), within_grant)]
        {
            let found = read_on(&*store, query(0, Some(&reader)));
            assert_eq!(positions(&found), expected, "{reader:?}");
            let after = store.catalog().seek_last(&reader, 1).expect("found");
            let last = expected.last().map(|last| Position::new(last - 1));
            assert!(last.is_none_or(|last| after == last), "{reader:?}: {after:?}");
        }
    }
}

/// Notes of the hub.
pub fn notes_are_found_again_and_are_no_events(stores: &dyn Stores) {
    let mut store = stores.fresh(Retention::ALL);
    let note = Draft { kind: Kind::Note, ..Draft::new(Topic::of_notes(), "note") };
    append(&*store, vec![draft("a", "1"), note.clone(), draft("a", "2"), note]);
    for _ in 0..2 {
        let read = |interest: &Interest| {
            let bounds = store.bounds();
            let query = ReadQuery {
                upto: bounds.head,
                interest: Some(interest),
                records_max: 10,
                ..ReadQuery::everything()
            };
            let page = store.read(&query).expect("a page");
            page.records.iter().map(|record| record.position().get()).collect::<Vec<_>>()
        };
        assert_eq!(read(&Interest::notes()), [2, 4]);
        assert_eq!(read(&Interest::everything()), [1, 3]);
        let named = Interest::new(vec![Matcher::Exact(Topic::of_notes())], vec![Matcher::All]);
        assert!(read(&named).is_empty(), "no reader gets one");
        store = stores.reopened(store);
    }
}

/// Ended topics.
pub fn an_ended_topic_is_known_until_the_next_event(stores: &dyn Stores) {
    let mut store = stores.fresh(Retention::ALL);
    let end = |kind| Draft { kind, ..draft("a", "") };
    for (draft, ended) in [
        (draft("a", "1"), false),
        (end(Kind::End), true),
        (draft("a", "2"), false),
        (end(Kind::LastEvent), true),
        (draft("a", "3"), false),
        (end(Kind::SilentEnd), true),
        (draft("a", "4"), false),
    ] {
        append(&*store, vec![draft, super::store_suite::draft("b", "")]);
        store = stores.reopened(store);
        let state = store.catalog().topic(&topic("a")).expect("found").expect("there");
        assert_eq!(state.ended, ended);
        assert_eq!(state.last, store.bounds().head.previous());
        assert!(!store.catalog().topic(&topic("b")).expect("found").expect("there").ended);
    }
}

/// Topics, by prefix, in pages.
pub fn topics_come_in_pages_in_order(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    for n in 0..300 {
        append(&*store, vec![draft(&format!("a/{}", n % 100), "x"), draft("b", "x")]);
    }
    let store = stores.reopened(store);
    append(&*store, vec![draft("a/5", "x"), draft("0", "x")]);
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page = store.catalog().topics("a/", after.as_ref(), 7).expect("found");
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        after = Some(last.topic.clone());
        for state in page {
            let expected = if state.topic.as_str() == "a/5" { 4 } else { 3 };
            assert_eq!(state.records, expected, "{}", state.topic);
            names.push(state.topic);
        }
    }
    assert_eq!(names.len(), 100);
    assert!(names.is_sorted_by(|a, b| a < b));
    let all = store.catalog().topics("", None, 1000).expect("found");
    assert_eq!((all.len(), all[0].topic.as_str(), all[101].topic.as_str()), (102, "0", "b"));
    assert!(store.catalog().topics("c", None, 10).expect("found").is_empty());
    assert!(store.catalog().topics("", None, 0).expect("found").is_empty());
}

/// Tails.
pub fn waiting_ends_with_the_next_record_or_at_the_timeout(stores: &dyn Stores) {
    let store = stores.fresh(Retention::ALL);
    assert_eq!(store.wait(Position::ZERO, Duration::ZERO), Position::ZERO);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| store.wait(Position::ZERO, Duration::from_secs(60)));
        append(&*store, vec![draft("a", "1")]);
        assert_eq!(waiting.join().expect("no panic"), Position::new(1));
    });
    assert_eq!(store.wait(Position::ZERO, Duration::from_secs(60)), Position::new(1));
}

/// Visibility, under load.
pub fn readers_see_every_record_in_order_while_others_append(stores: &dyn Stores) {
    const COUNT: u64 = 6_000;
    let store = stores.fresh(Retention::ALL);
    let follow = |wanted: Option<Interest>, expected: u64| {
        let store = &*store;
        move || {
            let mut after = Position::ZERO;
            let mut seen = 0;
            while after < Position::new(COUNT) {
                let head = store.wait(after, Duration::from_secs(60));
                let upto = ReadQuery { upto: head, ..query(after.get(), wanted.as_ref()) };
                let page = read(store, ReadQuery { records_max: 50, ..upto });
                for record in &page.records {
                    let number = record.position().get();
                    assert_eq!(&*record.data, number.to_string());
                    assert!(record.position() > after && record.position() <= page.reached);
                    after = record.position();
                    seen += 1;
                }
                assert!(page.reached >= after && page.reached <= head);
                after = page.reached;
            }
            assert_eq!(seen, expected);
        }
    };
    thread::scope(|scope| {
        scope.spawn(follow(None, COUNT));
        scope.spawn(follow(None, COUNT));
        scope.spawn(follow(Some(interest(&["topic/3"], &[])), COUNT / 10));
        scope.spawn(follow(Some(interest(&["*/4"], &[])), COUNT / 10));
        let mut number = 1;
        while number <= COUNT {
            let count = (number % 37 + 1).min(COUNT - number + 1);
            let event = |n: u64| draft(&format!("topic/{}", n % 10), &n.to_string());
            append(&*store, (number..number + count).map(event).collect());
            number += count;
        }
    });
}

/// 4,000 of these events are more than a megabyte.
fn fill(store: &dyn Log, count: u64) {
    for n in (0..count).step_by(20) {
        let event = |n: u64| Draft {
            id: (n % 2 == 1).then(|| EventId::new(format!("id-{n}")).expect("an id")),
            ..draft(&format!("topic/{}", n % 10), &"x".repeat(250))
        };
        append(store, (n..n + 20).map(event).collect());
    }
}

/// Everything at once, with random data.
pub fn answers_equal_those_of_a_plain_list(stores: &dyn Stores) {
    for seed in 0..12 {
        eprintln!("seed {seed}");
        let retention = match seed % 3 {
            0 => Retention { bytes: 300 << 10, ..Retention::ALL },
            1 => Retention { age: Duration::from_millis(2_000), ..Retention::ALL },
            _ => Retention::ALL,
        };
        model::compare(stores, retention, Dice::new(seed));
    }
}
