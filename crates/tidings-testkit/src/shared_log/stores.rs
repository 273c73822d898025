use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tidings_hub::{Log, Timestamp};
use tidings_store_disk::DiskConfig;
use tidings_store_shared::{Journal, OpenError, SharedConfig, SharedStore};

use crate::store_suite::{Retention, Stores};

/// Time between two attempts to open a folder, and how many of them there are.
const AGAIN: Duration = Duration::from_millis(10);
const ATTEMPTS: usize = 200;

/// A new connection to the log of this number, which nobody has created the first time.
pub type Connect = Box<dyn Fn(u64) -> Box<dyn Journal> + Send + Sync>;

/// Shared logs, for the store suite. When reopened, a hub finds its cache again, or follows
/// everything anew.
pub struct SharedStores {
    keeps_cache: bool,
    connect: Connect,
    folder: PathBuf,
    /// Number of the newest log, and what it retains.
    newest: Mutex<(u64, Retention)>,
    /// The store that was opened last.
    open: Mutex<Weak<SharedStore>>,
}

impl SharedStores {
    /// Logs that `connect` connects to.
    pub fn new(keeps_cache: bool, connect: Connect) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidings-shared-stores-{}-{number}", std::process::id());
        let newest = Mutex::new((0, Retention::ALL));
        let folder = env::temp_dir().join(name);
        Self { keeps_cache, connect, folder, newest, open: Mutex::default() }
    }

    fn newest(&self) -> (u64, Retention) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> PathBuf {
        self.folder.join(self.newest().0.to_string())
    }

    fn open(&self) -> Arc<dyn Log> {
        let (log, retention) = self.newest();
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
            ..SharedConfig::new(self.cache())
        };
        // Another test of this process may start a child, which holds the lock of every folder
        // between its fork and its exec.
        let opened = (0..ATTEMPTS).find_map(|_| {
            match SharedStore::open(config.clone(), (self.connect)(log)) {
                Err(
                    OpenError::InUse { .. }
                    | OpenError::Cache { source: tidings_store_disk::OpenError::InUse { .. } },
                ) => {
                    thread::sleep(AGAIN);
                    None
                }
                opened => Some(opened),
            }
        });
        let store = opened.expect("the lock was released").expect("the log can be opened");
        let following = store.following((self.connect)(log), (self.connect)(log));
        let store = Arc::new(following.expect("there are threads for it"));
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&store);
        store
    }
}

impl Stores for SharedStores {
    fn fresh(&self, retention: Retention) -> Arc<dyn Log> {
        let (log, _) = self.newest();
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = (log + 1, retention);
        self.open()
    }

    fn reopened(&self, store: Arc<dyn Log>) -> Arc<dyn Log> {
        assert_eq!(Arc::strong_count(&store), 1, "the store is closed before it is opened again");
        if !self.keeps_cache {
            // What the cache dropped is dropped from the engine with it, or else would come back.
            store.retain(Timestamp::default()).expect("the store drops what is old");
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            open.expect("it is the one that was opened last").wait_for_background();
        }
        drop(store);
        if !self.keeps_cache {
            fs::remove_dir_all(self.cache()).expect("the cache can be removed");
        }
        self.open()
    }
}

impl Drop for SharedStores {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
