//! How many threads a hub has unless its settings say so.

use std::thread::available_parallelism;

/// Threads that answer requests.
pub(crate) fn workers_default() -> usize {
    processors()
}

/// Of the threads that answer requests, those that have connections of their own, beside the ones
/// that share the others.
pub(crate) fn request_threads(workers: usize) -> usize {
    // One is left to the committer and the kernel: docs/decisions/0058.
    workers.saturating_sub(1).max(1)
}

/// Threads that write to subscribers.
pub(crate) fn shards_default() -> usize {
    // One is left to requests, the committer and the kernel: docs/decisions/0004.
    (processors() - 1).max(1)
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}
