//! Folders whose indexes were written by a version before the format of today. Format 2 of the
//! index had neither the bytes of a topic nor the place of its oldest record.

use super::*;
use crate::disk::Disk as _;
use crate::disk::simulated::Trouble;

const PAGE: usize = 4096;

#[test]
fn a_log_of_segments_is_whole() {
    let (disk, config) = (SimulatedDisk::new(1), small(u64::MAX));
    let drafts = publish(&disk, &config, true);
    reopen_with_older_indexes(&disk, &config, &drafts, ".index");
}

#[test]
fn a_log_of_runs_with_keys_is_whole() {
    let (disk, config) = (SimulatedDisk::new(2), rules::with_rules(rules::age_of_an_hour()));
    let drafts = publish(&disk, &config, true);
    reopen_with_older_indexes(&disk, &config, &drafts, ".runx");
}

#[test]
fn a_log_of_runs_without_keys_is_whole() {
    let (disk, config) = (SimulatedDisk::new(3), rules::with_rules(rules::age_of_an_hour()));
    let drafts = publish(&disk, &config, false);
    reopen_with_older_indexes(&disk, &config, &drafts, ".runx");
}

/// A log of several files, and what was published to it.
fn publish(disk: &SimulatedDisk, config: &DiskConfig, has_keys: bool) -> Vec<Draft> {
    let store = open(disk, config).unwrap();
    let mut dice = Dice(9);
    let mut drafts: Vec<_> = (1..=400).map(|n| some_draft(&mut dice, n)).collect();
    for draft in drafts.iter_mut().filter(|_| !has_keys) {
        if draft.key.take().is_some() {
            draft.kind = Kind::Event;
        }
    }
    for batch in drafts.chunks(8) {
        store.append(batch.to_vec(), at(1)).unwrap();
    }
    rules::keep(&store);
    drafts
}

fn reopen_with_older_indexes(
    disk: &SimulatedDisk,
    config: &DiskConfig,
    drafts: &[Draft],
    ending: &str,
) {
    let is_index = |name: &String| name.ends_with(".index") || name.ends_with(".runx");
    let contents = || disk.contents().into_iter().filter(|(name, _)| is_index(name));
    let as_made: Vec<_> = contents().collect();
    assert!(as_made.iter().any(|(name, _)| name.ends_with(ending)), "there is no {ending}");
    for (name, mut content) in contents() {
        // The footer is in the last page, which ends with its checksum.
        let page = content.len() - PAGE;
        content[page + 8..page + 12].copy_from_slice(&2u32.to_le_bytes());
        let checksum = crc32fast::hash(&content[page..page + PAGE - 4]);
        content[page + PAGE - 4..].copy_from_slice(&checksum.to_le_bytes());
        disk.open(&name).unwrap().write_at(&content, 0).unwrap();
    }
    // A power cut on the way leaves indexes of both formats.
    for steps in [5, 9, 20, u64::MAX] {
        let disk = disk.after_kill();
        disk.set_trouble(Trouble::StopsAfter(steps));
        drop(open(&disk, config));
        let disk = disk.after_power_cut();
        let store = open(&disk, config).unwrap();
        Expected(drafts).check(&store).unwrap();
        drop(store);
        let made: Vec<_> = disk.contents().into_iter().filter(|(name, _)| is_index(name)).collect();
        assert!(made == as_made, "the indexes are not what they were");
    }
}
