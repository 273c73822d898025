//! What a disk can do to an open log, and whether the log recovers without a restart.
//!
//! | cause | answer | recovers |
//! |---|---|---|
//! | full: an append, half written | `Full` | when there is room |
//! | full, and the half cannot be cut off | `Poisoned` | no |
//! | full at the end of a segment | `Full` | when there is room |
//! | no descriptors at the end of a segment | `Away` | when there are some |
//! | the folder was moved | `Away` | when it is back |
//! | its files were removed | `Poisoned` | no |
//! | the background thread panics | `Poisoned` | no |
//! | a sync fails | `Poisoned` | no (`a_failed_sync_is_never_retried`) |
//! | a file cannot be removed | none | when it can |
//! | an index cannot be written | none | when it can |
//! | an index is damaged | none | at once (`a_damaged_index_is_rebuilt_without_an_interruption`) |

use std::time::{Duration, Instant};

use super::*;
use crate::Durability;
use crate::disk::Disk as _;
use crate::disk::simulated::Trouble;

const BOTH: [Durability; 2] = [Durability::Fsync, Durability::Os];

fn config(durability: Durability) -> DiskConfig {
    DiskConfig { durability, ..small(u64::MAX) }
}

/// Appends until one fails. Returns why it failed; `stored` gets the drafts before it.
fn until_refused(store: &DiskStore, dice: &mut Dice, stored: &mut Vec<Draft>) -> AppendError {
    for _ in 0..10_000 {
        let count = 1 + dice.below(9);
        let next = stored.len() as u64 + 1;
        let drafts: Vec<_> = (next..next + count).map(|n| some_draft(dice, n)).collect();
        match store.append(drafts.clone(), at(next)) {
            Ok(_) => stored.extend(drafts),
            Err(error) => return error,
        }
    }
    panic!("nothing was refused");
}

fn more(store: &DiskStore, dice: &mut Dice, stored: &mut Vec<Draft>, count: usize) {
    for _ in 0..count {
        let draft = some_draft(dice, stored.len() as u64 + 1);
        store.append(vec![draft.clone()], at(stored.len() as u64)).unwrap();
        stored.push(draft);
    }
}

/// Tests one cause: failures are of `kind`, stored events stay, and once the cause is gone the
/// store takes events again, by an append or by itself, and a restart finds all of them.
fn recovers(seed: u64, durability: Durability, trouble: Trouble, kind: &str) {
    eprintln!("seed {seed}, {durability:?}, {trouble:?}");
    let disk = SimulatedDisk::new(seed);
    let config = config(durability);
    let store = open(&disk, &config).unwrap();
    let mut dice = Dice(seed);
    let mut stored = Vec::new();
    more(&store, &mut dice, &mut stored, 20);
    for round in 0..3 {
        disk.set_trouble(trouble);
        let error = until_refused(&store, &mut dice, &mut stored);
        assert_eq!(error.kind(), kind, "{}", with_causes(&error));
        assert!(with_causes(&error).contains("/simulated"), "{}", with_causes(&error));
        assert_eq!(store.health().failure.unwrap().kind(), kind);
        Expected(&stored).check(&store).unwrap();
        assert_eq!(store.retain(at(1)).unwrap_err().kind(), kind, "it is tried again");

        disk.set_trouble(Trouble::None);
        if round == 0 {
            store.retain(at(1)).unwrap();
            assert!(store.health().failure.is_none(), "it recovers without a publish");
        }
        more(&store, &mut dice, &mut stored, 5);
        assert!(store.health().failure.is_none());
    }
    more(&store, &mut dice, &mut stored, 200);
    Expected(&stored).check(&store).unwrap();
    // Whether it was killed or closed.
    for disk in [disk.after_kill(), {
        drop(store);
        disk.after_power_cut()
    }] {
        Expected(&stored).check(&open(&disk, &config).unwrap()).unwrap();
    }
}

#[test]
fn a_full_disk_rejects_events_and_takes_them_again_when_there_is_room() {
    for seed in 0..20 {
        for durability in BOTH {
            recovers(seed, durability, Trouble::FullAfter(seed * 1_500), "full");
        }
    }
}

#[test]
fn a_process_without_descriptors_takes_events_until_its_segment_ends_and_again_once_it_has_some() {
    for seed in 0..5 {
        for durability in BOTH {
            recovers(seed, durability, Trouble::NoMoreFiles, "away");
        }
    }
}

#[test]
fn nothing_that_was_acknowledged_on_a_nearly_full_disk_is_lost_by_a_power_cut() {
    for seed in seeds(60) {
        let _running = Running(seed);
        let disk = SimulatedDisk::new(seed);
        let config = config(Durability::Fsync);
        let store = open(&disk, &config).unwrap();
        let mut dice = Dice(seed);
        let mut stored = Vec::new();
        for _ in 0..5 {
            disk.set_trouble(Trouble::FullAfter(dice.below(30_000)));
            let error = until_refused(&store, &mut dice, &mut stored);
            assert_eq!(error.kind(), "full");
            disk.set_trouble(Trouble::None);
            let count = dice.below(4) as usize;
            more(&store, &mut dice, &mut stored, count);
        }
        let after = disk.after_power_cut();
        let store = open(&after, &config).unwrap();
        assert_eq!(store.bounds().head.get(), stored.len() as u64);
        Expected(&stored).check(&store).unwrap();
    }
}

#[test]
fn a_write_that_is_torn_for_good_is_final() {
    for durability in BOTH {
        let disk = SimulatedDisk::new(3);
        let store = open(&disk, &config(durability)).unwrap();
        let (mut dice, mut stored) = (Dice(3), Vec::new());
        more(&store, &mut dice, &mut stored, 20);
        disk.set_trouble(Trouble::FullAndStuck);
        let error = until_refused(&store, &mut dice, &mut stored);
        assert_eq!(error.kind(), "poisoned");
        disk.set_trouble(Trouble::None);
        assert!(store.append(vec![some_draft(&mut dice, 0)], at(1)).unwrap_err().is_final());
        Expected(&stored).check(&store).unwrap();
        drop(store);
        let store = open(&disk.after_kill(), &config(durability)).unwrap();
        Expected(&stored).check(&store).unwrap();
    }
}

#[test]
fn a_folder_that_was_moved_takes_no_events_until_it_is_back() {
    for durability in BOTH {
        let disk = SimulatedDisk::new(4);
        let store = open(&disk, &config(durability)).unwrap();
        let (mut dice, mut stored) = (Dice(4), Vec::new());
        more(&store, &mut dice, &mut stored, 20);
        disk.set_trouble(Trouble::Moved);
        eventually(|| store.health().failure.is_some_and(|failure| failure.kind() == "away"));
        let error = store.append(vec![some_draft(&mut dice, 0)], at(1)).unwrap_err();
        assert!(with_causes(&error).contains("/simulated was moved"), "{}", with_causes(&error));
        disk.set_trouble(Trouble::None);
        more(&store, &mut dice, &mut stored, 20);
        Expected(&stored).check(&store).unwrap();
    }
}

#[test]
fn an_event_is_not_acknowledged_into_a_file_that_was_removed() {
    for durability in BOTH {
        let disk = SimulatedDisk::new(5);
        let store = open(&disk, &config(durability)).unwrap();
        let (mut dice, mut stored) = (Dice(5), Vec::new());
        more(&store, &mut dice, &mut stored, 20);
        disk.set_trouble(Trouble::Removed);
        let error = store.append(vec![some_draft(&mut dice, 0)], at(1)).unwrap_err();
        assert!(error.is_final());
        assert!(with_causes(&error).contains("was removed"), "{}", with_causes(&error));
        assert_eq!(store.bounds().head.get(), 20);
    }
}

#[test]
fn a_removed_folder_is_noticed_even_without_a_publish() {
    let disk = SimulatedDisk::new(6);
    let store = open(&disk, &config(Durability::Fsync)).unwrap();
    disk.set_trouble(Trouble::Removed);
    eventually(|| store.health().failure.is_some_and(|failure| failure.is_final()));
}

/// Without the thread, sealing would soon block. Nothing waits for it, not even closing.
#[test]
fn a_panic_of_the_background_thread_is_final_and_nothing_waits_for_it() {
    let disk = SimulatedDisk::new(8);
    let store = open(&disk, &config(Durability::Fsync)).unwrap();
    let (mut dice, mut stored) = (Dice(8), Vec::new());
    more(&store, &mut dice, &mut stored, 20);
    disk.set_trouble(Trouble::Panics);
    eventually(|| store.health().failure.is_some_and(|failure| failure.is_final()));
    disk.set_trouble(Trouble::None);
    assert_eq!(until_refused(&store, &mut dice, &mut stored).kind(), "poisoned");
    Expected(&stored).check(&store).unwrap();
    drop(store);
    Expected(&stored).check(&open(&disk, &config(Durability::Fsync)).unwrap()).unwrap();
}

#[test]
fn a_file_that_cannot_be_removed_is_removed_later_without_an_interruption() {
    for durability in BOTH {
        let disk = SimulatedDisk::new(7);
        let config = DiskConfig { durability, ..small(60 << 10) };
        let store = open(&disk, &config).unwrap();
        let (mut dice, mut stored) = (Dice(7), Vec::new());
        // The format file is replaced before the first key is stored.
        more(&store, &mut dice, &mut stored, 2);
        assert!(stored.iter().any(|draft| draft.key.is_some()));
        disk.set_trouble(Trouble::NoRemovals);
        more(&store, &mut dice, &mut stored, 1_000);
        // Indexes cannot be renamed into place either.
        assert!(names(&disk, ".index").is_empty());
        assert!(store.bounds().first > Position::new(1), "retention continued");
        eventually(|| store.health().background_failures > 1);
        assert!(store.health().failure.is_none());
        Expected(&stored).check(&store).unwrap();

        disk.set_trouble(Trouble::None);
        eventually(|| {
            let first = crate::segment::log_name(store.bounds().first);
            names(&disk, ".log")[0] == first && !names(&disk, ".index").is_empty()
        });
        Expected(&stored).check(&store).unwrap();
        drop(store);
        let store = open(&disk, &config).unwrap();
        Expected(&stored).check(&store).unwrap();
    }
}

/// The log begins after the file, on disk as well: newer segments are removed although the oldest
/// one stays, through kills and power cuts, and dropped events do not come back.
#[test]
fn an_old_file_that_stays_does_not_let_the_folder_grow_without_bound() {
    for seed in seeds(4) {
        let _running = Running(seed);
        let mut disk = SimulatedDisk::new(seed);
        let config = small(60 << 10);
        let (mut dice, mut stored) = (Dice(seed), Vec::new());
        for _ in 0..4 {
            disk.set_trouble(Trouble::OldestStays);
            let store = open(&disk, &config).unwrap();
            more(&store, &mut dice, &mut stored, 400);
            Expected(&stored).check(&store).unwrap();
            // The oldest, the kept ones, and at most two whose removal waits for the next attempt.
            let kept = (60 << 10) / (16 << 10);
            eventually(|| names(&disk, ".log").len() <= kept + 3);
            let first = store.bounds().first;
            let after = if dice.one_in(2) { disk.after_kill() } else { disk.after_power_cut() };
            after.set_trouble(Trouble::OldestStays);
            let store = open(&after, &config).unwrap();
            assert!(store.bounds().first > Position::new(1), "{first} before");
            Expected(&stored).check(&store).unwrap();
            drop(store);
            disk = after;
        }
        disk.set_trouble(Trouble::None);
        let store = open(&disk, &config).unwrap();
        eventually(|| !names(&disk, ".log").contains(&crate::segment::log_name(Position::new(1))));
        Expected(&stored).check(&store).unwrap();
    }
}

fn names(disk: &SimulatedDisk, ending: &str) -> Vec<String> {
    disk.names().unwrap().into_iter().filter(|name| name.ends_with(ending)).collect()
}

fn eventually(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "the condition never holds");
        std::thread::sleep(Duration::from_millis(5));
    }
}
