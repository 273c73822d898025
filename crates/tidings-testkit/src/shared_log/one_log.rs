use std::sync::Arc;

use tidings_store_shared::{SharedConfig, SharedStore};

use super::{Connection, Engine};
use crate::server::{Builder, TestServer};
use crate::test_folder::TestFolder;

/// A log in memory for several hubs over HTTP, each with a folder of its own.
pub struct OneLog {
    engine: Arc<Engine>,
    folder: TestFolder,
}

impl OneLog {
    /// A new log; `test` names the folder.
    pub fn new(test: &str) -> Self {
        Self { engine: Engine::new(1), folder: TestFolder::new(test) }
    }

    /// A hub that follows the log: a new one, or one that is started again.
    pub fn hub(&self, name: &str) -> Builder {
        let store = self.store(name).following(Connection::to(&self.engine));
        TestServer::builder().store(Arc::new(store.expect("there is a thread for it")))
    }

    /// A hub that learns what others append only when it appends itself.
    pub fn deaf_hub(&self, name: &str) -> Builder {
        TestServer::builder().store(Arc::new(self.store(name)))
    }

    fn store(&self, name: &str) -> SharedStore {
        let config = SharedConfig { create: true, ..SharedConfig::new(self.folder.join(name)) };
        SharedStore::open(config, Connection::to(&self.engine)).expect("the log can be opened")
    }
}
