//! Rules of retention, which each hub applies to its own copy.

use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use tidings_hub::{
    Draft, EventId, Interest, Log, Matcher, Outcome, Position, ReadQuery, ResetReason,
    ResolveError, Start, Timestamp, Topic,
};
use tidings_store_disk::{DiskConfig, Promise, Rule};

use super::memory_journal::MemoryJournal;
use crate::checks;
use crate::fork::lost_ids;
use crate::limits::{CURSOR_BLOCKS, RULES_PATIENCE};
use crate::test_folder::TestFolder;
use crate::{SharedConfig, SharedStore};

const SECOND: u64 = 1_000;
const PATIENCE: u64 = RULES_PATIENCE.as_secs() * SECOND;

struct World {
    folder: TestFolder,
    journal: MemoryJournal,
    patience: Duration,
    bytes: u64,
}

impl World {
    fn new() -> Self {
        let (folder, journal) = (TestFolder::new(), MemoryJournal::default());
        Self { folder, journal, patience: RULES_PATIENCE, bytes: 1 << 20 }
    }

    /// Opens a hub that keeps the last two events of each topic under `last/`, and all others for
    /// 1,000 seconds.
    fn open(&self, hub: usize) -> SharedStore {
        let last = Rule {
            name: "last".into(),
            topics: vec![Matcher::parse("last/*").unwrap()],
            age: None,
            bytes: None,
            promise: NonZeroU32::new(2).map(Promise::Last),
        };
        let cache = DiskConfig {
            retention_bytes: self.bytes,
            retention_age: Duration::from_secs(1_000),
            segment_bytes: Some(2 << 10),
            hot_bytes: Some(4 << 10),
            recent_bytes_max: 1 << 10,
            rules: vec![last],
            ..DiskConfig::new("")
        };
        let config = SharedConfig {
            cache,
            create: true,
            allow_gaps: true,
            trim_interval: Duration::ZERO,
            append_patience: Duration::ZERO,
            rules_patience: self.patience,
            ..SharedConfig::new(self.folder.path().join(hub.to_string()))
        };
        SharedStore::open(config, Box::new(self.journal.clone())).unwrap()
    }

    /// Lets time pass at a hub that follows the log.
    fn pass(&self, hub: &SharedStore, until: u64) {
        for time in [until, until + 1, until + 2] {
            hub.follow(&mut self.journal.clone());
            hub.retain(Timestamp::from_millis(time)).unwrap();
            hub.wait_for_background();
            hub.keep();
        }
    }
}

fn publish(hub: &SharedStore, on: &str, text: &str, time: u64) -> EventId {
    let draft = Draft::new(Topic::new(on).unwrap(), text);
    let appended = hub.append(vec![draft], Timestamp::from_millis(time)).unwrap();
    appended[0].id.clone()
}

/// Publishes as many events, one a block: every tenth on one of two topics of which the last two
/// are kept.
fn publish_some(hub: &SharedStore, count: u64, time: u64) -> Vec<EventId> {
    let name = |n: u64| match n % 10 {
        0 => format!("last/{}", n / 10 % 2),
        _ => "chat".to_owned(),
    };
    (1..=count).map(|n| publish(hub, &name(n), &format!("{time}:{n:0>80}"), time + n)).collect()
}

/// Everything that is there: position and text.
fn content(hub: &SharedStore) -> Vec<(u64, String)> {
    let query = ReadQuery { told: Position::new(u64::MAX), ..ReadQuery::everything() };
    let (mut after, head, mut all) = (Position::ZERO, hub.bounds().head, Vec::new());
    while after < head {
        let page = hub.read(&ReadQuery { after, upto: head, ..query }).unwrap();
        after = page.reached;
        let of = |record: &tidings_hub::Record| (record.position().get(), record.data.to_string());
        all.extend(page.records.iter().map(|record| of(record)));
    }
    all
}

#[test]
fn rules_are_applied_once_the_log_has_shown_for_the_time_of_the_patience_what_was_followed() {
    let world = World::new();
    let hub = world.open(0);
    publish_some(&hub, 300, 0);
    world.pass(&hub, PATIENCE);
    assert_eq!(hub.sorted_upto(), Position::ZERO, "it is younger");
    // The log was away since, and may have lost its end.
    let retain = |time| {
        hub.retain(Timestamp::from_millis(time)).unwrap();
        hub.wait_for_background();
        hub.keep();
    };
    (1..10).for_each(|n| retain(n * 2 * PATIENCE));
    assert_eq!(hub.sorted_upto(), Position::ZERO, "the log has not shown it");
    hub.follow(&mut world.journal.clone());
    retain(30 * PATIENCE);
    assert!(hub.sorted_upto() > Position::new(200));
    let kept: Vec<_> = content(&hub).into_iter().map(|(position, _)| position).collect();
    for position in [270, 280, 290, 300] {
        assert!(kept.contains(&position), "{kept:?}");
    }
    assert!(kept.len() < 60, "the others are too old: {kept:?}");
}

/// The newest values of a topic are lost with the log's end: the ones before are its newest again.
#[test]
fn a_copy_to_which_no_rule_was_applied_yet_is_cut_where_the_log_lost_its_end() {
    let world = World::new();
    let [one, two] = [0, 1].map(|hub| world.open(hub));
    publish_some(&one, 200, 0);
    two.follow(&mut world.journal.clone());
    publish_some(&one, 100, SECOND);
    let hubs = [&one, &two];
    hubs.iter().for_each(|hub| world.pass(hub, PATIENCE));
    // Its first block creates the log.
    world.journal.lose_after(1 + 250);
    hubs.iter().for_each(|hub| hub.follow(&mut world.journal.clone()));
    assert!(one.halt().is_some());
    drop((one, two));
    let [one, two] = [0, 1].map(|hub| world.open(hub));
    for hub in [&one, &two] {
        assert_eq!(hub.bounds().head, Position::new(250));
        assert_eq!(content(hub).len(), 250, "nothing was dropped because of what is lost");
    }
    [&one, &two].iter().for_each(|hub| world.pass(hub, 20 * PATIENCE));
    assert_eq!(content(&one), content(&two));
    let here = content(&one);
    for position in [220, 230, 240, 250] {
        assert!(here.iter().any(|(at, _)| *at == position), "{position}: {here:?}");
    }
}

#[test]
fn a_copy_to_which_rules_were_applied_where_the_log_lost_its_end_is_fetched_anew() {
    let world = World::new();
    let hub = world.open(0);
    publish_some(&hub, 300, 0);
    world.pass(&hub, 2 * PATIENCE);
    assert!(hub.sorted_upto() > Position::new(200));
    assert!(content(&hub).len() < 300, "the older values are gone");
    world.journal.lose_after(1 + 150);
    hub.follow(&mut world.journal.clone());
    assert!(hub.halt().is_some());
    drop(hub);
    let hub = world.open(0);
    hub.follow(&mut world.journal.clone());
    assert_eq!(content(&hub), content(&world.open(1)));
    assert_eq!(content(&hub).len(), 150);
    assert_eq!(hub.shared().unwrap().following().fetching, None);
}

#[test]
fn the_journal_holds_everything_for_the_longest_age_although_older_events_are_kept() {
    let world = World::new();
    let hub = world.open(0);
    publish_some(&hub, 100, 0);
    publish_some(&hub, 100, 1_000 * SECOND);
    world.pass(&hub, 1_001 * SECOND);
    assert!(hub.bounds().first <= Position::new(90), "the last ones of a topic stay");
    // The newest block that is too old stays: it says where the next one belongs.
    assert_eq!(world.journal.dropped(), 1 + 100 - 1);
    world.pass(&hub, 1_900 * SECOND);
    assert_eq!(world.journal.dropped(), 100);
    // A hub with an empty folder has what the log has.
    let cold = world.open(1);
    assert_eq!(cold.bounds().first, Position::new(100));
    let (all, here) = (content(&cold), content(&hub));
    assert!(all.iter().map(|(position, _)| *position).eq(100..=200));
    assert!(here.iter().filter(|(position, _)| *position > 100).all(|one| all.contains(one)));
    assert_eq!(here.iter().filter(|(position, _)| *position <= 100).count(), 4);
}

/// Blocks without records have the time of the event before, however young they are.
#[test]
fn a_hub_that_was_away_for_a_moment_keeps_its_copy_of_a_log_without_new_events() {
    let world = World::new();
    let [one, two] = [0, 1].map(|hub| world.open(hub));
    publish_some(&one, 100, 0);
    two.follow(&mut world.journal.clone());
    [&one, &two].iter().for_each(|hub| world.pass(hub, 2_000 * SECOND));
    let (dropped, had) = (world.journal.dropped(), content(&two));
    assert!(dropped == 100 && had.len() > 1, "{dropped} {had:?}");
    drop(two);
    for _ in 0..3 {
        assert_eq!(one.shared().unwrap().prove_head().unwrap(), Position::new(100));
    }
    world.pass(&one, 2_001 * SECOND);
    assert_eq!(world.journal.dropped(), dropped);
    assert_eq!(content(&world.open(1)), had);
}

/// A log whose first blocks have no records, and so no time, has lost nothing yet.
#[test]
fn the_beginning_of_a_log_stays_as_long_as_nothing_before_it_is_too_old() {
    let world = World::new();
    let hub = world.open(0);
    for _ in 0..3 {
        assert_eq!(hub.shared().unwrap().prove_head().unwrap(), Position::ZERO);
    }
    publish_some(&hub, 10, 5_000 * SECOND);
    world.pass(&hub, 5_001 * SECOND);
    assert_eq!(world.journal.dropped(), 0);
}

#[test]
fn what_the_journal_holds_too_much_goes_by_halves() {
    let world = World { bytes: 32 << 10, ..World::new() };
    let hub = world.open(0);
    for n in 0..600 {
        // The older ones are smaller.
        publish(&hub, "chat", &"x".repeat(if n < 300 { 10 } else { 300 }), n);
    }
    let mut journal = world.journal.clone();
    let bytes = |journal: &mut MemoryJournal| crate::Journal::bytes(journal).unwrap();
    let (budget, mut before) = (64 << 10, bytes(&mut journal));
    let mut times = 0;
    while before > budget {
        let trimmed = journal.dropped();
        hub.retain(Timestamp::from_millis(1_000)).unwrap();
        let after = bytes(&mut journal);
        let excess = before - budget;
        assert!(before - after <= excess, "never more than is too much: {before} {after}");
        assert!(journal.dropped() > trimmed || excess < 1_000, "{before} {after}");
        if journal.dropped() == trimmed {
            break;
        }
        before = after;
        times += 1;
    }
    assert!((4..40).contains(&times), "{times}");
    let trimmed = journal.dropped();
    hub.retain(Timestamp::from_millis(1_001)).unwrap();
    assert!(journal.dropped() - trimmed <= 1, "then nothing more goes");
}

fn resume(hub: &SharedStore, id: &EventId, on: &str) -> Outcome {
    let topics = vec![Matcher::parse(on).unwrap()];
    let interest = Interest::new(topics.clone(), topics);
    match Start::After(id.to_string()).resolve(hub, &interest) {
        Ok(resolved) => resolved.outcome,
        Err(ResolveError::Unproved { otherwise }) => otherwise.outcome,
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn a_reader_whose_last_event_a_rule_dropped_goes_on_as_long_as_the_block_is_known() {
    let world = World::new();
    let [one, two] = [0, 1].map(|hub| world.open(hub));
    let ids = publish_some(&one, 300, 0);
    [&one, &two].iter().for_each(|hub| world.pass(hub, 2 * PATIENCE));
    // Of its topic two later events are there, and between it and them none was dropped.
    let is_there = |at: u64| [&one, &two].map(|hub| content(hub).iter().any(|(one, _)| *one == at));
    let last = (1..=300).rev().filter(|n| n % 20 == 0).find(|n| !is_there(*n).contains(&true));
    let last = last.unwrap() as usize;
    let dropped = &ids[last - 1];
    for hub in [&one, &two] {
        assert_eq!(resume(hub, dropped, "last/0"), Outcome::Resumed);
    }
    drop(one);
    let one = world.open(0);
    assert_eq!(resume(&one, dropped, "last/0"), Outcome::Resumed, "and after a restart");
    // An id with another check is none of this log.
    let (place, check) = dropped.as_str().split_once('.').unwrap();
    let other = if check.starts_with('0') { "1" } else { "0" };
    let wrong = EventId::new(format!("{place}.{other}{}", &check[1..])).unwrap();
    assert!(matches!(resume(&one, &wrong, "last/0"), Outcome::Reset { .. }));
    // On a busy hub that happens within minutes: it is not in memory any more.
    for n in 0..CURSOR_BLOCKS as u64 + 64 {
        publish(&one, "other", "x", 3 * PATIENCE + n);
    }
    let is_unknown = |hub: &SharedStore| {
        let outcome = resume(hub, dropped, "last/0");
        matches!(outcome, Outcome::Reset { reason: ResetReason::Unknown, .. })
    };
    let path = |hub: usize| world.folder.path().join(hub.to_string());
    assert_eq!(resume(&one, dropped, "last/0"), Outcome::Resumed);
    assert!(matches!(resume(&one, &wrong, "last/0"), Outcome::Reset { .. }));
    crate::backup(&path(0), &path(2)).unwrap();
    drop(one);
    for hub in [0, 2] {
        assert_eq!(resume(&world.open(hub), dropped, "last/0"), Outcome::Resumed, "{hub}");
    }
    // Without the file it is a place that is not known.
    fs::remove_file(path(0).join(checks::FILE)).unwrap();
    let one = world.open(0);
    assert!(is_unknown(&one));
    // The record that is kept says its check itself.
    let kept = content(&one)[0].0;
    let check = one.shared().unwrap().check(Position::new(kept)).unwrap();
    assert!(check.is_some());
}

#[test]
fn where_events_are_missing_any_id_may_be_a_lost_one() {
    let world = World::new();
    let hub = world.open(0);
    publish_some(&hub, 300, 0);
    let cache = hub.cache();
    assert!(!lost_ids(cache, Position::ZERO).unwrap().more, "none is missing");
    world.pass(&hub, 2 * PATIENCE);
    let sorted = hub.sorted_upto();
    assert!(lost_ids(cache, Position::ZERO).unwrap().more);
    assert!(lost_ids(cache, Position::new(100)).unwrap().more);
    assert!(!lost_ids(cache, sorted).unwrap().more, "behind, everything is there");
}

/// What went with its time to live is no loss to anybody, but its id may be.
#[test]
fn events_that_went_with_their_time_to_live_are_missing_too() {
    let world = World::new();
    let hub = world.open(0);
    for n in 0..100 {
        let mut draft = Draft::new(Topic::new("chat").unwrap(), "x".repeat(80));
        draft.ttl_s = NonZeroU32::new(u32::from(n % 3 == 0));
        draft.id = EventId::new(format!("id-{n}")).ok();
        hub.append(vec![draft], Timestamp::from_millis(SECOND + n)).unwrap();
    }
    world.pass(&hub, 2 * PATIENCE);
    let sorted = hub.sorted_upto();
    assert!(sorted > Position::new(50));
    assert_eq!(hub.lost(&Interest::everything(), Position::ZERO).unwrap(), None, "nothing is lost");
    assert!(content(&hub).len() < 90);
    assert!(lost_ids(hub.cache(), Position::ZERO).unwrap().more);
}
