#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use tidings_hub::{
    Draft, Interest, Log, Matcher, Outcome, ReadQuery, ResetReason, Resolved, Start, Timestamp,
    Topic,
};

use super::*;
use crate::{DiskStore, Promise, Rule, backup};

/// A folder for the folders of one test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir();
        let path = path.join(format!("tidings-restore-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn open(&self, name: &str) -> DiskStore {
        let config = DiskConfig { segment_bytes: Some(4096), ..DiskConfig::new(self.at(name)) };
        DiskStore::open(config).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn publish(store: &DiskStore, count: u64) {
    for _ in 0..count {
        let head = store.bounds().head.next();
        let draft = Draft::new(Topic::new("t").unwrap(), format!("{head}:{}", "x".repeat(200)));
        store.append(vec![draft], Timestamp::from_millis(head.get())).unwrap();
    }
}

fn data(store: &DiskStore, after: u64, upto: u64) -> Vec<String> {
    let (after, upto) = (Position::new(after), Position::new(upto));
    let all = ReadQuery { after, upto, ..ReadQuery::everything() };
    let page = store.read(&all).unwrap();
    page.records.iter().map(|record| record.data.to_string()).collect()
}

fn resolve(store: &DiskStore, id: &str) -> Resolved {
    Start::After(id.to_owned()).resolve(store, &Interest::everything()).unwrap()
}

#[test]
fn a_restored_log_resumes_ids_of_the_backup_and_resets_later_ones() {
    let place = Place::new();
    let original = place.open("original");
    publish(&original, 100);
    backup(&place.at("original"), &place.at("copy")).unwrap();
    publish(&original, 50);
    let old = original.identity().epoch;
    let before = data(&original, 0, 100);

    let restored = restore(&place.at("copy"), &place.at("log")).unwrap();
    assert_eq!((restored.former, restored.head), (old, Position::new(100)));
    assert_ne!(restored.epoch, old);
    let store = place.open("log");
    assert_eq!(store.identity().epoch, restored.epoch);
    assert_eq!(store.bounds().first, restored.first);
    assert_eq!(data(&store, 0, 100), before);
    publish(&store, 50);

    for position in [1, 99, 100] {
        let expected = Position::new(position);
        let expected = Resolved { position: expected, told: expected, outcome: Outcome::Resumed };
        assert_eq!(resolve(&store, &format!("{old}:{position}")), expected);
    }
    // These are the ids that a log with the old name would have given to the new events.
    for position in [101, 150, 151, 1000] {
        let requested = format!("{old}:{position}");
        let outcome =
            Outcome::Reset { reason: ResetReason::Replaced, requested: requested.clone() };
        let position = Position::new(100);
        let expected = Resolved { position, told: position, outcome };
        assert_eq!(resolve(&store, &requested), expected);
    }
}

#[test]
fn a_log_that_is_restored_twice_knows_both_of_its_names() {
    let place = Place::new();
    let mut names = Vec::new();
    for (log, copy) in [("one", "copy-one"), ("two", "copy-two")] {
        let store = place.open(log);
        names.push(store.identity().epoch);
        publish(&store, 20);
        drop(store);
        backup(&place.at(log), &place.at(copy)).unwrap();
        let next = if log == "one" { "two" } else { "three" };
        restore(&place.at(copy), &place.at(next)).unwrap();
    }
    let store = place.open("three");
    for (name, upto) in [(names[0], 20), (names[1], 40)] {
        assert_eq!(resolve(&store, &format!("{name}:{upto}")).outcome, Outcome::Resumed);
        let later = resolve(&store, &format!("{name}:{}", upto + 1));
        assert_eq!((later.position.get(), later.outcome.name()), (upto, "reset"));
    }
}

#[test]
fn an_existing_log_is_not_overwritten() {
    let place = Place::new();
    publish(&place.open("log"), 10);
    backup(&place.at("log"), &place.at("copy")).unwrap();
    let error = restore(&place.at("copy"), &place.at("log")).unwrap_err();
    assert!(matches!(error, RestoreError::NotEmpty { .. }), "{error}");
    assert_eq!(place.open("log").bounds().head, Position::new(10));
}

#[test]
fn neither_a_running_hubs_log_nor_a_folder_without_a_log_is_a_backup() {
    let place = Place::new();
    let running = place.open("running");
    let error = restore(&place.at("running"), &place.at("log")).unwrap_err();
    assert!(matches!(error, RestoreError::InUse { .. }), "{error}");
    drop(running);
    let error = restore(&place.0, &place.at("log")).unwrap_err();
    assert!(matches!(error, RestoreError::NoLog { .. }), "{error}");
    assert!(!place.at("log").exists());
}

#[test]
fn damage_anywhere_in_the_backup_is_reported_and_nothing_is_left_behind() {
    let place = Place::new();
    publish(&place.open("original"), 100);
    backup(&place.at("original"), &place.at("copy")).unwrap();
    let mut logs: Vec<_> =
        fs::read_dir(place.at("copy")).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    assert!(logs.len() > 3, "several segments");
    for log in &logs[..3] {
        let whole = fs::read(log).unwrap();
        let mut damaged = whole.clone();
        damaged[2000] ^= 1;
        fs::write(log, damaged).unwrap();
        let error = restore(&place.at("copy"), &place.at("log")).unwrap_err();
        let RestoreError::Copy(OpenError::Damaged { path, .. }) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(path, log);
        assert!(!place.at("log").exists());
        fs::write(log, whole).unwrap();
    }
    // A segment in the middle is missing.
    fs::remove_file(&logs[1]).unwrap();
    fs::create_dir(place.at("log")).unwrap();
    let error = restore(&place.at("copy"), &place.at("log")).unwrap_err();
    assert!(matches!(error, RestoreError::Copy(OpenError::Damaged { .. })), "{error:?}");
    assert_eq!(fs::read_dir(place.at("log")).unwrap().count(), 0, "empty as it was");
}

/// Whatever retention by rules does meanwhile.
#[test]
fn a_backup_made_while_rules_are_applied_is_a_whole_log() {
    let place = Place::new();
    let config = DiskConfig {
        segment_bytes: Some(4096),
        hot_bytes: Some(8192),
        rules: vec![Rule {
            name: "last".into(),
            topics: vec![Matcher::parse("last/*").unwrap()],
            age: None,
            bytes: None,
            promise: NonZeroU32::new(3).map(Promise::Last),
        }],
        ..DiskConfig::new(place.at("original"))
    };
    let store = DiskStore::open(config).unwrap();
    let publish = |count: u64| {
        for _ in 0..count {
            let n = store.bounds().head.next().get();
            let topic =
                if n.is_multiple_of(2) { format!("last/{}", n % 4) } else { "rest".to_owned() };
            let draft = Draft::new(Topic::new(topic).unwrap(), format!("{n}:{}", "x".repeat(200)));
            store.append(vec![draft], Timestamp::from_millis(n)).unwrap();
        }
    };
    let started = std::time::Instant::now();
    while !place.at("original").join("catalogue").exists() {
        assert!(started.elapsed().as_secs() < 60, "no rule was applied");
        publish(20);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                publish(5);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        for round in 0..12 {
            let before = store.bounds().head;
            let (copy, restored) = (place.at(&format!("copy{round}")), format!("restored{round}"));
            backup(&place.at("original"), &copy).unwrap();
            restore(&copy, &place.at(&restored)).unwrap();
            let copied = place.open(&restored);
            let head = copied.bounds().head;
            assert!(head >= before);
            let all = ReadQuery { upto: head, told: head, ..ReadQuery::everything() };
            let mut positions = Vec::new();
            let mut after = Position::ZERO;
            while after < head {
                let page = copied.read(&ReadQuery { after, ..all }).unwrap();
                positions.extend(page.records.iter().map(|record| record.position().get()));
                after = page.reached;
            }
            assert!(positions.is_sorted_by(|a, b| a < b));
            let rest = positions.iter().filter(|n| *n % 2 == 1);
            assert!(rest.copied().eq((1..=head.get()).step_by(2)), "all of the rest");
            for topic in [0, 2] {
                let newest = (1..=head.get()).rev().filter(|n| n % 4 == topic).take(3);
                for n in newest {
                    assert!(positions.contains(&n), "{n} is one of the last three");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
