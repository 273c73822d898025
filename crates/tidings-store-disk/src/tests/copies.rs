//! Copies of logs that are held elsewhere.

use super::*;
use crate::copy;
use tidings_hub::{Check, Epoch, LogIdentity};

/// A disk with an empty copy whose first record will be at `first`.
fn copy_from(seed: u64, first: u64) -> SimulatedDisk {
    let disk = SimulatedDisk::new(seed);
    create(&disk, first);
    disk
}

fn create(disk: &SimulatedDisk, first: u64) {
    copy::create(disk, &config(), &identity(7), Position::new(first)).unwrap();
}

fn open_copy(disk: &SimulatedDisk) -> Result<DiskStore, OpenError> {
    DiskStore::open_on(Arc::new(disk.clone()), config(), None, Role::Copy)
}

fn config() -> DiskConfig {
    DiskConfig { durability: crate::Durability::Os, ..small(1 << 30) }
}

fn identity(random: u64) -> LogIdentity {
    LogIdentity::new(Epoch::from_random(random))
}

fn check(position: u64) -> Check {
    Check::new(position as u32 * 7919)
}

/// Follows a log of appends of `sizes` records from `first` on.
fn follow(store: &DiskStore, first: u64, sizes: &[u64]) {
    let mut next = first;
    for size in sizes {
        let mut dice = Dice(next);
        let records = (next..next + size).map(|n| (some_draft(&mut dice, n), check(n)));
        store.follow(Position::new(next), at(next * 10), records.collect()).unwrap();
        next += size;
    }
}

/// The positions, times and checks of all records, each as it must be.
fn see_all(store: &DiskStore, first: u64, head: u64) {
    let bounds = store.bounds();
    assert_eq!((bounds.first, bounds.head), (Position::new(first), Position::new(head)));
    let all = read_all(store, None).unwrap();
    assert_eq!(all.len() as u64, head + 1 - first);
    for (record, n) in all.iter().zip(first..) {
        assert_eq!(record.position(), Position::new(n));
        assert_eq!(record.mark().check, Some(check(n)));
        assert!(record.data.starts_with(&format!("{n}:")));
    }
}

#[test]
fn a_copy_begins_anywhere_and_keeps_the_checks_and_times_of_its_log() {
    let disk = copy_from(1, 500);
    let store = open_copy(&disk).unwrap();
    let bounds = store.bounds();
    assert_eq!((bounds.first, bounds.head), (Position::new(500), Position::new(499)));
    follow(&store, 500, &[1, 7, 60, 200, 1, 90]);
    see_all(&store, 500, 858);
    drop(store);
    // Nothing is in memory now.
    let store = open_copy(&disk).unwrap();
    see_all(&store, 500, 858);
    assert_eq!(store.identity(), &identity(7));
    assert_eq!(store.catalog().seek_time(at(5_081)).unwrap(), Position::new(567));
}

#[test]
fn a_copy_takes_only_what_comes_next() {
    let store = open_copy(&copy_from(2, 500)).unwrap();
    follow(&store, 500, &[3]);
    for (first, time) in [(502, 9_000), (504, 9_000), (503, 4_999)] {
        let records = vec![(some_draft(&mut Dice(1), 1), check(1))];
        let followed = store.follow(Position::new(first), at(time), records);
        assert!(matches!(followed, Err(AppendError::Damaged { .. })), "{first}");
    }
    follow(&store, 503, &[2]);
    see_all(&store, 500, 504);
}

#[test]
fn a_copy_keeps_its_name_after_a_power_cut() {
    for seed in seeds(50) {
        let _running = Running(seed);
        let disk = copy_from(seed, 1);
        let store = open_copy(&disk).unwrap();
        follow(&store, 1, &[20; 30]);
        // What the disk lost is copied again; if it is damaged, all of it.
        let after = disk.after_power_cut();
        let Ok(store) = open_copy(&after) else { continue };
        assert_eq!(store.identity(), &identity(7));
        let head = store.bounds().head.get();
        assert_eq!(head % 20, 0, "appends are whole");
        follow(&store, head + 1, &[5]);
        see_all(&store, 1, head + 5);
    }
}

#[test]
fn a_copy_is_cut_after_any_append_and_continues_from_there() {
    // Several segments, and one append that begins each.
    let sizes: Vec<u64> = (0..40).map(|n| n % 7 * 9 + 1).collect();
    let mut upto = 0;
    for (n, size) in std::iter::once(&0).chain(&sizes).enumerate() {
        upto += size;
        let disk = copy_from(3, 1);
        let store = open_copy(&disk).unwrap();
        follow(&store, 1, &sizes);
        assert!(store.shared.read_state().sealed.len() > 3);
        drop(store);
        copy::cut(&disk, &config(), Position::new(upto), &identity(8)).unwrap();
        let store = open_copy(&disk).unwrap();
        assert_eq!(store.identity(), &identity(8), "after {n} appends");
        see_all(&store, 1, upto);
        follow(&store, upto + 1, &[3, 100]);
        drop(store);
        see_all(&open_copy(&disk).unwrap(), 1, upto + 103);
    }
}

#[test]
fn a_copy_is_not_cut_inside_an_append_or_beyond_its_ends() {
    let disk = copy_from(4, 10);
    let store = open_copy(&disk).unwrap();
    follow(&store, 10, &[5, 5]);
    drop(store);
    for upto in [8, 11, 18, 20] {
        let cut = copy::cut(&disk, &config(), Position::new(upto), &identity(8));
        assert!(matches!(cut, Err(OpenError::Damaged { .. })), "{upto}");
    }
    let store = open_copy(&disk).unwrap();
    assert_eq!(store.identity(), &identity(7), "nothing was changed");
    see_all(&store, 10, 19);
}

#[test]
fn a_new_copy_replaces_an_old_one_but_no_log_of_its_own() {
    let disk = copy_from(5, 1);
    let store = open_copy(&disk).unwrap();
    follow(&store, 1, &[50; 10]);
    drop(store);
    create(&disk, 900);
    let store = open_copy(&disk).unwrap();
    follow(&store, 900, &[4]);
    see_all(&store, 900, 903);
    drop(store);
    assert!(matches!(open(&disk, &config()), Err(OpenError::IsCopy { .. })));

    let disk = SimulatedDisk::new(6);
    drop(open(&disk, &config()).unwrap());
    assert!(matches!(open_copy(&disk), Err(OpenError::NotACopy { .. })));
    let created = copy::create(&disk, &config(), &identity(7), Position::new(1));
    assert!(matches!(created, Err(OpenError::NotACopy { .. })));
    assert!(matches!(
        copy::cut(&disk, &config(), Position::ZERO, &identity(7)),
        Err(OpenError::NotACopy { .. })
    ));
    drop(open(&disk, &config()).unwrap());
}
