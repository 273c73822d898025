use std::collections::BTreeMap;

use super::*;
use crate::disk::Disk as _;

/// A log of several segments, closed in good order.
fn some_log(seed: u64) -> (SimulatedDisk, Vec<Draft>) {
    let disk = SimulatedDisk::new(seed);
    let store = open(&disk, &small(u64::MAX)).unwrap();
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

/// Whatever byte of whatever file is changed: every answer is right, or an error that names a file.
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
                    assert!(error.to_string().contains("/simulated/"), "{error}");
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
            panic!("{name} is missing, and nobody notices");
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
fn an_index_that_is_missing_is_made_again() {
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
    disk.open("format").unwrap().write_at(b"tidings log\nformat 2\n", 0).unwrap();
    let error = open(&disk, &small(u64::MAX)).err().unwrap();
    assert!(matches!(&error, OpenError::UnknownFormat { found, .. } if found == "`format 2`"));
    assert_eq!(before.names().unwrap(), disk.names().unwrap());
    Expected(&drafts).check(&open(&before, &small(u64::MAX)).unwrap()).unwrap();
}

#[test]
fn a_segment_of_another_log_is_not_taken_in() {
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
