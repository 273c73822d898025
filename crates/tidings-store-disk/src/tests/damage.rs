use std::collections::BTreeMap;

use super::*;
use crate::Durability;
use crate::disk::Disk as _;
use tidings_hub::{CheckError, Fate, Repeats};

/// A log of several segments, closed cleanly.
fn some_log(seed: u64) -> (SimulatedDisk, Vec<Draft>) {
    some_log_with(seed, &small(u64::MAX))
}

fn some_log_with(seed: u64, config: &DiskConfig) -> (SimulatedDisk, Vec<Draft>) {
    let disk = SimulatedDisk::new(seed);
    let store = open(&disk, config).unwrap();
    let mut dice = Dice(seed);
    let mut drafts = Vec::new();
    while drafts.len() < 400 {
        let next = drafts.len() as u64 + 1;
        let count = 1 + dice.below(8);
        let batch: Vec<_> = (next..next + count).map(|n| some_draft(&mut dice, n)).collect();
        store.append(batch.clone(), at(next / 10)).unwrap();
        drafts.extend(batch);
    }
    drop(store);
    (disk, drafts)
}

fn names(disk: &SimulatedDisk, ending: &str) -> Vec<String> {
    disk.names().unwrap().into_iter().filter(|name| name.ends_with(ending)).collect()
}

/// Whichever byte of whichever file is changed, every answer is right or is an error that names a
/// file.
#[test]
fn a_changed_byte_never_makes_a_wrong_answer() {
    let (disk, drafts) = some_log(7);
    let mut dice = Dice(7);
    let mut outcomes = BTreeMap::<&str, u32>::new();
    for round in 0..600 {
        let disk = disk.after_kill();
        let names = disk.names().unwrap();
        let name = &names[dice.below(names.len() as u64) as usize];
        let byte = dice.below(disk.length(name) as u64) as usize;
        disk.flip(name, byte, 1 << dice.below(8));
        eprintln!("round {round}: byte {byte} of {name}");
        let outcome = match open(&disk, &small(u64::MAX)) {
            Err(error) => {
                assert!(error.to_string().contains("/simulated/"), "{error}");
                "refused to open"
            }
            Ok(store) => match Expected(&drafts).check(&store) {
                Ok(()) => "all right",
                Err(error) => {
                    let reason = with_causes(&error);
                    assert!(reason.contains("/simulated/"), "{reason}");
                    "refused to read"
                }
            },
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    eprintln!("{outcomes:?}");
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
}

#[test]
fn a_missing_segment_is_named() {
    let (disk, _) = some_log(1);
    for name in names(&disk, ".log") {
        let disk = disk.after_kill();
        disk.remove(&name).unwrap();
        let opened = open(&disk, &small(u64::MAX));
        if name == crate::segment::log_name(Position::new(1)) {
            // That is what retention does too.
            assert!(opened.unwrap().bounds().first > Position::new(1));
            continue;
        }
        let Err(OpenError::Damaged { path, what }) = opened else {
            panic!("{name} is missing, and the store does not notice");
        };
        assert!(path.to_string_lossy().ends_with(".log"), "{path:?}");
        assert!(what.contains(&name[..20]) || what.contains("segment"), "{what}");
    }
}

#[test]
fn a_cut_segment_is_named() {
    let (disk, _) = some_log(2);
    let name = names(&disk, ".log").remove(1);
    let length = disk.length(&name);
    disk.open(&name).unwrap().set_len(length as u64 - 100).unwrap();
    let error = open(&disk, &small(u64::MAX)).err().unwrap();
    assert!(error.to_string().contains(&name), "{error}");
    assert!(error.hint().contains("restore"), "{}", error.hint());
}

#[test]
fn a_missing_index_is_rebuilt() {
    let (disk, drafts) = some_log(3);
    for name in names(&disk, ".index") {
        disk.remove(&name).unwrap();
    }
    drop(open(&disk, &small(u64::MAX)).unwrap());
    assert!(!names(&disk, ".index").is_empty());
    Expected(&drafts).check(&open(&disk, &small(u64::MAX)).unwrap()).unwrap();
}

#[test]
fn a_log_without_its_format_file_is_not_taken_for_a_new_one() {
    let (disk, _) = some_log(4);
    disk.remove("format").unwrap();
    let error = open(&disk, &small(u64::MAX)).err().unwrap();
    assert!(matches!(&error, OpenError::Damaged { path, .. } if path.ends_with("format")));
}

#[test]
fn a_newer_format_is_left_alone() {
    let (disk, drafts) = some_log(5);
    let before = disk.after_kill();
    disk.open("format").unwrap().write_at(b"tidings log\nformat 3\n", 0).unwrap();
    let error = open(&disk, &small(u64::MAX)).err().unwrap();
    assert!(matches!(&error, OpenError::UnknownFormat { found, .. } if found == "`format 3`"));
    assert_eq!(before.names().unwrap(), disk.names().unwrap());
    Expected(&drafts).check(&open(&before, &small(u64::MAX)).unwrap()).unwrap();
}

#[test]
fn a_segment_of_another_log_is_not_accepted() {
    let (disk, _) = some_log(6);
    let (other, _) = some_log(7);
    let name = names(&disk, ".log").remove(1);
    let foreign = other.open(&names(&other, ".log")[1]).unwrap();
    let mut bytes = vec![0; foreign.len().unwrap() as usize];
    foreign.read_at(&mut bytes, 0).unwrap();
    let ours = disk.open(&name).unwrap();
    ours.set_len(0).unwrap();
    ours.write_at(&bytes, 0).unwrap();
    let error = open(&disk, &small(u64::MAX)).err().unwrap().to_string();
    assert!(error.contains("another log"), "{error}");
}

fn not_synced() -> DiskConfig {
    DiskConfig { durability: Durability::Os, ..small(u64::MAX) }
}

/// The log is closed, so it was synced, whatever its durability.
#[test]
fn a_flipped_bit_in_a_closed_log_without_fsync_is_an_error_and_cuts_nothing() {
    let (disk, _) = some_log_with(8, &not_synced());
    let newest = names(&disk, ".log").pop().unwrap();
    for run in ["the same", "another"] {
        let disk = if run == "the same" { disk.after_kill() } else { disk.after_power_cut() };
        let length = disk.length(&newest);
        disk.flip(&newest, length / 2, 1);
        let error = open(&disk, &not_synced()).err().unwrap();
        assert!(matches!(&error, OpenError::Damaged { what, .. } if what.contains("later ones")));
        assert!(error.hint().contains("restore"), "{}", error.hint());
        assert_eq!(disk.length(&newest), length, "nothing is cut");
    }
}

/// As long as the machine runs, everything written is there, in the order in which it was written.
#[test]
fn commits_after_a_flipped_bit_are_an_error_after_a_kill_and_cut_after_a_power_cut() {
    let (disk, drafts) = killed_log(9, &not_synced());
    let newest = names(&disk, ".log").pop().unwrap();
    let middle = disk.last_byte(&newest) / 2;

    let killed = disk.after_kill();
    killed.flip(&newest, middle, 1);
    assert!(matches!(open(&killed, &not_synced()), Err(OpenError::Damaged { .. })));

    let (epoch, former) = name_of(&disk);
    assert!(former.is_empty());
    let cut = disk.after_power_cut();
    if cut.last_byte(&newest) > middle {
        cut.flip(&newest, middle, 1);
    }
    let store = open(&cut, &not_synced()).unwrap();
    let head = store.bounds().head;
    Expected(&drafts[..head.get() as usize]).check(&store).unwrap();
    assert_ne!(store.identity().epoch, epoch);
    assert_eq!(store.identity().former[0].epoch, epoch);
    assert_eq!(store.identity().former[0].upto, head);
    // The lost event's position now has another event, and its old id is not taken for that one.
    store.append(vec![some_draft(&mut Dice(1), 0)], at(1_000_000)).unwrap();
    let lost = head.next().event_id(epoch);
    assert_eq!(store.identity().mark_of(lost.as_str()), None);
    let kept = head.event_id(epoch);
    assert_eq!(store.identity().mark_of(kept.as_str()), Some(head.into()));
    drop(store);

    // And so it stays: when it is reopened, all segments have the new name.
    let store = open(&cut, &not_synced()).unwrap();
    assert_eq!(store.identity().former.len(), 1);
    assert_eq!(store.bounds().head, head.next());
}

#[test]
fn a_torn_end_without_fsync_gives_the_log_a_new_name_and_a_kill_alone_does_not() {
    let (disk, drafts) = killed_log(10, &not_synced());
    let (epoch, _) = name_of(&disk);
    let store = open(&disk.after_kill(), &not_synced()).unwrap();
    assert_eq!((store.identity().epoch, store.bounds().head.get()), (epoch, drafts.len() as u64));

    // The last acknowledged append is damaged: nothing distinguishes it from one that was never
    // acknowledged.
    let disk = disk.after_kill();
    let newest = names(&disk, ".log").pop().unwrap();
    let end = disk.last_byte(&newest);
    disk.flip(&newest, end, 1);
    let store = open(&disk, &not_synced()).unwrap();
    let head = store.bounds().head;
    assert!(head.get() < drafts.len() as u64);
    assert_ne!(store.identity().epoch, epoch);
    assert_eq!(store.identity().mark_of(head.next().event_id(epoch).as_str()), None);
}

/// Nothing is torn: the operating system just had not written out the end.
#[test]
fn a_power_cut_without_fsync_gives_the_log_a_new_name_even_if_it_left_no_trace() {
    let (disk, _) = killed_log(11, &not_synced());
    let (epoch, _) = name_of(&disk);
    let disk = disk.after_kill();
    disk.next_run();
    let store = open(&disk, &not_synced()).unwrap();
    assert_ne!(store.identity().epoch, epoch);
    drop(store);
    // It was closed: nothing can be lost.
    let (epoch, _) = name_of(&disk);
    disk.next_run();
    assert_eq!(open(&disk, &not_synced()).unwrap().identity().epoch, epoch);
}

#[test]
fn a_log_continued_without_fsync_no_longer_counts_as_synced() {
    let (disk, _) = killed_log(12, &small(u64::MAX));
    let epoch = open(&disk, &small(u64::MAX)).unwrap().identity().epoch;
    let store = open(&disk, &not_synced()).unwrap();
    store.append(vec![some_draft(&mut Dice(1), 0)], at(1_000_000)).unwrap();
    std::mem::forget(store);
    let store = open(&disk.after_power_cut(), &not_synced()).unwrap();
    assert_ne!(store.identity().epoch, epoch);
}

/// A log whose process was killed.
fn killed_log(seed: u64, config: &DiskConfig) -> (SimulatedDisk, Vec<Draft>) {
    let disk = SimulatedDisk::new(seed);
    let store = open(&disk, config).unwrap();
    let mut dice = Dice(seed);
    let drafts: Vec<_> = (1..60).map(|n| some_draft(&mut dice, n)).collect();
    for draft in &drafts {
        store.append(vec![draft.clone()], at(1)).unwrap();
    }
    let killed = disk.after_kill();
    drop(store);
    (killed, drafts)
}

/// The log's present and former names.
fn name_of(disk: &SimulatedDisk) -> (tidings_hub::Epoch, Vec<tidings_hub::FormerName>) {
    let mut text = vec![0; disk.length("format")];
    disk.open("format").unwrap().read_at(&mut text, 0).unwrap();
    let name = crate::log_identity::LogName::parse(&String::from_utf8(text).unwrap()).unwrap();
    (name.epoch, name.former)
}

/// An index is derived. Whichever byte of one is changed while the log is open, every answer is
/// right, events are taken, and the file is rewritten.
#[test]
fn a_damaged_index_is_rebuilt_without_an_interruption() {
    let (disk, mut drafts) = some_log(13);
    let mut dice = Dice(13);
    for round in 0..40 {
        let disk = disk.after_kill();
        let store = open(&disk, &small(u64::MAX)).unwrap();
        for name in names(&disk, ".index") {
            for page in (0..disk.length(&name)).step_by(4096) {
                disk.flip(&name, page + dice.below(4092) as usize, 1 << dice.below(8));
            }
        }
        let known = drafts.iter().position(|draft| draft.id.is_some()).unwrap();
        let mut repeat = drafts[known].clone();
        repeat.once = true;
        let fates = Repeats::new().check(&store, &[repeat]).unwrap();
        let there = Position::new(known as u64 + 1);
        assert_eq!(fates, [Fate::Repeats(there)], "round {round}");
        let other = some_draft(&mut dice, 1_000_000);
        store.append(vec![other.clone()], at(1_000_000)).unwrap();
        drafts.push(other);
        Expected(&drafts).check(&store).unwrap();
        assert!(store.health().failure.is_none());
        drop(store);
        let store = open(&disk, &small(u64::MAX)).unwrap();
        Expected(&drafts).check(&store).unwrap();
        drafts.pop();
    }
}

/// Then nothing can tell whether an id is there: an event that needs to know is rejected, and other
/// publishing continues.
#[test]
fn a_segment_that_is_damaged_with_its_index_does_not_stop_publishing() {
    let (disk, drafts) = some_log(14);
    let store = open(&disk, &small(u64::MAX)).unwrap();
    let first = names(&disk, ".index").remove(0);
    for page in (0..disk.length(&first)).step_by(4096) {
        disk.flip(&first, page, 1);
    }
    disk.flip(&names(&disk, ".log")[0], 200, 1);
    let mut repeat = drafts.iter().find(|draft| draft.id.is_some()).unwrap().clone();
    repeat.once = true;
    let asked = Repeats::new().check(&store, &[repeat]).map(drop);
    assert!(matches!(asked, Err(CheckError::Read(ReadError::Damaged { .. }))), "{asked:?}");
    store.append(vec![some_draft(&mut Dice(14), 1_000_000)], at(1_000_000)).unwrap();
    assert!(store.health().failure.is_none());
    let id = drafts.iter().find_map(|draft| draft.id.as_ref()).unwrap();
    assert!(matches!(store.catalog().find(id, &[Matcher::All]), Err(ReadError::Damaged { .. })));
}
