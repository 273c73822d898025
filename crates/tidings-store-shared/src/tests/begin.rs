//! What a hub without a copy that can be used begins with, where rules promise events that the log
//! may have had.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use tidings_hub::{Draft, Log as _, Matcher, Position, ReadQuery, Timestamp, Topic};
use tidings_store_disk::{DiskConfig, DiskStore, Promise, Rule};

use super::erase::copy;
use super::memory_journal::MemoryJournal;
use crate::test_folder::TestFolder;
use crate::{
    AppendFault, Journal, JournalError, Nonce, OpenError, Seq, SeqBounds, SharedConfig, SharedStore,
};

#[test]
fn a_hub_with_an_empty_folder_begins_with_a_whole_log_only() {
    let world = World::new();
    let one = world.open("one").unwrap();
    publish(&one, 1..=9);
    assert_eq!(data(&world.open("two").unwrap()), data(&one), "the log is whole");
    world.journal.drop_oldest(4);
    let refused = world.open("three").unwrap_err();
    assert!(
        matches!(refused, OpenError::BeginningLost { first, .. } if first == Position::new(4)),
        "{refused}"
    );
    // Nothing is there that a later start would take for a log that was followed.
    assert_eq!(files(&world.path("three")), ["lock"]);
    // What no rule promises, and what the operator accepts.
    assert_eq!(data(&world.open_without_promise("four").unwrap()), data(&one)[3..]);
    assert_eq!(data(&world.open_with_gaps("three").unwrap()), data(&one)[3..]);
    // From now on it has a copy.
    publish(&one, 10..=11);
    assert_eq!(data(&world.open("three").unwrap()), data(&one)[3..]);
}

#[test]
fn a_refused_start_of_a_hub_that_was_away_too_long_changes_nothing() {
    let world = World::new();
    let one = world.open("one").unwrap();
    publish(&one, 1..=4);
    drop(world.open("two").unwrap());
    publish(&one, 5..=9);
    world.journal.drop_oldest(8);
    world.see_refused_and_unchanged("two", &["1", "2", "3", "4"]);
    // A copy of a hub that runs is what it can begin with.
    drop(one);
    fs::remove_dir_all(world.path("two")).unwrap();
    copy(&world.path("one"), &world.path("two"));
    assert_eq!(data(&world.open("two").unwrap()).len(), 9);
}

#[test]
fn a_refused_start_of_a_hub_whose_copy_is_damaged_leaves_it_to_be_looked_at() {
    let world = World::new();
    let one = world.open("one").unwrap();
    publish(&one, 1..=9);
    world.journal.drop_oldest(4);
    drop(one);
    let name = world.path("one").join("log/format");
    let text = fs::read(&name).unwrap();
    fs::write(&name, "tidings log\nformat 999\n").unwrap();
    for _ in 0..2 {
        assert!(matches!(world.open("one"), Err(OpenError::BeginningLost { .. })));
    }
    // If it can be mended by hand, it is as good as before.
    fs::write(&name, text).unwrap();
    assert_eq!(data(&world.open("one").unwrap()).len(), 9);
    fs::write(&name, "tidings log\nformat 999\n").unwrap();
    assert_eq!(data(&world.open_with_gaps("one").unwrap()).len(), 6);
}

#[test]
fn a_refused_start_of_a_hub_whose_copy_parted_from_all_that_the_log_has_changes_nothing() {
    let world = World::new();
    let [one, two] = ["one", "two"].map(|name| world.open(name).unwrap());
    publish(&one, 1..=4);
    two.follow(&mut world.journal.clone());
    drop(two);
    // The log loses its end, goes on, and drops all that the hub could recognise it by.
    world.journal.lose_after(3);
    drop(one);
    fs::remove_dir_all(world.path("one")).unwrap();
    let one = world.open("one").unwrap();
    publish(&one, 5..=9);
    world.journal.drop_oldest(6);
    world.see_refused_and_unchanged("two", &["1", "2", "3", "4"]);
    assert_eq!(data(&world.open_with_gaps("two").unwrap()), ["8", "9"]);
}

#[test]
fn a_refused_start_of_a_hub_whose_copy_cannot_be_cut_leaves_what_it_keeps() {
    let world = World::new();
    let one = world.open("one").unwrap();
    publish(&one, 1..=300);
    // Two rounds: what the first one sees settled, the second one sorts.
    for time in [1, 2, 3].map(|n| n * 100_000_000) {
        one.follow(&mut world.journal.clone());
        one.retain(Timestamp::from_millis(time)).unwrap();
        one.wait_for_background();
        one.keep();
    }
    assert!(one.sorted_upto() > Position::new(150));
    world.journal.drop_oldest(20);
    world.journal.lose_after(150);
    one.follow(&mut world.journal.clone());
    assert!(one.halt().is_some());
    drop(one);
    for _ in 0..2 {
        assert!(matches!(world.open("one"), Err(OpenError::BeginningLost { .. })));
    }
    // The operator can get at it.
    let alone = world.path("alone");
    tidings_store_disk::restore(&world.path("one/log"), &alone).unwrap();
    let log = DiskStore::open(DiskConfig::new(alone)).unwrap();
    let page = log.read(&ReadQuery::one(Position::new(7))).unwrap();
    assert_eq!(&*page.records[0].data, "7");
}

/// Nothing follows from a block that a read does not show: the read can be from the past.
#[test]
fn a_hub_whose_copy_parted_late_is_not_refused_whichever_read_is_from_the_past() {
    for read in 0..12 {
        let world = World::new();
        let [one, two] = ["one", "two"].map(|name| world.open(name).unwrap());
        publish(&one, 1..=6);
        two.follow(&mut world.journal.clone());
        drop(two);
        drop(one);
        // The log loses the last of seven blocks and goes on. What it had before is dropped, but
        // for the newest block that it has in common with the hub's copy.
        world.journal.lose_after(6);
        fs::remove_dir_all(world.path("one")).unwrap();
        let one = world.open("one").unwrap();
        publish(&one, 7..=8);
        world.journal.drop_oldest(5);
        let past = Past { journal: world.journal.clone(), now: 0, at: read };
        let opened = SharedStore::open(world.config("two"), Box::new(past));
        drop(opened.unwrap_or_else(|error| panic!("read {read} is from the past: {error}")));
        assert_eq!(data(&world.open("two").unwrap()), ["1", "2", "3", "4", "5", "7", "8"]);
    }
}

/// A log that was put back shows nothing where the hub's oldest block was, and will not for long.
#[test]
fn a_hub_whose_copy_begins_after_all_that_the_log_has_begins_again() {
    let world = World::new();
    let one = world.open("one").unwrap();
    publish(&one, 1..=9);
    world.journal.drop_oldest(7);
    assert_eq!(data(&world.open_with_gaps("two").unwrap()), ["7", "8", "9"]);
    drop(one);
    world.journal.put_back(4);
    assert_eq!(data(&world.open("two").unwrap()), ["1", "2", "3"]);
}

/// A log, and folders for hubs.
struct World {
    journal: MemoryJournal,
    folder: TestFolder,
}

impl World {
    fn new() -> Self {
        Self { journal: MemoryJournal::default(), folder: TestFolder::new() }
    }

    fn path(&self, hub: &str) -> PathBuf {
        self.folder.path().join(hub)
    }

    fn config(&self, hub: &str) -> SharedConfig {
        let rule = Rule {
            name: "kept".into(),
            topics: vec![Matcher::All],
            age: None,
            bytes: None,
            promise: Some(Promise::Last(NonZeroU32::MIN)),
        };
        SharedConfig {
            create: true,
            trim_interval: Duration::ZERO,
            cache: DiskConfig {
                rules: vec![rule],
                segment_bytes: Some(2 << 10),
                hot_bytes: Some(4 << 10),
                ..DiskConfig::new("")
            },
            ..SharedConfig::new(self.path(hub))
        }
    }

    fn open_as(&self, config: SharedConfig) -> Result<SharedStore, OpenError> {
        SharedStore::open(config, Box::new(self.journal.clone()))
    }

    fn open(&self, hub: &str) -> Result<SharedStore, OpenError> {
        self.open_as(self.config(hub))
    }

    fn open_with_gaps(&self, hub: &str) -> Result<SharedStore, OpenError> {
        self.open_as(SharedConfig { allow_gaps: true, ..self.config(hub) })
    }

    fn open_without_promise(&self, hub: &str) -> Result<SharedStore, OpenError> {
        let mut config = self.config(hub);
        config.cache.rules[0].promise = None;
        self.open_as(config)
    }

    /// A start is refused, twice, and the copy has what it had.
    fn see_refused_and_unchanged(&self, hub: &str, had: &[&str]) {
        for _ in 0..2 {
            let refused = self.open(hub).unwrap_err();
            assert!(matches!(refused, OpenError::BeginningLost { .. }), "{refused}");
            assert!(refused.hint().contains("tidings backup"), "{}", refused.hint());
        }
        assert!(self.path(hub).join("origin").exists());
        // With the log away it serves what it has.
        let away = SharedStore::open(self.config(hub), Box::new(Away)).unwrap();
        assert_eq!(data(&away), had);
    }
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn publish(store: &SharedStore, numbers: std::ops::RangeInclusive<u64>) {
    for n in numbers {
        let draft = Draft::new(Topic::new(format!("a/{n}")).unwrap(), n.to_string());
        let append = || store.append(vec![draft.clone()], Timestamp::from_millis(1));
        append().or_else(|_| append()).unwrap();
    }
}

fn data(store: &SharedStore) -> Vec<String> {
    let after = store.bounds().first.previous();
    let page = store.read(&ReadQuery { after, ..ReadQuery::everything() }).unwrap();
    page.records.iter().map(|record| record.data.to_string()).collect()
}

/// A journal of which one read is answered from a state in which nothing came after.
struct Past {
    journal: MemoryJournal,
    /// Number of reads so far.
    now: usize,
    /// Number of the one that is from the past.
    at: usize,
}

impl Journal for Past {
    fn create(&mut self) -> Result<(), JournalError> {
        self.journal.create()
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        self.journal.bounds()
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault> {
        self.journal.append(after, nonce, block, patience)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.now += 1;
        let is_past = self.now == self.at + 1;
        if is_past { Ok(Vec::new()) } else { self.journal.read(after, bytes_max) }
    }

    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError> {
        self.journal.wait(after, timeout)
    }

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        self.journal.trim(before)
    }

    fn bytes(&mut self) -> Result<u64, JournalError> {
        self.journal.bytes()
    }

    fn block_bytes_max(&self) -> usize {
        self.journal.block_bytes_max()
    }
}

/// A journal that does not answer.
struct Away;

fn away<T>() -> Result<T, JournalError> {
    Err(JournalError::away(std::io::Error::other("it does not answer")))
}

impl Journal for Away {
    fn create(&mut self) -> Result<(), JournalError> {
        away()
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        away()
    }

    fn append(&mut self, _: Seq, _: Nonce, _: &[u8], _: Duration) -> Result<Seq, AppendFault> {
        away().map_err(AppendFault::NotStored)
    }

    fn read(&mut self, _: Seq, _: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        away()
    }

    fn wait(&mut self, _: Seq, _: Duration) -> Result<(), JournalError> {
        away()
    }

    fn trim(&mut self, _: Seq) -> Result<(), JournalError> {
        away()
    }

    fn bytes(&mut self) -> Result<u64, JournalError> {
        away()
    }

    fn block_bytes_max(&self) -> usize {
        1 << 20
    }
}
