//! Copies of logs that are held elsewhere, to which rules of retention are applied.

use std::num::NonZeroU32;

use tidings_hub::{Check, Epoch, LogIdentity, Repeats};

use super::rules::{age_of_an_hour, keep, read_told, with_rules};
use super::*;
use crate::disk::simulated::Trouble;
use crate::mistake::Mistake;
use crate::{Durability, Promise, Rule, copy};

/// The last two events of each topic under `last/` are kept, of the others a short time.
fn config() -> DiskConfig {
    let last = Rule {
        name: "last".into(),
        topics: vec![Matcher::parse("last/*").unwrap()],
        age: None,
        bytes: None,
        promise: NonZeroU32::new(2).map(Promise::Last),
    };
    DiskConfig { durability: Durability::Os, ..with_rules(vec![last]) }
}

fn identity(random: u64) -> LogIdentity {
    LogIdentity::new(Epoch::from_random(random))
}

fn open_copy(disk: &SimulatedDisk) -> Result<DiskStore, OpenError> {
    DiskStore::open_on(Arc::new(disk.clone()), config(), None, Role::Copy)
}

fn new_copy(disk: &SimulatedDisk) -> DiskStore {
    copy::create(disk, &config(), &identity(7), Position::new(1)).unwrap();
    open_copy(disk).unwrap()
}

fn draft(n: u64) -> Draft {
    let on = if n.is_multiple_of(10) { format!("last/{}", n / 10 % 2) } else { "chat".to_owned() };
    let id = EventId::new(format!("id-{n}")).ok();
    let data = format!("{n}:{}", "x".repeat(90));
    Draft { id, once: true, ..Draft::new(Topic::new(on).unwrap(), data) }
}

/// Follows `count` appends of five records each.
fn follow(store: &DiskStore, first: u64, count: u64) {
    for begin in (first..).step_by(5).take(count as usize) {
        let records = (begin..begin + 5).map(|n| (draft(n), Check::new(n as u32)));
        store.follow(Position::new(begin), at(begin), records.collect()).unwrap();
    }
}

fn positions(store: &DiskStore) -> Vec<u64> {
    read_told(store, None, Position::ZERO).iter().map(|record| record.position().get()).collect()
}

/// Makes everything that was followed too old for the rest.
fn later(store: &DiskStore) {
    store.note_time(at(1_000_000));
}

#[test]
fn rules_are_applied_to_a_copy_only_up_to_what_its_log_does_not_lose() {
    let disk = SimulatedDisk::new(1);
    let store = new_copy(&disk);
    follow(&store, 1, 400);
    later(&store);
    keep(&store);
    assert_eq!((store.sorted_upto(), positions(&store).len()), (Position::ZERO, 2000));
    store.settle(Position::new(1_000));
    keep(&store);
    let sorted = store.sorted_upto().get();
    assert!((800..=1_000).contains(&sorted), "{sorted}");
    let here = positions(&store);
    let newest = |on: u64| (1..=sorted).filter(move |n| n % 20 == on * 10).rev().take(2);
    assert!(newest(0).chain(newest(1)).all(|n| here.contains(&n)), "{here:?}");
    // Until all runs of a rule are merged there are some more.
    let (before, after) = here.split_at(here.partition_point(|n| *n <= sorted));
    assert!(before.iter().all(|n| n.is_multiple_of(10)) && before.len() < 40, "{before:?}");
    assert_eq!(after, (sorted + 1..=2000).collect::<Vec<_>>());
    // A copy that is opened again has everything up to there, and is sorted no further by itself.
    drop(store);
    let store = open_copy(&disk).unwrap();
    later(&store);
    keep(&store);
    assert_eq!((store.sorted_upto().get(), positions(&store)), (sorted, here));
    follow(&store, 2001, 3);
}

#[test]
fn what_waits_to_be_settled_does_not_keep_a_copy_from_following() {
    let disk = SimulatedDisk::new(2);
    let store = new_copy(&disk);
    follow(&store, 1, 4_000);
    assert!(store.shared.read_state().hot_bytes() > 2 << 20, "twice as much as it may keep");
    store.settle(store.bounds().head);
    let records = vec![(draft(20_001), Check::new(1))];
    let followed = store.follow(Position::new(20_001), at(30_000), records.clone());
    assert!(matches!(followed, Err(AppendError::Full { .. })), "{followed:?}");
    keep(&store);
    store.follow(Position::new(20_001), at(30_000), records).unwrap();
}

/// The process ends at each step of a job, and the copy is cut at each append then.
fn cut_everywhere() -> u64 {
    let mut refused = 0;
    for steps in (0..60).step_by(3) {
        let disk = SimulatedDisk::new(3);
        let store = new_copy(&disk);
        follow(&store, 1, 100);
        later(&store);
        store.settle(Position::new(400));
        wait_until_written(&store);
        disk.set_trouble(Trouble::StopsAfter(steps));
        let mut keeper = store.keeper.lock().unwrap();
        while keeper.step(&store.shared, &mut |_| Ok(())) {}
        drop(keeper);
        let killed = disk.after_kill();
        drop(store);
        let before = open_copy(&killed.after_kill()).unwrap();
        let (sorted, here) = (before.sorted_upto().get(), positions(&before));
        for upto in (0..=500).step_by(25) {
            let disk = killed.after_kill();
            match copy::cut(&disk, &config(), Position::new(upto), &identity(8)) {
                Ok(()) => {
                    let store = open_copy(&disk).expect("a copy that was cut can be opened");
                    assert_eq!(store.bounds().head, Position::new(upto));
                    let expected: Vec<_> = here.iter().copied().filter(|n| *n <= upto).collect();
                    assert_eq!(positions(&store), expected, "cut after {upto}, sorted to {sorted}");
                    assert!(sorted <= upto, "events that a later one replaced are missing");
                    follow(&store, upto + 1, 3);
                }
                Err(error) => {
                    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
                    assert!(upto < sorted, "{error}");
                    refused += 1;
                }
            }
        }
    }
    refused
}

fn wait_until_written(store: &DiskStore) {
    super::rules::wait_for_indexes(store, None);
}

#[test]
fn a_copy_is_not_cut_where_rules_were_applied() {
    assert!(cut_everywhere() > 0, "some cuts were refused");
}

#[test]
#[should_panic(expected = "a copy that was cut can be opened")]
fn a_copy_that_is_cut_where_rules_were_applied_is_noticed() {
    let _planted = Mistake::CutWhereSorted.plant();
    cut_everywhere();
}

#[test]
fn a_new_copy_leaves_nothing_of_one_to_which_rules_were_applied() {
    let disk = SimulatedDisk::new(4);
    let store = new_copy(&disk);
    follow(&store, 1, 400);
    later(&store);
    store.settle(Position::new(1_000));
    keep(&store);
    assert!(store.sorted_upto() > Position::ZERO);
    drop(store);
    copy::create(&disk, &config(), &identity(9), Position::new(501)).unwrap();
    let store = open_copy(&disk).unwrap();
    follow(&store, 501, 4);
    assert_eq!(positions(&store), (501..=520).collect::<Vec<_>>());
    assert_eq!(store.sorted_upto(), Position::ZERO);
    let left = disk.contents().into_iter().map(|(name, _)| name);
    let left: Vec<_> = left.filter(|name| name.contains(".run") || name.contains("cat")).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// One record is asked for: that others are gone does not matter.
#[test]
fn a_record_that_is_kept_is_found_by_its_id_although_later_ones_are_gone() {
    let disk = SimulatedDisk::new(5);
    let store = open(&disk, &DiskConfig { durability: Durability::Fsync, ..config() }).unwrap();
    for n in 1..=2000 {
        store.append(vec![draft(n)], at(n)).unwrap();
    }
    later(&store);
    keep(&store);
    let kept = positions(&store)[0];
    assert!(draft(kept).topic.as_str().starts_with("last/"));
    let losses = store.shared.read_state().lanes.losses.clone();
    let rules = crate::rules::Rules(config().rules);
    let lost = losses.after(Position::new(kept), None, crate::lost::LostTo::History, &rules);
    assert!(lost.is_some(), "something after it is gone");
    let page = store.read(&ReadQuery::one(Position::new(kept))).unwrap();
    assert_eq!(page.records.len(), 1);
    let fates = Repeats::new().check(&store, &[draft(kept), draft(kept - 1)]).unwrap();
    let repeated = tidings_hub::Fate::Repeats(Position::new(kept));
    assert_eq!(fates, [repeated, tidings_hub::Fate::Store]);
}

#[test]
fn what_an_engine_must_keep_follows_from_the_rules() {
    use std::time::Duration;
    let rules = config().rules.into_iter().chain(age_of_an_hour()).collect();
    let config = DiskConfig { rules, ..config() };
    assert_eq!(config.longest_age(), Duration::from_secs(3_600));
    assert_eq!(config.bytes_of_all_rules(), 3 << 20);
}
