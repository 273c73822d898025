//! Every bound of the native API and the metrics: its default, why, what it costs, and what happens
//! at the edge. Those that [`Config`](crate::Config) can change are its defaults. The bounds of
//! connections and requests, in `tidings-http`, are here too.

use std::time::Duration;

pub use tidings_http::limits::*;

/// The body of a batch that is published all or nothing, in bytes: it is kept whole in memory. At
/// the edge: a longer one is a stream, of which everything before a bad line is published.
pub const ATOMIC_BATCH_BYTES_MAX: u64 = 1 << 20;

/// What of a stream of events is gathered before it is handed to the store, in bytes of payload.
/// Less is handed over when the publisher pauses.
pub const INGEST_BATCH_BYTES_MAX: usize = 256 << 10;

/// See [`INGEST_BATCH_BYTES_MAX`]; in events.
pub const INGEST_BATCH_EVENTS_MAX: usize = 1024;

/// Batches of one stream of events that wait for the store at once. More than one, so that reading
/// goes on while a disk is written; a stream thus costs at most five batches, about 3 MiB, which
/// count in the room for bodies ([`BODIES_BYTES_MAX`]). At the edge: the stream is not read on, and
/// its publisher waits.
pub const INGEST_BATCHES_MAX: usize = 4;

/// Time between two parts of a stream of events. Long, for a stream may well be somebody's idle
/// pipe; not for ever, for the peer may be gone. At the edge: 408.
pub const INGEST_PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Topics that one request for metrics may ask about: each is a time series. At the edge: 400.
pub const METRICS_TOPICS_MAX: usize = 64;

/// Matchers of one subscription. Each new event of interest to a group is tested against them. At
/// the edge: 400.
pub const MATCHERS_MAX: usize = 100;

/// What `?last=` may ask for. The store looks back so far while the subscriber waits. At the edge:
/// 400.
pub const LAST_MAX: usize = 10_000;

/// Events on a page of history unless `?limit=` says otherwise.
pub const PAGE_EVENTS: usize = 100;

/// What `?limit=` may ask for. At the edge: 400. A page also ends at
/// [`PAGE_BYTES_MAX`](tidings_engine::limits::PAGE_BYTES_MAX).
pub const PAGE_EVENTS_MAX: usize = tidings_engine::limits::PAGE_RECORDS_MAX;

/// What `?wait=` may ask for: less than the minute after which proxies commonly give up. At the
/// edge: 400.
pub const WAIT_MAX: Duration = Duration::from_secs(55);

/// A long poll that found nothing looks again at the earliest after this time: on a busy hub every
/// event wakes every long poll, and most are not meant.
pub const WAIT_PAUSE: Duration = Duration::from_millis(20);

/// Topics on a page of `/topics`, and what `?limit=` may ask for. At the edge: 400.
pub const TOPICS: usize = 100;

/// See [`TOPICS`].
pub const TOPICS_MAX: usize = 1000;

/// At most one line in the log about requests for which the store could not be read in this time.
pub const READ_FAILURE_LOG_PAUSE: Duration = Duration::from_secs(10);
