//! How many threads a hub has.

use std::thread::available_parallelism;

use crate::settings::Settings;

/// Threads that answer requests.
pub(crate) fn workers(settings: &Settings) -> usize {
    settings.workers.unwrap_or_else(processors)
}

/// Threads that write to subscribers.
pub(crate) fn shards(settings: &Settings) -> usize {
    // One is left to requests, the committer and the kernel: docs/decisions/0004.
    settings.shards.unwrap_or_else(|| (processors() - 1).max(1))
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}
