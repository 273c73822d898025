//! Bounds of the process that runs a hub: why, and what happens at the edge. Those of its parts are
//! with the parts.

use std::time::Duration;

/// Threads for calls that block in the runtime that a hub's parts share: 32 reads of history, 64
/// erasures, names of backends that are looked up (32 at once for each rule), and a few for files
/// and certificates. Each ends after ten seconds without work. At the edge: further calls wait for
/// a thread.
pub(crate) const BLOCKING_THREADS_MAX: usize = 512;

/// Time for what blocks a thread when the hub ends, such as a read from a disk that hangs. At the
/// edge: it is left behind, the log says so, and the process ends.
pub(crate) const RUNTIME_END_MAX: Duration = Duration::from_secs(5);
