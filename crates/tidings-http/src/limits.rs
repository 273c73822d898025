//! Every bound of connections and requests: its default, why, what it costs, and what happens at
//! the edge. Those that [`HttpConfig`](crate::HttpConfig) can change are its defaults.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The payload of one event, in bytes. An event is kept whole in memory a few times on its way
/// (request, draft, frame), and a subscriber takes it whole. At the edge: 413.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// What [`EVENT_BYTES_MAX`] can be raised to: what our own decoder accepts, less room for the other
/// fields.
pub const EVENT_BYTES_CEILING: usize = tidings_codec::limits::EVENT_BYTES_MAX - (64 << 10);

/// An event type or id that a publisher brings, in bytes. Each delivery carries them; an id comes
/// back in a request head. At the edge: 400.
pub const FIELD_BYTES_MAX: usize = 1024;

/// What a stream of events may hold without counting in the room for bodies
/// ([`BODIES_BYTES_MAX`]): the usual line that is cut by the end of a packet. At the edge: it takes
/// room, and the event that is begun must come at the lowest rate ([`BODY_RATE_MIN`]).
pub const STREAM_BYTES_FREE: usize = 4 << 10;

/// Time between two parts of any other body. At the edge: 408.
pub const BODY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// The lowest rate at which a body that is read whole must come, in bytes a second, once it has
/// paused for [`BODY_PAUSE_MAX`] in all: a telephone at the edge of its network sends faster, and a
/// body of a megabyte takes two minutes at the most. At the edge: 408.
pub const BODY_RATE_MIN: usize = 8 << 10;

/// All bodies that are read whole, and what streams of events hold, at once, in bytes: 64 of the
/// longest, or some thousands of the usual. More where a single one may be longer
/// ([`EVENT_BYTES_MAX`] times four). At the edge: a body is not read on until there is room, and
/// after [`BODY_PAUSE_MAX`] 503.
pub const BODIES_BYTES_MAX: usize = 64 << 20;

/// Time for a request head, from its first byte on. At the edge: 408, and the connection is closed.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// Time without a request after which a connection is closed. More than the minute that proxies
/// commonly keep theirs, so that they are the ones to close.
pub const IDLE_MAX: Duration = Duration::from_secs(75);

/// A request head, in bytes: a topic of the longest kind, percent-encoded, and a token. Also what
/// is read of a body at a time. At the edge: 431.
pub const HEAD_BYTES_MAX: usize = 32 << 10;

/// What [`HEAD_BYTES_MAX`] can be lowered to: room for a token.
pub const HEAD_BYTES_MIN: usize = 4 << 10;

/// What is read from an HTTP/1.1 connection at a time, in bytes. What [`HEAD_BYTES_MAX`] can be
/// raised to.
pub const READ_BYTES_MAX: usize = 64 << 10;

/// Fields of a request head. The HTTP library's own bound, which it keeps on the stack as long as
/// nobody sets another. At the edge: 431.
pub const HEAD_FIELDS_MAX: usize = 100;

/// Connections at once. Each costs a task and buffers, about 16 KiB. At the edge: new ones have
/// the places of [`RESERVE_CONNECTIONS`].
pub const CONNECTIONS_MAX: usize = 16_384;

/// Connections beyond [`CONNECTIONS_MAX`] on which only probes are answered, and everybody else
/// learns when to come back: a hub that is full is neither dead nor silent. At the edge: new
/// ones wait in the system's queue.
pub const RESERVE_CONNECTIONS: usize = 32;

/// How long one of [`RESERVE_CONNECTIONS`] lasts, from its first byte to its last: a probe is one
/// small request. At the edge: it is cut.
pub const RESERVE_TIME_MAX: Duration = Duration::from_secs(2);

/// Connections that one address may have beyond its bound
/// ([`HttpConfig::connections_per_address_max`](crate::HttpConfig)) and be told so. At the edge: a
/// new one is closed at once.
pub const EXCESS_CONNECTIONS_MAX: u32 = 16;

/// Publishers whose rate is remembered, where there is a bound for it: those of the last second.
/// Each costs about 32 bytes. At the edge: further ones share one allowance.
pub const RATES_MAX: usize = 65_536;

/// Connections that the system holds until they are accepted: a burst of reconnecting subscribers.
/// The system has a bound of its own (`net.core.somaxconn`). At the edge: a connect is tried again,
/// a second later.
pub const BACKLOG: i32 = 4096;

/// How long the listener waits after it could not accept, at first and at the most: it doubles.
pub const ACCEPT_PAUSE: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_millis(1000));

/// Streams at once on one HTTP/2 connection: a proxy may send all its subscribers through one. Each
/// costs about 3 KiB. At the edge: the client waits.
pub const STREAMS_MAX: u32 = 1024;

/// What one HTTP/2 stream may have unsent, in bytes: more would only be memory that a slow reader
/// holds.
pub const STREAM_SEND_BYTES_MAX: usize = 32 << 10;

/// What a TLS connection may hold that is not sealed or not sent, in bytes: one record (RFC 8446
/// §5.1). At the edge: HTTP waits, and with it whoever writes.
pub const TLS_SEND_BYTES_MAX: usize = 16 << 10;

/// What an HTTP/2 client may send before we have read it, in bytes: per stream, and per connection.
pub const STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// See [`STREAM_WINDOW_BYTES`].
pub const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// A silent HTTP/2 connection is asked so often whether it is still there, and cut if no answer
/// comes in time.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);

/// See [`PING_INTERVAL`].
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// After an answer that did not need the rest of the request, the rest is read and thrown away for
/// so long: else the system would reset the connection and the client never see the answer.
pub const LINGER_MAX: Duration = Duration::from_secs(2);

/// The same after the answer to a publisher whose topic somebody else has ended. Short, for some
/// clients look at an answer only when they can no longer write. At the edge: the connection is
/// reset.
pub const STOP_LINGER_MAX: Duration = Duration::from_millis(50);

/// Tokens that are remembered as good. Each costs its own length and its matchers, about 1 KiB. At
/// the edge: all are forgotten, and verified again when they come.
pub const TOKENS_KEPT_MAX: usize = 1024;

/// How old the keys of a set that is read from a URL become before it is read again.
pub const KEY_SET_AGE_MAX: Duration = Duration::from_secs(600);

/// How long after one try to read a key set the next one is made. At the edge: tokens are verified
/// with the keys that are known.
pub const KEY_SET_PAUSE: Duration = Duration::from_secs(5);

/// How long reading a key set may take, during which the requests that need it wait. At the edge:
/// the same.
pub const KEY_SET_WAIT_MAX: Duration = Duration::from_secs(5);

/// Bytes of a key set. At the edge: it is not read.
pub const KEY_SET_BYTES_MAX: usize = 256 << 10;

/// Keys of a set. At the edge: the rest is not used.
pub const KEY_SET_KEYS_MAX: usize = 100;

/// How long a good token is good without another look: the time after which a key that was taken
/// back is of no more use.
pub const TOKEN_KEPT: Duration = Duration::from_secs(60);

/// When the server leaves: how long those who have connected, and said nothing yet, may take for
/// their first word. At the edge: they are cut.
pub const FIRST_WORD_MAX: Duration = Duration::from_millis(500);

/// How often a request that lasts looks at the wall clock for the end of its token.
pub(crate) const EXPIRY_LOOK: Duration = Duration::from_secs(60);

/// `SETTINGS`, `PING` and empty `DATA` frames that one HTTP/2 connection may send at once: clients
/// send a few, those that measure the line a ping for every round trip. At the edge: the connection
/// is closed.
pub(crate) const CONTROL_FRAMES_BURST: u32 = 1_000;

/// How many more of them may come in a second.
pub(crate) const CONTROL_FRAMES_PER_S: u32 = 100;

/// The reconnection time that an event can set for its subscribers (`retry`), shortest and longest.
/// Shorter, and a hub that is away is asked in a storm by everybody; longer, and they never come
/// back. At the edge: the nearest of the two is sent.
pub const EVENT_RETRY: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);
