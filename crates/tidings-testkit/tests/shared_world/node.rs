use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidings_hub::{Log as _, ReadQuery};
use tidings_store_disk::{DiskConfig, RandomSource};
use tidings_store_shared::{Journal, OpenError, SharedConfig, SharedStore};
use tidings_testkit::layers::Layered;
use tidings_testkit::shared_log::{Connection, Engine};

use super::naive::Naive;
use super::trusting::Trusting;
use super::world::Bug;

/// A hub: its store, if it is running.
pub(crate) struct Node {
    pub(crate) store: Option<Arc<SharedStore>>,
    /// Number of starts: a client's connection does not outlive one.
    pub(crate) run: u64,
    /// Time of the newest event that it had.
    newest: u64,
    /// Position after which its copy begins, if it lost the one that it had.
    pub(crate) begun: u64,
    /// Whether it did not start because the log has lost its beginning, and the time of the newest
    /// event that it had.
    pub(crate) refused: Option<u64>,
    config: SharedConfig,
    folder: PathBuf,
    engine: Arc<Engine>,
    /// The connection over which it follows the log while it runs.
    following: Option<Box<dyn Journal>>,
    bug: Bug,
    /// What takes void blocks for valid ones, in a world with that bug.
    naive: Option<Naive>,
}

impl Node {
    pub(crate) fn new(engine: &Arc<Engine>, folder: &Path, config: SharedConfig, bug: Bug) -> Self {
        Self {
            store: None,
            run: 0,
            newest: 0,
            begun: 0,
            refused: None,
            config,
            folder: folder.to_owned(),
            engine: Arc::clone(engine),
            following: None,
            bug,
            naive: (bug == Bug::TakesVoidBlocks).then(|| Naive::new(engine)),
        }
    }

    /// A configuration for tests without time: everything that has a time is due at once.
    pub(crate) fn config(retention_bytes: u64, random: RandomSource) -> SharedConfig {
        SharedConfig {
            create: true,
            append_patience: Duration::ZERO,
            trim_interval: Duration::ZERO,
            cache: DiskConfig {
                retention_bytes,
                segment_bytes: Some(2 << 10),
                recent_bytes_max: 4 << 10,
                random,
                ..DiskConfig::new("")
            },
            ..SharedConfig::new("")
        }
    }

    /// Starts it. It may fail, as the engine may be away.
    pub(crate) fn start(&mut self) {
        self.run += 1;
        let config = SharedConfig { path: self.folder.clone(), ..self.config.clone() };
        self.store = match SharedStore::open(config, self.connect()) {
            Ok(store) => Some(Arc::new(store)),
            Err(OpenError::BeginningLost { .. }) => {
                self.refused = Some(self.newest);
                None
            }
            Err(_) => None,
        };
        self.following = Some(self.connect());
    }

    pub(crate) fn stop(&mut self) {
        if let Some(store) = self.store.take() {
            let page = store.read(&ReadQuery::one(store.bounds().head)).unwrap_or_default();
            self.newest = page.records.first().map_or(0, |record| record.time().as_millis());
        }
        self.following = None;
    }

    /// As after `kill -9`: what was written is there, and nothing is closed.
    pub(crate) fn kill(&mut self) {
        if self.store.is_none() {
            return;
        }
        let copied = self.folder.with_extension("copy");
        copy(&self.folder, &copied);
        self.stop();
        fs::remove_dir_all(&self.folder).unwrap();
        fs::rename(&copied, &self.folder).unwrap();
    }

    /// Begins again with what the log has, whatever is missing there.
    pub(crate) fn begin_again(&mut self) {
        self.refused = None;
        self.wipe();
        self.config.allow_gaps = true;
        self.start();
        self.config.allow_gaps = false;
        if let Some(store) = &self.store {
            self.begun = store.bounds().first.get() - 1;
        }
    }

    /// Loses everything on its disk.
    pub(crate) fn wipe(&mut self) {
        self.stop();
        // If it does not start at once, it has no copy when it does.
        self.newest = 0;
        let _ = fs::remove_dir_all(&self.folder);
        if let Some(naive) = &mut self.naive {
            naive.forget();
        }
    }

    /// Follows the log.
    pub(crate) fn follow(&mut self) {
        if let (Some(store), Some(journal)) = (&self.store, &mut self.following) {
            store.follow(&mut **journal);
        }
    }

    /// Waits for the thread of its cache, so that the next step finds the same on the disk however
    /// fast that is.
    pub(crate) fn come_to_rest(&self) {
        if let Some(store) = &self.store {
            store.wait_for_background();
            store.keep();
        }
    }

    fn connect(&self) -> Box<dyn Journal> {
        match &self.naive {
            None if self.bug == Bug::TrustsTheBell => {
                Box::new(Layered(Trusting(*Connection::to(&self.engine))))
            }
            None => Connection::to(&self.engine),
            Some(naive) => Box::new(Layered(naive.clone())),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
