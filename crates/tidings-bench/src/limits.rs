//! Every bound of the generator: its value, the reason, and what happens at the edge.

use std::time::Duration;

/// Bytes one `read` may return, and the size of each thread's one buffer. A loopback socket holds a
/// few megabytes; more per call would only make other sockets wait. At the edge: the rest is read
/// in the next turn.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// Longest response head accepted from a server, in bytes. At the edge: the connection counts as
/// failed.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most fields of a response head. At the edge: the connection counts as failed.
pub(crate) const HEAD_FIELDS_MAX: usize = 128;

/// Longest event id remembered for `Last-Event-ID`, in bytes. At the edge: the id is ignored.
pub(crate) const EVENT_ID_BYTES_MAX: usize = 1024;

/// Gaps remembered for one subscriber, to distinguish a late event from a duplicate. At the edge: a
/// late event counts as a duplicate and its gap as a loss, which is the stricter interpretation.
pub(crate) const GAPS_MAX: usize = 64;

/// Readiness events taken from the system at once.
pub(crate) const POLL_EVENTS: usize = 1024;

/// Interval at which threads check shared state (the end of the run, new deadlines).
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// File descriptors besides those of subscribers and publishers.
pub(crate) const SPARE_FILES: usize = 64;

/// Subscribers per loopback source address: below the 28,232 ports that Linux assigns per address.
pub(crate) const SUBSCRIBERS_PER_ADDRESS: usize = 20_000;

/// Wait before a reconnection, as in an `EventSource`, until the server sets another with `retry:`.
pub(crate) const RETRY_DEFAULT: Duration = Duration::from_secs(1);

/// Longest wait that a server may set; a longer one is cut to this, so that a run ends.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(30);

/// Wait before a refused connection is retried.
pub(crate) const REFUSED_WAIT: Duration = Duration::from_millis(100);

/// Publishes of unknown fate (rejected, or the connection broke before the answer) that are
/// remembered, so that their absence does not count as a loss. At the edge: the run says that
/// losses may be overstated.
pub(crate) const UNKNOWN_MAX: usize = 1_000_000;

/// Longest run: a forgotten benchmark must end by itself.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

/// Longest latency recorded; longer ones count as this.
pub(crate) const LATENCY_MAX: Duration = Duration::from_secs(600);
