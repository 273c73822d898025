//! What is bounded stays bounded when those who asked for it go away: a permit belongs to the work.

#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidings_engine::limits::{COMMIT_QUEUE_BYTES_MAX, STORE_READS_MAX};
use tidings_engine::{Engine, EngineConfig};
use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Epoch, Health, Interest, Log, LogIdentity,
    Matcher, MemoryStore, Page, Position, ReadError, ReadQuery, Timestamp, Topic,
};

/// A store whose appends and reads wait at a gate.
struct GatedStore {
    inner: MemoryStore,
    is_open: Mutex<bool>,
    opened: Condvar,
    reads: AtomicUsize,
}

impl GatedStore {
    fn new() -> Arc<Self> {
        let epoch = Epoch::parse("k7q2ma").unwrap();
        Arc::new(Self {
            inner: MemoryStore::new(epoch, usize::MAX, Duration::MAX),
            is_open: Mutex::new(false),
            opened: Condvar::new(),
            reads: AtomicUsize::new(0),
        })
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
    }
}

impl Log for GatedStore {
    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        self.pass();
        self.inner.append(drafts, now)
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        // The fan-out reads for everybody, and is not meant.
        if query.interest.is_some() {
            self.reads.fetch_add(1, Ordering::SeqCst);
            self.pass();
        }
        self.inner.read(query)
    }

    fn identity(&self) -> &LogIdentity {
        self.inner.identity()
    }

    fn bounds(&self) -> Bounds {
        self.inner.bounds()
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.inner.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.inner.retain(now)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self.inner.catalog()
    }
}

fn everything() -> Interest {
    Interest::new(vec![Matcher::All], Vec::new())
}

/// Starts `future`, and gives it up at its first pause.
fn abandon(future: impl Future) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "the gate is shut");
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_that_nobody_waits_for_keep_their_room_in_the_queue() {
    let store = GatedStore::new();
    let engine = Engine::start(Arc::clone(&store) as _, EngineConfig::default()).unwrap();
    let data = "x".repeat(1 << 20);
    let topic = Topic::new("a").unwrap();
    for _ in 0..100 {
        abandon(engine.publish(vec![Draft::new(topic.clone(), data.clone())]));
    }
    store.open();
    // It comes after all that were queued.
    engine.publish(vec![Draft::new(topic, "last")]).await.unwrap();
    let queued = engine.head().get() as usize - 1;
    assert!(queued <= COMMIT_QUEUE_BYTES_MAX >> 20, "{queued} MiB were queued");
    assert!(queued >= COMMIT_QUEUE_BYTES_MAX >> 21, "what was queued is stored: {queued} MiB");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_nobody_waits_for_keep_their_place() {
    let store = GatedStore::new();
    let engine = Engine::start(Arc::clone(&store) as _, EngineConfig::default()).unwrap();
    for _ in 0..10 * STORE_READS_MAX {
        abandon(engine.history(everything(), Position::ZERO, 1));
    }
    store.open();
    engine.history(everything(), Position::ZERO, 1).await.unwrap();
    engine.stop().await;
    let begun = store.reads.load(Ordering::SeqCst) - 1;
    assert!((1..=STORE_READS_MAX).contains(&begun), "{begun} reads were begun");
}
