//! Every bound in the client: its default, why, what it costs, and what happens at the edge.

use std::time::Duration;

pub use tidings_codec::limits::EVENT_BYTES_MAX;

/// The wait before reconnecting, as long as the server has named none: 3 seconds.
///
/// *Why*: the standard asks for "a few seconds" (HTML §9.2.2), and browsers take 3 to 5.
pub const RECONNECTION_TIME_DEFAULT: Duration = Duration::from_secs(3);

/// The longest wait a server can impose with `retry:` or `Retry-After`: 24 hours.
///
/// *Why*: a server may well ask for more than our own [cap](BACKOFF_MAX), to shed load or because
/// nothing is left to come back for, and a Tidings hub lets publishers ask for a day; but a typing
/// error on its side must not silence a client for ever. *At the edge*: the 24 hours are waited.
pub const RECONNECTION_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest wait a server can impose with `retry:` or `Retry-After`: 100 milliseconds, as long
/// as [`BACKOFF_MIN`]. *At the edge*: the 100 milliseconds are waited.
pub const RECONNECTION_TIME_MIN: Duration = BACKOFF_MIN;

/// The shortest wait before reconnecting, unless a [`floor`](crate::Backoff::floor) of its own is
/// given: 100 milliseconds.
///
/// *Why*: `retry: 0` is legal, and a server that sends it and then closes every connection would
/// have us connect as fast as the machine can.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The longest wait our own growth leads to, unless told otherwise: 30 seconds.
///
/// *Why*: when a server has been away for long, this is how much longer its users notice it than
/// need be.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How long a connection must have been open to count as healthy without an event: 10 seconds.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// The most redirects followed for one attempt: 20, as in the Fetch standard (§4.4).
///
/// *At the edge*: [`ReadError::Redirect`](crate::ReadError::Redirect).
pub const REDIRECTS_MAX: u32 = 20;

/// The most bytes kept of the body of an answer that ends a source: 64 KiB.
///
/// *Why*: enough for any message meant for people or for a problem document. *At the edge*: the
/// body is cut there, and marked as cut.
pub const REFUSAL_BODY_BYTES_MAX: usize = 64 * 1024;

/// The longest wait for that body: 5 seconds. *At the edge*: what has come by then is the body.
pub const REFUSAL_BODY_WAIT_MAX: Duration = Duration::from_secs(5);

/// The longest wait for a connection to be made, with its name looked up and TLS agreed on: 30
/// seconds. *At the edge*: a network error, and so another attempt.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(30);

/// HTTP/1.1: the most fields in the head of an answer: 1,000.
///
/// *Why*: a proxy that adds to what it passes on can come to more than a hundred, where servers
/// usually stop. *Cost*: some 100 KiB while a head is read. *At the edge*:
/// [`ReadError::Malformed`](crate::ReadError::Malformed), for good: the next answer would be the
/// same.
pub const ANSWER_FIELDS_MAX: usize = 1000;

/// When a connection has carried nothing for this long, the kernel asks whether the peer is there.
pub(crate) const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// HTTP/2: how much of one stream may be under way, unread: 1 MiB.
///
/// *Why*: 10 MB/s at a round trip of 100 ms. *Cost*: the most one stream that nobody reads can
/// take. That is the bytes, and about 100 bytes for each frame they came in: 12 MiB if every frame
/// is an event as small as they get. *At the edge*: the server waits.
pub const HTTP2_STREAM_WINDOW: u32 = 1024 * 1024;

/// HTTP/2: how much of a whole connection may be under way, unread: 1 GiB.
///
/// *Why*: this is not there to bound memory, which the windows of the streams do. But h2 gives a
/// connection a budget for unread small frames of half this window, takes up to 256 bytes of it for
/// each such frame, and ends the connection (ENHANCE_YOUR_CALM) when it is spent. An event stream
/// is a great many small frames: one stream that is full of them, unread, spends 28 MiB. So this is
/// room for eighteen of them. With 16 MiB, one burst that outran its reader was the end.
pub const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024 * 1024;

/// How long a publish may take, with its answer, before it is tried again: 30 seconds.
pub const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(30);

/// The first wait before a publish is tried again, and the longest.
pub const PUBLISH_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(5));

/// How often one publish is tried again before its caller hears of the failure: 5 times.
pub const PUBLISH_RETRIES_MAX: u32 = 5;

/// The most bytes of an answer to a publish: 64 KiB. *At the edge*: what has come is taken for all.
pub const PUBLISH_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How many events one request of a publishing stream carries: 16,384.
///
/// *Why*: a stream is cut into requests so that there is an answer, now and then, that says what is
/// stored. Only what has no answer yet must be kept for another try.
pub const PUBLISH_SEGMENT_EVENTS_MAX: usize = 16 * 1024;

/// How many bytes one request of a publishing stream carries: 4 MiB, or one event if that is
/// larger.
///
/// *Cost*: a publishing stream keeps so much in memory, once.
pub const PUBLISH_SEGMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a request of a publishing stream may pause before it is ended, so that its answer
/// comes: 5 seconds. What is sent afterwards begins a new one.
///
/// *Why*: so that what is on its way is soon known to be stored, and need not be kept; and because
/// hubs, and proxies before them, end requests that pause for long.
pub const PUBLISH_SEGMENT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The most pieces of a publishing stream that wait for the network: 16. *At the edge*: sending
/// waits.
pub(crate) const PUBLISH_PIECES_WAITING_MAX: usize = 16;

/// Lines of a publishing stream are sent in pieces of about this many bytes: 16 KiB.
pub(crate) const PUBLISH_PIECE_BYTES: usize = 16 * 1024;
