//! How often the records of growing values are read for a page of the state.

mod watched_log;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidings_hub::limits::{PIECES_HELD_BYTES, PIECES_LOOK_RECORDS};
use tidings_hub::{
    Draft, Epoch, Interest, Key, Log, MemoryStore, Page, Piece, Position, ReadQuery, StateRead,
    Timestamp, Topic,
};
use watched_log::WatchedLog;

/// Appends a value whole, or a piece that has `from` bytes before it.
fn publish(log: &MemoryStore, key: &str, data: &str, from: Option<usize>) {
    let mut draft = Draft::new(Topic::new("a").expect("a valid topic"), data);
    draft.key = Key::new(key).ok();
    draft.piece = from.map(|from| Box::new(Piece { at: None, from: from as u64 }));
    log.append(vec![draft], Timestamp::default()).expect("memory takes everything");
}

fn new_log() -> MemoryStore {
    let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
    MemoryStore::new(epoch, usize::MAX, Duration::from_secs(3600))
}

/// All of the state, and the number of records that were read for it.
fn state(log: MemoryStore) -> (Vec<(String, String)>, usize) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let log = WatchedLog::new(log, move |_, page: &Page| {
        counted.fetch_add(page.records.len(), Ordering::Relaxed);
    });
    let interest = Interest::everything();
    let read =
        StateRead { from: Position::ZERO, has_removals: false, has_superseded: false, half: None };
    let (mut values, mut after, upto) = (Vec::new(), Position::ZERO, log.bounds().head);
    while after < upto {
        let query = ReadQuery {
            after,
            interest: Some(&interest),
            records_max: 4096,
            ..ReadQuery::everything()
        };
        let page = read.read(&log, &query).expect("memory can be read").page;
        after = page.reached;
        values.extend(page.records.iter().map(|record| {
            let key = record.key.as_ref().expect("all have keys");
            (key.as_str().to_owned(), record.data.to_string())
        }));
    }
    (values, count.load(Ordering::Relaxed))
}

#[test]
fn a_value_that_a_page_comes_to_from_its_beginning_is_read_once() {
    // Twice 40,000 pieces are more than a page may look at: it ends, and they are read again.
    for (pieces, times) in [(30_000, 1), (40_000, 2)] {
        assert_eq!(2 * pieces < PIECES_LOOK_RECORDS, times == 1);
        let log = new_log();
        // One value begins with a piece, the other was published whole.
        publish(&log, "whole", "+", None);
        for number in 0..pieces {
            publish(&log, "pieces", "t", Some(number));
            publish(&log, "whole", "w", Some(1 + number));
        }
        let (values, read) = state(log);
        let expected = [
            ("pieces".to_owned(), "t".repeat(pieces)),
            ("whole".to_owned(), format!("+{}", "w".repeat(pieces))),
        ];
        assert!(values == expected, "another state, of {} values", values.len());
        assert_eq!(read, times * (1 + 2 * pieces), "{pieces} pieces");
    }
}

#[test]
fn values_that_are_too_large_together_are_whole_all_the_same() {
    let log = new_log();
    let piece = "x".repeat(PIECES_HELD_BYTES / 16);
    for number in 0..10 {
        for key in ["a", "b", "c"] {
            publish(&log, key, &piece, Some(number * piece.len()));
        }
    }
    let (values, read) = state(log);
    let sizes: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.len())).collect();
    let size = 10 * piece.len();
    assert_eq!(sizes, [("a", size), ("b", size), ("c", size)]);
    assert!(read > 30, "the pieces beyond the bound were read again");
}
