//! Every bound in the client: its default, the reason, the cost, and what happens at the edge.

use std::time::Duration;

pub use tidings_codec::limits::EVENT_BYTES_MAX;

/// Wait before reconnecting, until the server sets one: 3 seconds.
///
/// *Why*: the standard asks for "a few seconds" (HTML §9.2.2), and browsers take 3 to 5.
pub const RECONNECTION_TIME_DEFAULT: Duration = Duration::from_secs(3);

/// The longest wait a server can impose with `retry:` or `Retry-After`: 24 hours.
///
/// *Why*: a server may well ask for more than our own [cap](BACKOFF_MAX), to shed load or because
/// there is no reason to come back soon, and a Tidings hub lets publishers ask for a day; but a
/// typing error on the server must not silence a client for ever. *At the edge*: the wait is 24
/// hours.
pub const RECONNECTION_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest wait a server can impose with `retry:` or `Retry-After`: 100 milliseconds, as long
/// as [`BACKOFF_MIN`]. *At the edge*: the wait is 100 milliseconds.
pub const RECONNECTION_TIME_MIN: Duration = BACKOFF_MIN;

/// The shortest wait before reconnecting, unless a [`floor`](crate::Backoff::floor) of its own is
/// given: 100 milliseconds.
///
/// *Why*: `retry: 0` is legal, and a server that sends it and then closes every connection would
/// make the client reconnect as fast as the machine can.
pub const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The longest wait that growth leads to, unless configured otherwise: 30 seconds.
///
/// *Why*: after a long outage, clients may notice up to this much later than necessary that the
/// server is back.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Time that a connection without an event must be open to count as healthy: 10 seconds.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// The most redirects followed for one attempt: 20, as in the Fetch standard (§4.4).
///
/// *At the edge*: [`ReadError::Redirect`](crate::ReadError::Redirect).
pub const REDIRECTS_MAX: u32 = 20;

/// Bytes kept of the body of an answer that ends a source: 64 KiB.
///
/// *Why*: enough for any message meant for people or for a problem document. *At the edge*: the
/// body is cut there, and marked as cut.
pub const REFUSAL_BODY_BYTES_MAX: usize = 64 * 1024;

/// Longest wait for that body: 5 seconds. *At the edge*: the part received so far is the body.
pub const REFUSAL_BODY_WAIT_MAX: Duration = Duration::from_secs(5);

/// Longest wait for a connection, including name resolution and the TLS handshake: 30 seconds. *At
/// the edge*: a network error, and so another attempt.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(30);

/// HTTP/1.1: fields in the head of an answer: 1,000.
///
/// *Why*: with a proxy that adds fields, a head can have more than a hundred, the usual limit of
/// servers. *Cost*: about 100 KiB while a head is read. *At the edge*:
/// [`ReadError::Malformed`](crate::ReadError::Malformed), for good: the next answer would be the
/// same.
pub const ANSWER_FIELDS_MAX: usize = 1000;

/// Idle time of a connection after which the kernel probes the peer.
pub(crate) const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// HTTP/2: unread bytes of one stream in flight: 1 MiB.
///
/// *Why*: 10 MB/s at a round trip of 100 ms. *Cost*: an unread stream takes these bytes, and about
/// 100 bytes for each frame they came in: 12 MiB if every frame is the smallest possible event. *At
/// the edge*: the server waits.
pub const HTTP2_STREAM_WINDOW: u32 = 1024 * 1024;

/// HTTP/2: unread bytes of a whole connection in flight: 1 GiB.
///
/// *Why*: this does not bound memory; the windows of the streams do. But h2 gives a connection a
/// budget for unread small frames of half this window, takes up to 256 bytes of it for each such
/// frame, and ends the connection (ENHANCE_YOUR_CALM) when it is spent. An event stream consists of
/// many small frames: one stream whose window is full of unread frames uses 28 MiB of the budget.
/// So there is room for eighteen such streams. With 16 MiB, one burst that outran its reader ended
/// the connection.
pub const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024 * 1024;

/// Time that a publish may take, including its answer, before it is retried: 30 seconds.
pub const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(30);

/// Time that the answer to an erasure may take in addition to that of a publish: 30 seconds.
///
/// *Why*: a hub waits this long for the end of an erasure before it answers 202. *At the edge*: the
/// request is sent again, as after any that was not answered.
pub const ERASE_ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Wait before an erasure that is still under way is asked for again: 1 second.
///
/// *Why*: the hub then waits for it by itself; this only bounds the requests at one that does not.
pub const ERASE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// First and longest wait before a publish is retried.
pub const PUBLISH_BACKOFF: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(5));

/// Retries of one publish before the caller gets the error: 5.
pub const PUBLISH_RETRIES_MAX: u32 = 5;

/// Bytes of an answer to a publish: 64 KiB. *At the edge*: the rest is ignored.
pub const PUBLISH_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Events in one request of a publishing stream: 16,384.
///
/// *Why*: a stream is cut into requests so that from time to time an answer confirms what is
/// stored. Only events without an answer must be kept for a retry.
pub const PUBLISH_SEGMENT_EVENTS_MAX: usize = 16 * 1024;

/// Bytes in one request of a publishing stream: 4 MiB, or one event if that is larger.
///
/// *Cost*: a publishing stream keeps this much in memory, once.
pub const PUBLISH_SEGMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest pause in a request of a publishing stream before it is ended, so that its answer comes:
/// 5 seconds. Later events begin a new request.
///
/// *Why*: so that events are soon known to be stored, and need not be kept; and because hubs, and
/// proxies in front of them, end requests that pause for long.
pub const PUBLISH_SEGMENT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Pieces of a publishing stream that wait for the network: 16. *At the edge*: sending waits.
pub(crate) const PUBLISH_PIECES_WAITING_MAX: usize = 16;

/// Lines of a publishing stream are sent in pieces of about this many bytes: 16 KiB.
pub(crate) const PUBLISH_PIECE_BYTES: usize = 16 * 1024;
