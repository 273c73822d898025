//! Long runs of void blocks in a shared log: however long, a hub holds one page of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tidings_hub::{Log as _, ReadQuery};
use tidings_store_shared::limits::READ_BYTES_MAX;
use tidings_store_shared::{Journal as _, JournalError, Nonce, Seq, SharedConfig, SharedStore};
use tidings_testkit::layers::{JournalLayer, Layered};
use tidings_testkit::shared_log::{Connection, Engine};
use tidings_testkit::store_suite::{at, draft};
use tidings_testkit::test_folder::TestFolder;

/// Bytes of a void block. A page can have one more than its size.
const BLOCK_BYTES: usize = 512 << 10;

/// Bytes of blocks that are in memory, as one connection has handed them out.
#[derive(Debug, Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Bytes that are counted while they are held.
struct Counted {
    bytes: Bytes,
    held: Arc<Held>,
}

impl Counted {
    fn new(bytes: Bytes, held: &Arc<Held>) -> Self {
        let now = held.now.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        held.most.fetch_max(now, Ordering::Relaxed);
        Self { bytes, held: Arc::clone(held) }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.now.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// A connection that counts what is held of what it has read.
#[derive(Debug)]
struct Counting(Connection, Arc<Held>);

impl JournalLayer for Counting {
    fn under(&mut self) -> Result<&mut Connection, JournalError> {
        Ok(&mut self.0)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        let page = self.0.read(after, bytes_max)?.into_iter();
        let counted = |bytes| Bytes::from_owner(Counted::new(bytes, &self.1));
        Ok(page.map(|(seq, bytes)| (seq, counted(bytes))).collect())
    }
}

/// Adds `count` blocks that count for no hub: every other one is no block at all, the rest are a
/// copy of the newest one.
fn add_void(engine: &Arc<Engine>, count: u64) {
    let mut journal = Connection::to(engine);
    let (mut newest, entry) = engine.observe().pop().unwrap();
    let copied = entry.block;
    for number in 0..count {
        let nonce = Nonce { run: 77, number };
        let bytes =
            if number % 2 == 0 { Bytes::from(vec![7; BLOCK_BYTES]) } else { copied.clone() };
        newest = journal.append(newest, nonce, &bytes, Duration::ZERO).unwrap();
    }
}

#[test]
fn a_run_of_void_blocks_that_is_looked_at_again_is_held_a_page_at_a_time() {
    let (engine, folder) = (Engine::new(1), TestFolder::new("shared-void"));
    let hub = |name: &str| {
        let config = SharedConfig { create: true, ..SharedConfig::new(folder.join(name)) };
        SharedStore::open(config, Connection::to(&engine)).unwrap()
    };
    let (a, b) = (hub("a"), hub("b"));
    let large = "x".repeat(BLOCK_BYTES);
    a.append(vec![draft("t", &large)], at(1)).unwrap();
    let count = 80;
    add_void(&engine, count);
    let held = Arc::new(Held::default());
    let mut journal = Layered(Counting(*Connection::to(&engine), Arc::clone(&held)));
    // The second time it has looked at them before.
    for look in 0..3 {
        b.follow(&mut journal);
        assert_eq!(b.void_blocks(), count, "each is counted once, look {look}");
        let most = held.most.load(Ordering::Relaxed);
        // A page, and a block that is looked at again to be sure that it is no block.
        assert!(most <= READ_BYTES_MAX + 4 * BLOCK_BYTES, "{most} bytes, look {look}");
        assert!(most >= READ_BYTES_MAX, "{most} bytes are not a page: nothing is tested");
    }
    // What comes after them is found, and once.
    a.append(vec![draft("t", "after")], at(2)).unwrap();
    b.follow(&mut journal);
    let page = b.read(&ReadQuery::everything()).unwrap();
    assert_eq!(page.records.len(), 2);
    assert_eq!(&*page.records[1].data, "after");
    assert!(held.most.load(Ordering::Relaxed) <= READ_BYTES_MAX + 4 * BLOCK_BYTES);
    assert_eq!(held.now.load(Ordering::Relaxed), 0);
}
