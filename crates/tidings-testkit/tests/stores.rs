//! The store contract, once per store; and tests that apply only to a store on disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_hub::{Epoch, Log, MemoryStore};
use tidings_store_disk::{DiskConfig, DiskStore, Durability, OpenError};
use tidings_testkit::remote_log::{Journal, Link, RemoteLog};
use tidings_testkit::shared_log::{Connection, Engine, SharedStores};
use tidings_testkit::store_suite;
use tidings_testkit::store_suite::{Retention, Stores};

store_suite!(memory, MemoryStores);
store_suite!(disk_with_fsync, DiskStores::new(Durability::Fsync));
store_suite!(disk_without_fsync, DiskStores::new(Durability::Os));
store_suite!(remote, RemoteStores::default());
store_suite!(shared, shared(true));
store_suite!(shared_without_its_cache, shared(false));

struct MemoryStores;

impl Stores for MemoryStores {
    fn fresh(&self, retention: Retention) -> Arc<dyn Log> {
        let bytes = retention.bytes as usize;
        Arc::new(MemoryStore::new(Epoch::from_random(7), bytes, retention.age))
    }

    fn reopened(&self, store: Arc<dyn Log>) -> Arc<dyn Log> {
        store
    }
}

/// Logs that are held elsewhere, with some latency. When reopened, a node follows from the
/// beginning.
#[derive(Default)]
struct RemoteStores {
    last: Mutex<Option<(Arc<Journal>, Retention)>>,
}

impl RemoteStores {
    fn open(&self) -> Arc<dyn Log> {
        let last = self.last.lock().unwrap();
        let (journal, retention) = last.as_ref().unwrap();
        let link = Link::new(journal, Duration::from_micros(50));
        Arc::new(RemoteLog::open(journal, &link, *retention))
    }
}

impl Stores for RemoteStores {
    fn fresh(&self, retention: Retention) -> Arc<dyn Log> {
        let journal = Arc::new(Journal::new(Epoch::from_random(7)));
        *self.last.lock().unwrap() = Some((journal, retention));
        self.open()
    }

    fn reopened(&self, store: Arc<dyn Log>) -> Arc<dyn Log> {
        assert_eq!(Arc::strong_count(&store), 1, "the store is closed before it is opened again");
        drop(store);
        self.open()
    }
}

/// Shared logs over an engine in memory.
fn shared(keeps_cache: bool) -> SharedStores {
    let engines: Mutex<HashMap<u64, Arc<Engine>>> = Mutex::default();
    let connect = move |log| -> Box<dyn tidings_store_shared::Journal> {
        let mut engines = engines.lock().unwrap();
        Connection::to(engines.entry(log).or_insert_with(|| Engine::new(log)))
    };
    SharedStores::new(keeps_cache, Box::new(connect))
}

/// Disk stores, each in its own folder. Segments are small, so that there are several; little is
/// held in memory, so that the disk is read.
struct DiskStores {
    durability: Durability,
    folder: Folder,
    made: AtomicU64,
    retention: Mutex<Retention>,
}

impl DiskStores {
    fn new(durability: Durability) -> Self {
        let retention = Mutex::new(Retention::ALL);
        Self { durability, folder: Folder::new(), made: AtomicU64::new(0), retention }
    }

    fn open(&self) -> Arc<dyn Log> {
        let folder = self.folder.path().join(self.made.load(Ordering::Relaxed).to_string());
        let retention = *self.retention.lock().unwrap();
        let config = DiskConfig {
            durability: self.durability,
            retention_bytes: retention.bytes,
            retention_age: retention.age,
            recent_bytes_max: 20_000,
            segment_bytes: Some(24 << 10),
            ..DiskConfig::new(folder)
        };
        // Another test of this process starts a child, which holds the lock of every folder between
        // its fork and its exec.
        let opened = (0..200).find_map(|_| match DiskStore::open(config.clone()) {
            Err(OpenError::InUse { .. }) => {
                std::thread::sleep(Duration::from_millis(10));
                None
            }
            opened => Some(opened),
        });
        Arc::new(opened.expect("the lock was released").unwrap())
    }
}

impl Stores for DiskStores {
    fn fresh(&self, retention: Retention) -> Arc<dyn Log> {
        self.made.fetch_add(1, Ordering::Relaxed);
        *self.retention.lock().unwrap() = retention;
        self.open()
    }

    fn reopened(&self, store: Arc<dyn Log>) -> Arc<dyn Log> {
        assert_eq!(Arc::strong_count(&store), 1, "the store is closed before it is opened again");
        drop(store);
        self.open()
    }
}

/// A folder that is removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidings-stores-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn config(&self) -> DiskConfig {
        DiskConfig {
            segment_bytes: Some(128 << 10),
            retention_age: Duration::from_secs(1 << 32),
            ..DiskConfig::new(&self.0)
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
