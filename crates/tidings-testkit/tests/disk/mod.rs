//! The disk store against a real file system and real processes.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod child;

use std::fs;

use tidings_hub::{Bounds, Interest, Log, Position, ReadQuery};
use tidings_store_disk::{DiskStore, OpenError};
use tidings_testkit::store_suite::{at, draft, topic};

use crate::stores::Folder;

fn fill(store: &DiskStore, count: u64) {
    let from = store.bounds().head.get();
    for n in (from..from + count).step_by(20) {
        let drafts = (n..n + 20).map(|n| draft(&format!("topic/{}", n % 10), &event(n + 1)));
        store.append(drafts.collect(), at(n)).unwrap();
    }
}

/// The payload of the event at a position.
fn event(position: u64) -> String {
    format!("{position:0>200}")
}

/// Checks that every event from `first` up to the head is there and is right. Returns the bounds.
fn check(store: &DiskStore) -> Bounds {
    let bounds = store.bounds();
    let mut after = bounds.first.previous();
    let mut next = bounds.first.get();
    while after < bounds.head {
        let upto = bounds.head;
        let query = ReadQuery {
            after,
            upto,
            records_max: 1_000,
            bytes_max: 1 << 20,
            ..ReadQuery::everything()
        };
        let page = store.read(&query).unwrap();
        for record in &page.records {
            assert_eq!(record.position().get(), next);
            assert_eq!(*record.data, event(next));
            next += 1;
        }
        after = page.reached;
    }
    assert_eq!(next, bounds.head.get() + 1);
    bounds
}

#[test]
fn a_wiped_folder_is_another_log() {
    let folder = Folder::new();
    let store = DiskStore::open(folder.config()).unwrap();
    fill(&store, 100);
    let epoch = store.identity().epoch;
    drop(store);
    let store = DiskStore::open(folder.config()).unwrap();
    assert_eq!((store.identity().epoch, store.bounds().head), (epoch, Position::new(100)));
    drop(store);
    fs::remove_dir_all(folder.path()).unwrap();
    let store = DiskStore::open(folder.config()).unwrap();
    assert_ne!(store.identity().epoch, epoch);
    assert_eq!(store.bounds().head, Position::ZERO);
}

#[test]
fn two_stores_on_one_folder_are_an_error_that_names_it() {
    let folder = Folder::new();
    let store = DiskStore::open(folder.config()).unwrap();
    let error = DiskStore::open(folder.config()).unwrap_err();
    assert!(matches!(&error, OpenError::InUse { path } if path == folder.path()), "{error}");
    assert!(error.hint().contains("other process"));
    drop(store);
    DiskStore::open(folder.config()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_created_is_named() {
    let folder = Folder::new();
    fs::write(folder.path().join("file"), "").unwrap();
    let mut config = folder.config();
    config.path = folder.path().join("file").join("log");
    let error = DiskStore::open(config).unwrap_err();
    assert!(error.to_string().ends_with("file/log"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn retention_frees_disk_space() {
    let folder = Folder::new();
    let config = tidings_store_disk::DiskConfig { retention_bytes: 1 << 20, ..folder.config() };
    let store = DiskStore::open(config).unwrap();
    fill(&store, 40_000);
    assert!(store.health().bytes <= 1 << 20, "{}", store.health().bytes);
    assert!(check(&store).first > Position::new(30_000));
    drop(store);
    assert!(occupied(&folder) <= 1 << 20, "{} bytes", occupied(&folder));
}

/// Bytes that the folder's files occupy on disk.
fn occupied(folder: &Folder) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512).sum()
}

#[test]
fn a_reader_of_a_dropped_segment_gets_an_expired_error() {
    let folder = Folder::new();
    let config = tidings_store_disk::DiskConfig { retention_bytes: 1 << 20, ..folder.config() };
    let store = DiskStore::open(config).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| fill(&store, 40_000));
        let wanted = Interest::new(vec![tidings_hub::Matcher::Exact(topic("topic/3"))], vec![]);
        let mut expired = 0;
        while store.bounds().head < Position::new(40_000) {
            let Bounds { first, head } = store.bounds();
            let query = ReadQuery {
                after: first.previous(),
                upto: head,
                interest: Some(&wanted),
                records_max: 1_000,
                bytes_max: 1 << 20,
                ..ReadQuery::everything()
            };
            match store.read(&query) {
                Ok(page) => {
                    let right = |r: &std::sync::Arc<tidings_hub::Record>| {
                        *r.data == event(r.position().get())
                    };
                    assert!(page.records.iter().all(right));
                }
                Err(tidings_hub::ReadError::Expired { .. }) => expired += 1,
                Err(error) => panic!("{error}"),
            }
        }
        eprintln!("{expired} reads were late");
    });
}

#[test]
fn a_damaged_file_is_named_with_what_to_do() {
    let folder = Folder::new();
    let store = DiskStore::open(folder.config()).unwrap();
    fill(&store, 4_000);
    drop(store);
    let mut logs: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    logs.sort();

    // In the newest segment, damage shows at once.
    let newest = logs.last().unwrap();
    let whole = fs::read(newest).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(newest, &damaged).unwrap();
    let error = DiskStore::open(folder.config()).unwrap_err();
    assert!(error.to_string().contains(newest.to_str().unwrap()), "{error}");
    assert!(error.hint().contains("restore the folder from a copy"));
    assert_eq!(fs::read(newest).unwrap(), damaged, "nothing is changed");
    fs::write(newest, &whole).unwrap();

    // In an older one, damage shows when it is read; the rest can be read, and events are taken.
    let whole = fs::read(&logs[1]).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&logs[1], &damaged).unwrap();
    let store = DiskStore::open(folder.config()).unwrap();
    let all = |after| {
        let mut query = ReadQuery {
            after,
            upto: store.bounds().head,
            records_max: 100_000,
            bytes_max: 1 << 30,
            ..ReadQuery::everything()
        };
        while query.after < query.upto {
            query.after = store.read(&query)?.reached;
        }
        Ok::<_, tidings_hub::ReadError>(query.after)
    };
    let error = tidings_hub::with_causes(&all(Position::ZERO).unwrap_err());
    assert!(error.contains(logs[1].to_str().unwrap()), "{error}");
    assert_eq!(all(Position::new(2_000)).unwrap(), Position::new(4_000));
    fill(&store, 20);
    assert!(store.health().failure.is_none());
}
