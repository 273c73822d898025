use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidings_hub::Log;
use tidings_store_shared::{Journal, SharedConfig, SharedStore};

use super::{Connection, Engine};
use crate::server::{Builder, TestServer};
use crate::test_folder::TestFolder;

/// A log in memory for several hubs over HTTP, each with a folder of its own.
pub struct OneLog {
    engine: Arc<Engine>,
    folder: TestFolder,
    /// Number of starts of hubs: each has a run of its own.
    starts: AtomicU64,
}

impl OneLog {
    /// A new log; `test` names the folder.
    pub fn new(test: &str) -> Self {
        Self { engine: Engine::new(1), folder: TestFolder::new(test), starts: AtomicU64::new(0) }
    }

    /// The engine that holds the log.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The folder of a hub.
    pub fn folder_of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A connection to it.
    pub fn connection(&self) -> Box<Connection> {
        Connection::to(&self.engine)
    }

    /// A hub that follows the log: a new one, or one that is started again.
    pub fn hub(&self, name: &str) -> Builder {
        let store = self.store(name).following(self.connection(), self.connection());
        self.hub_on(Arc::new(store.expect("there is a thread for it")))
    }

    /// A hub that learns what others append only when it appends itself.
    pub fn deaf_hub(&self, name: &str) -> Builder {
        self.hub_on(Arc::new(self.store(name)))
    }

    /// A hub on this view of the log.
    pub fn hub_on(&self, store: Arc<dyn Log>) -> Builder {
        let seed = 1 + self.starts.fetch_add(1, Ordering::Relaxed);
        TestServer::builder().store(store).engine(|config| config.seed = seed)
    }

    /// The view that a hub has which learns what others append only when it appends itself.
    pub fn store(&self, name: &str) -> SharedStore {
        self.store_over(name, self.connection())
    }

    /// The same over a connection of the caller's.
    pub fn store_over(&self, name: &str, journal: Box<dyn Journal>) -> SharedStore {
        let config = SharedConfig { create: true, ..SharedConfig::new(self.folder_of(name)) };
        SharedStore::open(config, journal).expect("the log can be opened")
    }
}
