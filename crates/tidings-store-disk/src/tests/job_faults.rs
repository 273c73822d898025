//! What a disk can do to jobs of retention: to those that sort, merge and drop by rules. Whatever
//! fails, at whichever step, the log goes on, or takes no more events and says so; nothing that a
//! rule promises is lost, and nothing comes back.
//!
//! Each round has one fault while jobs are done, and then a restart, after a power cut on a file
//! system with a journal or without one. A fault that comes while an
//! event is appended is another matter; see the module beside this one.

use super::rules::{Life, keep, some_rules, wait_for_indexes, wait_for_topics, with_rules};
use super::*;
use crate::disk::simulated::Trouble;
use crate::mistake::Mistake;

/// Number of lives, of six rounds each.
const SEEDS: u64 = 20;

pub(super) fn some_trouble(dice: &mut Dice) -> Trouble {
    match dice.below(8) {
        0..3 => Trouble::SyncFailsAfter(dice.below(12)),
        3..6 => {
            let most = if dice.one_in(3) { 1_000 } else { 40_000 };
            Trouble::FullAfter(dice.below(most))
        }
        6 => Trouble::FolderSyncFailsAfter(dice.below(6)),
        _ => Trouble::NoRemovals,
    }
}

/// Does what jobs there are, until one fails or there are no more. Returns whether one failed.
fn work(store: &DiskStore) -> bool {
    let before = store.health().background_failures;
    let mut keeper = store.keeper.lock().unwrap();
    keeper.try_at_once();
    while keeper.step(&store.shared, &mut |_| Ok(())) {}
    store.health().background_failures > before
}

#[test]
fn a_fault_in_a_job_loses_nothing_and_is_made_good_later() {
    let mut failed = 0;
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        failed += live(seed, if seed % 2 == 0 { Fate::Any } else { Fate::Unsynced });
    }
    let lives = seeds(SEEDS).count() as u64;
    assert!(lives < SEEDS || failed >= lives, "{failed} jobs failed");
}

/// Each mistake in what is synced before what is found.
#[test]
fn these_tests_find_each_planted_mistake() {
    for mistake in Mistake::OF_SYNCS {
        let found = (0..50).find(|seed| {
            let life = || {
                let _planted = mistake.plant();
                live(*seed, Fate::Unsynced);
            };
            std::panic::catch_unwind(life).is_err()
        });
        assert!(found.is_some(), "{mistake:?} is not found");
    }
}

/// What happens in a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Any fault, and perhaps the time to make it good.
    Any,
    /// The folder can no longer be synced, before the power is cut.
    Unsynced,
}

/// Returns the number of rounds in which a job failed.
fn live(seed: u64, fate: Fate) -> u64 {
    let mut life = Life::new(seed + 500, with_rules(some_rules()));
    let mut store = open(&life.disk, &life.config).unwrap();
    let mut failed = 0;
    for round in 0..6 {
        let has_failed;
        (store, has_failed) = one_round((seed, round), fate, store, &mut life);
        failed += u64::from(has_failed);
    }
    failed
}

/// Returns the log after a restart, and whether a job failed.
fn one_round(
    (seed, round): (u64, u64),
    fate: Fate,
    store: DiskStore,
    life: &mut Life,
) -> (DiskStore, bool) {
    let rules = life.config.rules.clone();
    for _ in 0..30 {
        life.time += life.dice.below(30);
        life.append(&store).unwrap();
    }
    store.retain(at(life.time)).unwrap();
    wait_for_indexes(&store, None);
    let trouble = match fate {
        Fate::Any => some_trouble(&mut life.dice),
        Fate::Unsynced => Trouble::FolderSyncFailsAfter(life.dice.below(4)),
    };
    eprintln!("seed {seed}, round {round}, {trouble:?}");
    life.disk.set_trouble(trouble);
    let mut has_failed = work(&store);
    if life.dice.one_in(4) {
        has_failed |= work(&store);
    }
    life.published.check(&store, &rules, life.time);
    if fate == Fate::Any && life.dice.one_in(2) {
        life.disk.set_trouble(Trouble::None);
        // Publishers have noticed nothing, and the job is done now.
        assert!(store.health().failure.is_none(), "{:?}", store.health());
        life.append(&store).unwrap();
        work(&store);
        keep(&store);
        life.published.check(&store, &rules, life.time);
    }
    drop(store);
    life.disk = match (fate, life.dice.below(4)) {
        (Fate::Any, 0) => life.disk.after_power_cut(),
        (Fate::Any, 1 | 2) => life.disk.after_kill(),
        _ => life.disk.after_power_cut_without_journal(),
    };
    let store = open(&life.disk, &life.config).unwrap();
    store.note_time(at(life.time));
    wait_for_topics(&store);
    life.settle(&store);
    keep(&store);
    (store, has_failed)
}
