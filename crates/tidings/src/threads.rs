//! How many threads a hub has unless its settings say so.

use std::thread::available_parallelism;

/// Threads that answer requests.
pub(crate) fn workers_default() -> usize {
    processors()
}

/// Threads that write to subscribers.
pub(crate) fn shards_default() -> usize {
    // One is left to requests, the committer and the kernel: docs/decisions/0004.
    (processors() - 1).max(1)
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}
