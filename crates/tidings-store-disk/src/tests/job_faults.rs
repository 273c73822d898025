//! What a disk can do to jobs of retention: to those that sort, merge and drop by rules. Whatever
//! fails, at whichever step, the log goes on, or takes no more events and says so; nothing that a
//! rule promises is lost, and nothing comes back.
//!
//! Each round has one fault while jobs are done, and then a restart. A fault that comes while an
//! event is appended is another matter; see the module beside this one.

use super::rules::{Life, keep, some_rules, wait_for_indexes, wait_for_topics, with_rules};
use super::*;
use crate::disk::simulated::Trouble;

/// Number of lives by default, of six rounds each; `TIDINGS_SEEDS` sets another.
const SEEDS: u64 = 20;

fn seeds() -> u64 {
    std::env::var("TIDINGS_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

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
    for seed in 0..seeds() {
        let mut life = Life::new(seed + 500, with_rules(some_rules()));
        let mut store = open(&life.disk, &life.config).unwrap();
        for round in 0..6 {
            let has_failed;
            (store, has_failed) = one_round(seed, round, store, &mut life);
            failed += u64::from(has_failed);
        }
    }
    assert!(failed >= seeds(), "{failed} jobs failed");
}

/// Returns the log after a restart, and whether a job failed.
fn one_round(seed: u64, round: u64, store: DiskStore, life: &mut Life) -> (DiskStore, bool) {
    let rules = life.config.rules.clone();
    for _ in 0..30 {
        life.time += life.dice.below(30);
        life.append(&store).unwrap();
    }
    store.retain(at(life.time)).unwrap();
    wait_for_indexes(&store, None);
    let trouble = some_trouble(&mut life.dice);
    eprintln!("seed {seed}, round {round}, {trouble:?}");
    life.disk.set_trouble(trouble);
    let mut has_failed = work(&store);
    if life.dice.one_in(4) {
        has_failed |= work(&store);
    }
    life.published.check(&store, &rules, life.time);
    if life.dice.one_in(2) {
        life.disk.set_trouble(Trouble::None);
        // Publishers have noticed nothing, and the job is done now.
        assert!(store.health().failure.is_none(), "{:?}", store.health());
        life.append(&store).unwrap();
        work(&store);
        keep(&store);
        life.published.check(&store, &rules, life.time);
    }
    drop(store);
    let is_power_cut = life.dice.one_in(2);
    life.disk = if is_power_cut { life.disk.after_power_cut() } else { life.disk.after_kill() };
    let store = open(&life.disk, &life.config).unwrap();
    store.note_time(at(life.time));
    wait_for_topics(&store);
    life.settle(&store);
    keep(&store);
    (store, has_failed)
}
