//! How often the records of growing values are read for a page of the state.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidings_hub::limits::{PIECES_HELD_BYTES, PIECES_LOOK_RECORDS};
use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Epoch, Health, Interest, Key, Log, LogIdentity,
    MemoryStore, Page, Piece, Position, ReadError, ReadQuery, Slots, StateRead, Timestamp, Topic,
};

/// A log in memory that counts what is read.
struct Counted {
    log: MemoryStore,
    read: AtomicUsize,
}

impl Counted {
    fn new() -> Self {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let log = MemoryStore::new(epoch, usize::MAX, Duration::from_secs(3600));
        Self { log, read: AtomicUsize::new(0) }
    }

    /// Appends a value whole, or a piece that has `from` bytes before it.
    fn publish(&self, key: &str, data: &str, from: Option<usize>) {
        let mut draft = Draft::new(Topic::new("a").expect("a valid topic"), data);
        draft.key = Key::new(key).ok();
        draft.piece = from.map(|from| Box::new(Piece { at: None, from: from as u64 }));
        self.log.append(vec![draft], Timestamp::default()).expect("memory takes everything");
    }

    /// All of the state, and the number of records that were read for it.
    fn state(&self) -> (Vec<(String, String)>, usize) {
        let interest = Interest::everything();
        let read = StateRead {
            from: Position::ZERO,
            has_removals: false,
            has_superseded: false,
            half: None,
        };
        let (mut values, mut after, upto) = (Vec::new(), Position::ZERO, self.bounds().head);
        self.read.store(0, Ordering::Relaxed);
        while after < upto {
            let state = read.read(
                self,
                &ReadQuery {
                    after,
                    interest: Some(&interest),
                    records_max: 4096,
                    ..ReadQuery::everything()
                },
            );
            let page = state.expect("memory can be read").page;
            after = page.reached;
            values.extend(page.records.iter().map(|record| {
                let key = record.key.as_ref().expect("all have keys");
                (key.as_str().to_owned(), record.data.to_string())
            }));
        }
        (values, self.read.load(Ordering::Relaxed))
    }
}

impl Log for Counted {
    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        let page = self.log.read(query)?;
        self.read.fetch_add(page.records.len(), Ordering::Relaxed);
        Ok(page)
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        self.log.append(drafts, now)
    }

    fn identity(&self) -> &LogIdentity {
        self.log.identity()
    }

    fn bounds(&self) -> Bounds {
        self.log.bounds()
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.log.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.log.retain(now)
    }

    fn note_time(&self, now: Timestamp) {
        self.log.note_time(now);
    }

    fn health(&self) -> Health {
        self.log.health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self.log.catalog()
    }

    fn slots(&self) -> &Slots {
        self.log.slots()
    }
}

#[test]
fn a_value_that_a_page_comes_to_from_its_beginning_is_read_once() {
    // Twice 40,000 pieces are more than a page may look at: it ends, and they are read again.
    for (pieces, times) in [(30_000, 1), (40_000, 2)] {
        assert_eq!(2 * pieces < PIECES_LOOK_RECORDS, times == 1);
        let log = Counted::new();
        // One value begins with a piece, the other was published whole.
        log.publish("whole", "+", None);
        for number in 0..pieces {
            log.publish("pieces", "t", Some(number));
            log.publish("whole", "w", Some(1 + number));
        }
        let (values, read) = log.state();
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
    let log = Counted::new();
    let piece = "x".repeat(PIECES_HELD_BYTES / 16);
    for number in 0..10 {
        for key in ["a", "b", "c"] {
            log.publish(key, &piece, Some(number * piece.len()));
        }
    }
    let (values, read) = log.state();
    let sizes: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.len())).collect();
    let size = 10 * piece.len();
    assert_eq!(sizes, [("a", size), ("b", size), ("c", size)]);
    assert!(read > 30, "the pieces beyond the bound were read again");
}
