//! The store contract, once per store; and tests that apply only to a store on disk.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod disk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidings_hub::{Epoch, Log, MemoryStore};
use tidings_store_disk::{DiskConfig, DiskStore, Durability, OpenError};
use tidings_store_shared::{SharedConfig, SharedStore};
use tidings_testkit::remote_log::{Journal, Link, RemoteLog};
use tidings_testkit::shared_log::{Connection, Engine};
use tidings_testkit::store_suite;
use tidings_testkit::store_suite::{Retention, Stores};

store_suite!(memory, MemoryStores);
store_suite!(disk_with_fsync, DiskStores::new(Durability::Fsync));
store_suite!(disk_without_fsync, DiskStores::new(Durability::Os));
store_suite!(remote, RemoteStores::default());
store_suite!(shared, SharedStores::new(true));
store_suite!(shared_without_its_cache, SharedStores::new(false));

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
    last: std::sync::Mutex<Option<(Arc<Journal>, Retention)>>,
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

/// Shared logs over an engine in memory. When reopened, a node finds its cache again, or follows
/// everything anew.
struct SharedStores {
    keeps_cache: bool,
    folder: Folder,
    made: AtomicU64,
    last: std::sync::Mutex<Option<(Arc<Engine>, Retention)>>,
}

impl SharedStores {
    fn new(keeps_cache: bool) -> Self {
        let (folder, made) = (Folder::new(), AtomicU64::new(0));
        Self { keeps_cache, folder, made, last: std::sync::Mutex::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(self.made.load(Ordering::Relaxed).to_string())
    }

    fn open(&self) -> Arc<dyn Log> {
        let last = self.last.lock().unwrap();
        let (engine, retention) = last.as_ref().unwrap();
        let cache = DiskConfig {
            retention_bytes: retention.bytes,
            retention_age: retention.age,
            recent_bytes_max: 20_000,
            segment_bytes: Some(24 << 10),
            ..DiskConfig::new("")
        };
        let config = SharedConfig {
            cache,
            create: true,
            trim_interval: Duration::ZERO,
            bell_patience: Duration::from_millis(5),
            ..SharedConfig::new(self.path())
        };
        // See `DiskStores::open`.
        let opened = (0..200).find_map(|_| {
            match SharedStore::open(config.clone(), Connection::to(engine)) {
                Err(
                    tidings_store_shared::OpenError::InUse { .. }
                    | tidings_store_shared::OpenError::Cache { source: OpenError::InUse { .. } },
                ) => {
                    std::thread::sleep(Duration::from_millis(10));
                    None
                }
                opened => Some(opened),
            }
        });
        let store = opened.expect("the lock was released").unwrap();
        Arc::new(store.following(Connection::to(engine)).unwrap())
    }
}

impl Stores for SharedStores {
    fn fresh(&self, retention: Retention) -> Arc<dyn Log> {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap() = Some((Engine::new(made), retention));
        self.open()
    }

    fn reopened(&self, store: Arc<dyn Log>) -> Arc<dyn Log> {
        assert_eq!(Arc::strong_count(&store), 1, "the store is closed before it is opened again");
        if !self.keeps_cache {
            // What the cache dropped is dropped from the engine with it, or else would come back.
            store.retain(tidings_hub::Timestamp::default()).unwrap();
        }
        drop(store);
        if !self.keeps_cache {
            std::fs::remove_dir_all(self.path()).unwrap();
        }
        self.open()
    }
}

/// Disk stores, each in its own folder. Segments are small, so that there are several; little is
/// held in memory, so that the disk is read.
struct DiskStores {
    durability: Durability,
    folder: Folder,
    made: AtomicU64,
    retention: std::sync::Mutex<Retention>,
}

impl DiskStores {
    fn new(durability: Durability) -> Self {
        let retention = std::sync::Mutex::new(Retention::ALL);
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
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidings-stores-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn config(&self) -> DiskConfig {
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
