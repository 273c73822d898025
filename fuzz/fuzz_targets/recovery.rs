//! Whatever damage the files of a log have, opening it gives the events that were there, or an
//! error.
//!
//! A small log is created once. Each input is a list of changes to a copy of its files, six bytes
//! each: the file, the kind of change, its place and its value.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tidings_hub::{Draft, Position, ReadQuery, Log, Timestamp, Topic};
use tidings_store_disk::{DiskConfig, DiskStore, Durability};

static LOG: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = folder();
    let store = DiskStore::open(config(&folder)).expect("a new log");
    for number in 0..200 {
        store.append(vec![draft(number)], Timestamp::from_millis(number)).expect("it is stored");
    }
    drop(store);
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        files.push((name, fs::read(path).expect("a file")));
    }
    files.sort();
    files
});

fuzz_target!(|input: &[u8]| {
    let mut files = LOG.clone();
    for damage in input.chunks_exact(6).take(8) {
        let file = usize::from(damage[0]) % files.len();
        let bytes = &mut files[file].1;
        let place = usize::from(u16::from_le_bytes([damage[2], damage[3]]));
        let place = place * (bytes.len() >> 16).max(1) % bytes.len().max(1);
        let count = usize::from(damage[4]) * 16;
        match damage[1] % 5 {
            0 => bytes.truncate(place),
            1 if !bytes.is_empty() => bytes[place] ^= damage[5].max(1),
            2 => bytes.iter_mut().skip(place).take(count).for_each(|byte| *byte = damage[5]),
            3 => bytes.extend(std::iter::repeat_n(damage[5], count)),
            _ => {
                let end = (place + count).min(bytes.len());
                bytes.drain(place.min(end)..end);
            }
        }
    }
    let folder = folder();
    for (name, bytes) in &files {
        fs::write(folder.join(name), bytes).expect("a file");
    }
    if let Ok(store) = DiskStore::open(config(&folder)) {
        look(&store);
        // It is a log like any other: an event appended now can be read.
        if store.append(vec![draft(7)], Timestamp::from_millis(10_000)).is_ok() {
            look(&store);
        }
    }
});

/// Every event that is read is one that was appended.
fn look(store: &DiskStore) {
    let bounds = store.bounds();
    let mut after = bounds.first.previous();
    while after < bounds.head {
        let query = ReadQuery {
            after,
            upto: bounds.head,
            interest: None,
            records_max: 64,
            bytes_max: 1 << 20,
        };
        let Ok(page) = store.read(&query) else { return };
        for record in &page.records {
            let number: u64 =
                record.data.split(' ').nth(1).expect("a number").parse().expect("one");
            assert_eq!(&*record.data, &*draft(number).data);
        }
        assert!(page.reached > after, "it makes progress");
        after = page.reached;
    }
    let _: Position = after;
}

fn draft(number: u64) -> Draft {
    let topic = Topic::new(format!("topic/{}", number % 7)).expect("a topic");
    Draft::new(topic, format!("event {number} {}", "x".repeat(number as usize % 50)))
}

fn config(folder: &Path) -> DiskConfig {
    DiskConfig {
        durability: Durability::Os,
        retention_bytes: 64 << 20,
        retention_age: Duration::from_secs(u32::MAX.into()),
        segment_bytes: None,
        ..DiskConfig::new(folder)
    }
}

/// An empty folder, in memory where possible. The previous one is no longer needed.
fn folder() -> PathBuf {
    let shared = Path::new("/dev/shm");
    let root = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let folder = root.join(format!("tidings-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
