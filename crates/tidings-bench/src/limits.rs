//! Every bound of the generator: what it is, why, and what happens at the edge.

use std::time::Duration;

/// Bytes one `read` may return, and the size of each thread's one buffer. A loopback socket holds
/// some megabytes; more per call would only make the neighbours wait. At the edge: the rest is read
/// in the next turn.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// Longest response head taken from a server. At the edge: the connection counts as failed.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longest event id remembered for `Last-Event-ID`. At the edge: the id is ignored.
pub(crate) const EVENT_ID_BYTES_MAX: usize = 1024;

/// Gaps remembered for one subscriber, to tell an event that comes late from one that comes twice.
/// At the edge: a late event is counted as a duplicate and its gap as a loss, which is the sterner
/// reading.
pub(crate) const GAPS_MAX: usize = 64;

/// Readiness events taken from the system at once.
pub(crate) const POLL_EVENTS: usize = 1024;

/// How often the threads look at what was decided elsewhere (the end, new deadlines).
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// File descriptors that are not subscribers: publishers come on top.
pub(crate) const SPARE_FILES: usize = 64;

/// Subscribers behind one loopback source address: below the 28,232 ports that Linux hands out per
/// address.
pub(crate) const SUBSCRIBERS_PER_ADDRESS: usize = 20_000;

/// The wait of an `EventSource` before it reconnects, until the server says otherwise with
/// `retry:`.
pub(crate) const RETRY_DEFAULT: Duration = Duration::from_secs(1);

/// Longest wait a server may ask for; a longer one is cut to this, so that a run ends.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(30);

/// The wait before a connection that was refused is tried again.
pub(crate) const REFUSED_WAIT: Duration = Duration::from_millis(100);

/// Publishes whose fate is unknown (refused, or the connection broke before the answer) that are
/// remembered, so that their absence is no loss. At the edge: the run says that losses may be
/// overstated.
pub(crate) const UNKNOWN_MAX: usize = 1_000_000;

/// Longest run: a forgotten bench must end by itself.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

/// Longest latency told apart; longer ones count as this.
pub(crate) const LATENCY_MAX: Duration = Duration::from_secs(600);
