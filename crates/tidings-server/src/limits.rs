//! Every bound of the native API and the metrics: its default, why, what it costs, and what happens
//! at the edge. Those that [`Config`](crate::Config) can change are its defaults. The bounds of
//! connections and requests, in `tidings-http`, are here too, by name: with `*`, one of ours could
//! take the place of another with the same name.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Shortest page of history that is compressed, in bytes: a shorter one fits into a packet anyway.
pub(crate) const GZIP_BODY_BYTES_MIN: usize = 512;

pub use tidings_http::limits::{
    ACCEPT_PAUSE, ANSWER_PATIENCE, ANSWERS_MAX, BACKLOG, BEAT_INTERVAL, BODIES_BYTES_MAX,
    BODY_PAUSE_MAX, BODY_RATE_MIN, CLAIM_MATCHERS_MAX, CLAIM_PAYLOAD_BYTES_MAX,
    CLAIM_TOKEN_BYTES_MAX, CONNECTION_WINDOW_BYTES, CONNECTIONS_MAX, DENIALS_MAX, DENIALS_TOLD,
    EVENT_BYTES_CEILING, EVENT_BYTES_MAX, EVENT_RETRY, EXCESS_CONNECTIONS_MAX, FIELD_BYTES_MAX,
    FIRST_WORD_MAX, HEAD_BYTES_MAX, HEAD_BYTES_MIN, HEAD_FIELDS_MAX, HEAD_TIME_MAX,
    HEARD_BYTES_MAX, HUB_MESSAGE_BYTES_MAX, HUBS_MAX, HUBS_QUESTIONS_MAX, IDLE_MAX,
    KEY_SET_AGE_MAX, KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX, KEY_SET_PAUSE, KEY_SET_WAIT_MAX,
    LEEWAY_MAX, LIFTED_DENIALS_MAX, LINGER_MAX, LINK_AGE_CEILING, LINK_AGE_MAX, LINK_KEYS_MAX,
    MERGES_MAX, PING_INTERVAL, PING_TIMEOUT, RATES_MAX, READ_BYTES_MAX, RESERVE_CONNECTIONS,
    RESERVE_TIME_MAX, SILENCE_MAX, STOP_LINGER_MAX, STREAM_BYTES_FREE, STREAM_SEND_BYTES_MAX,
    STREAM_WINDOW_BYTES, STREAMS_MAX, TELL_INTERVAL, TLS_SEND_BYTES_MAX, TOKEN_KEPT,
    TOKENS_KEPT_MAX,
};
pub use tidings_http::limits::{
    AUTHORIZE_ANSWER_BYTES_MAX, AUTHORIZE_CACHE, AUTHORIZE_CACHE_REFUSED, AUTHORIZE_CONCURRENCY,
    AUTHORIZE_CREDENTIAL_BYTES_MAX, AUTHORIZE_EXPIRES_MAX, AUTHORIZE_GRANTS_KEPT_MAX,
    AUTHORIZE_REFUSALS_KEPT_MAX, AUTHORIZE_RULES_MAX, AUTHORIZE_STALE_MAX,
    AUTHORIZE_SUBJECT_BYTES_MAX, AUTHORIZE_TIMEOUT, AUTHORIZE_URL_BYTES_MAX, AUTHORIZE_WAIT,
    AUTHORIZE_WAITING,
};
pub use tidings_http::limits::{
    NOTIFY_BATCH_BYTES_MAX, NOTIFY_BATCH_FACTS_MAX, NOTIFY_FACT_BYTES_MAX, NOTIFY_INTERVAL,
    NOTIFY_LAST_MAX, NOTIFY_PAUSE, NOTIFY_QUEUE_BYTES_MAX, NOTIFY_QUEUE_FACTS_MAX,
    NOTIFY_RECEIVERS_MAX, NOTIFY_REFUSALS_MAX, NOTIFY_RETRY_AFTER_MAX, NOTIFY_SECRET_BYTES,
    NOTIFY_SECRETS_MAX, NOTIFY_TIMEOUT,
};

/// Maximum body of a batch that is published all or nothing, in bytes: it is kept whole in memory.
/// At the edge: a longer one is a stream, of which everything before a bad line is published.
pub const ATOMIC_BATCH_BYTES_MAX: u64 = 1 << 20;

/// Bytes of payload that a stream of events gathers before it hands them to the store. Less is
/// handed over when the publisher pauses.
pub const INGEST_BATCH_BYTES_MAX: usize = 256 << 10;

/// See [`INGEST_BATCH_BYTES_MAX`]; in events.
pub const INGEST_BATCH_EVENTS_MAX: usize = 1024;

/// Maximum batches of one stream of events that wait for the store at once. More than one, so that
/// reading continues during a write to disk; a stream thus costs at most five batches, about 3 MiB,
/// which count in the room for bodies ([`BODIES_BYTES_MAX`]). At the edge: the stream is not read,
/// and its publisher waits.
pub const INGEST_BATCHES_MAX: usize = 4;

/// Maximum time between two parts of a stream of events. Long, because a stream may be an idle
/// pipe; not forever, because the peer may be gone. At the edge: 408.
pub const INGEST_PAUSE_MAX: Duration = Duration::from_secs(3600);

/// The data of a last will, in bytes: it stands in the URL, and is kept in memory as long as its
/// publisher is there. At the edge: 400.
pub const WILL_BYTES_MAX: usize = 4 << 10;

/// Time between the loss of a publisher and its last will, in which another may take its place:
/// enough to restart a program.
pub const WILL_LOST: Duration = Duration::from_secs(30);

/// Range of `?lost=`. At the edge: 400.
pub const WILL_LOST_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);

/// Range of `?ttl=`: whole seconds, as history drops an event within one. At the edge: 400.
pub const TTL_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 60 * 60);

/// Maximum topics in one request for metrics: each is a time series. At the edge: 400.
pub const METRICS_TOPICS_MAX: usize = 64;

/// Maximum matchers of one subscription. Each new event of interest to a group is tested against
/// them. At the edge: 400.
pub const MATCHERS_MAX: usize = 100;

/// Maximum of `?last=`. The store looks back this far while the subscriber waits. At the edge: 400.
pub const LAST_MAX: usize = 10_000;

/// Events on a page of history unless `?limit=` says otherwise.
pub const PAGE_EVENTS: usize = 100;

/// Maximum of `?limit=`. At the edge: 400. A page also ends at
/// [`PAGE_BYTES_MAX`](tidings_engine::limits::PAGE_BYTES_MAX).
pub const PAGE_EVENTS_MAX: usize = tidings_engine::limits::PAGE_RECORDS_MAX;

/// Maximum of `?wait=`: less than the minute after which proxies commonly give up. At the edge:
/// 400.
pub const WAIT_MAX: Duration = Duration::from_secs(55);

/// Minimum time before a long poll that found nothing looks again: on a busy hub every event wakes
/// every long poll, and concerns few of them.
pub const WAIT_PAUSE: Duration = Duration::from_millis(20);

/// Topics on a page of `/topics` unless `?limit=` says otherwise.
pub const TOPICS: usize = 100;

/// Maximum of that `?limit=`. At the edge: 400.
pub const TOPICS_MAX: usize = 1000;

/// Time after which a publisher should repeat an event of which the store did not say whether it
/// has it.
pub const UNDECIDED_RETRY: Duration = Duration::from_secs(2);

/// Interval with at most one line in the log about requests for which the store could not be read.
pub const READ_FAILURE_LOG_PAUSE: Duration = Duration::from_secs(10);

/// Connections on a page of `/connections` unless `?limit=` says otherwise.
pub const LISTED_CONNECTIONS: usize = 100;

/// Maximum of that `?limit=`. At the edge: 400.
pub const LISTED_CONNECTIONS_MAX: usize = 1000;

/// Maximum length of the body that renews a stream's token. At the edge: 413.
pub const HANDLE_BODY_BYTES_MAX: usize = 256;

/// Maximum of `?deny=`. At the edge: 400.
pub const DENY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a request that erases events waits until their bytes are gone. At the edge: 202, and
/// the same request, sent again, waits for it.
pub const ERASE_PATIENCE: Duration = Duration::from_secs(30);
