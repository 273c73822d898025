use std::path::{Path, PathBuf};
use std::time::Duration;

use tidings_store_disk::DiskConfig;

use crate::limits::{APPEND_PATIENCE, BELL_PATIENCE, RULES_PATIENCE, TRIM_INTERVAL};
use crate::terms::Terms;

/// Location of the cache, and how long to wait for the journal.
#[derive(Clone, Debug)]
pub struct SharedConfig {
    /// Folder of the cache and of what the hub knows about the log. It is created if it does not
    /// exist.
    pub path: PathBuf,
    /// Retention and memory of the cache. Its `path` and `durability` do not count; its `random`
    /// is also the source of the names of logs and runs.
    pub cache: DiskConfig,
    /// Whether to create the log if there is none. A hub that has followed a log never does.
    pub create: bool,
    /// Whether to begin a copy with what the log still has, if rules of the `cache` promise to keep
    /// events that it may have had before.
    pub allow_gaps: bool,
    /// Settings that all hubs on the log need alike. The store compares them with those that the
    /// journal has.
    pub terms: Terms,
    /// Whether to give the journal these settings where it has others.
    pub update_terms: bool,
    /// Most topics, and most keys, that the log may have. Appends that would make more, because
    /// other hubs made some meanwhile, are refused.
    pub maxima: Maxima,
    /// Time that an append tries to get an answer from the journal.
    pub append_patience: Duration,
    /// Interval at which the hub drops from the journal what its own cache dropped.
    pub trim_interval: Duration,
    /// Age of what rules of retention may be applied to.
    pub rules_patience: Duration,
    /// Time for which the follower sleeps on the journal's bell. An idle hub then looks whether the
    /// journal still has its newest block.
    pub bell_patience: Duration,
}

impl SharedConfig {
    /// A store with its cache in `path` and default values.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            cache: DiskConfig::new(&path),
            create: false,
            allow_gaps: false,
            terms: Terms::default(),
            update_terms: false,
            maxima: Maxima::default(),
            append_patience: APPEND_PATIENCE,
            trim_interval: TRIM_INTERVAL,
            rules_patience: RULES_PATIENCE,
            bell_patience: BELL_PATIENCE,
        }
    }
}

/// Most topics and keys of a log, without those of the hub's own notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maxima {
    /// Most topics.
    pub topics: usize,
    /// Most keys.
    pub keys: usize,
}

impl Default for Maxima {
    fn default() -> Self {
        Self { topics: usize::MAX, keys: usize::MAX }
    }
}
