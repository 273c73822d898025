//! Every bound of connections and requests: its default, why, what it costs, and what happens at
//! the edge. Those that [`HttpConfig`](crate::HttpConfig) can change are its defaults.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Maximum payload of one event, in bytes. An event is in memory a few times on its way (request,
/// draft, frame), and a subscriber receives it whole. At the edge: 413.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The highest value for [`EVENT_BYTES_MAX`]: what our own decoder accepts, less room for the other
/// fields.
pub const EVENT_BYTES_CEILING: usize = tidings_codec::limits::EVENT_BYTES_MAX - (64 << 10);

/// Maximum event type or id of a publisher, in bytes. Each delivery carries them; an id comes back
/// in a request head. At the edge: 400.
pub const FIELD_BYTES_MAX: usize = 1024;

/// Bytes that a stream of events may hold without counting in the room for bodies
/// ([`BODIES_BYTES_MAX`]): a typical line, cut by the end of a packet. At the edge: it takes room,
/// and the unfinished event must arrive at the minimum rate ([`BODY_RATE_MIN`]).
pub const STREAM_BYTES_FREE: usize = 4 << 10;

/// Maximum time between two parts of any other body. At the edge: 408.
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

/// Maximum time for a request head, from its first byte. At the edge: 408, and the connection is
/// closed.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// Time without a request after which a connection is closed. More than the minute that proxies
/// commonly keep theirs, so that they are the ones to close.
pub const IDLE_MAX: Duration = Duration::from_secs(75);

/// Maximum request head, in bytes: the longest topic, percent-encoded, and a token. Also the bytes
/// of a body that are read at a time. At the edge: 431.
pub const HEAD_BYTES_MAX: usize = 32 << 10;

/// The lowest value for [`HEAD_BYTES_MAX`]: room for a token.
pub const HEAD_BYTES_MIN: usize = 4 << 10;

/// Bytes that are read from an HTTP/1.1 connection at a time. What [`HEAD_BYTES_MAX`] can be raised
/// to.
pub const READ_BYTES_MAX: usize = 64 << 10;

/// Bytes of a request, head and body, that may be read and answered without the HTTP library. At
/// the edge: the library reads it.
pub(crate) const SHORT_REQUEST_BYTES_MAX: usize = 8 << 10;

/// Maximum time for the body of such a request after its head: many clients send the two one right
/// after the other. At the edge: the library reads it.
pub(crate) const SHORT_BODY_WAIT_MAX: Duration = Duration::from_millis(20);

/// Bytes in the body of a response that may be written without it. At the edge: it writes it.
pub(crate) const SHORT_ANSWER_BYTES_MAX: usize = 4 << 10;

/// Maximum fields in a request head. This is the HTTP library's own limit, for which it uses the
/// stack. At the edge: 431.
pub const HEAD_FIELDS_MAX: usize = 100;

/// Maximum concurrent connections. Each costs a task and buffers, about 16 KiB. At the edge: new
/// ones take the places of [`RESERVE_CONNECTIONS`].
pub const CONNECTIONS_MAX: usize = 16_384;

/// Connections beyond [`CONNECTIONS_MAX`] on which only probes are answered, and other clients are
/// asked to come back later: a full hub is neither dead nor silent. At the edge: new ones wait in
/// the system's queue.
pub const RESERVE_CONNECTIONS: usize = 32;

/// Maximum time for one of [`RESERVE_CONNECTIONS`], from its first byte to its last: a probe is one
/// small request. At the edge: it is cut.
pub const RESERVE_TIME_MAX: Duration = Duration::from_secs(2);

/// Connections beyond the limit of one address
/// ([`HttpConfig::connections_per_address_max`](crate::HttpConfig)) whose requests are still
/// answered, with the reason. At the edge: a new one is closed at once.
pub const EXCESS_CONNECTIONS_MAX: u32 = 16;

/// Maximum publishers whose rate is tracked, if there is a limit for it: those of the last second.
/// Each costs about 32 bytes. At the edge: further ones share one allowance.
pub const RATES_MAX: usize = 65_536;

/// Connections that the system holds until they are accepted: a burst of reconnecting subscribers.
/// The system has a limit of its own (`net.core.somaxconn`). At the edge: a client's connect is
/// retried a second later.
pub const BACKLOG: i32 = 4096;

/// Pause of the listener after a failed accept, first and maximum: it doubles.
pub const ACCEPT_PAUSE: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_millis(1000));

/// Maximum concurrent streams on one HTTP/2 connection: a proxy may send all its subscribers
/// through one. Each costs about 3 KiB. At the edge: the client waits.
pub const STREAMS_MAX: u32 = 1024;

/// Maximum unsent bytes of one HTTP/2 stream: more would only be memory that a slow reader holds.
pub const STREAM_SEND_BYTES_MAX: usize = 32 << 10;

/// Maximum bytes that a TLS connection holds before encrypting or sending them: one record (RFC
/// 8446 §5.1). At the edge: HTTP waits, and so does the writer.
pub const TLS_SEND_BYTES_MAX: usize = 16 << 10;

/// Bytes that an HTTP/2 client may send before we have read them: per stream, and per connection.
pub const STREAM_WINDOW_BYTES: u32 = 256 << 10;

/// See [`STREAM_WINDOW_BYTES`].
pub const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Interval of pings on a silent HTTP/2 connection, which is cut if no answer arrives in time.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);

/// See [`PING_INTERVAL`].
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the rest of a request is read and discarded after an answer that did not need it:
/// otherwise the system would reset the connection, and the client would never see the answer.
pub const LINGER_MAX: Duration = Duration::from_secs(2);

/// The same after the answer to a publisher whose topic somebody else has ended. Short, for some
/// clients look at an answer only when they can no longer write. At the edge: the connection is
/// reset.
pub const STOP_LINGER_MAX: Duration = Duration::from_millis(50);

/// Maximum verified tokens that are remembered. Each costs its own length and its matchers, about 1
/// KiB. At the edge: all are forgotten, and verified again on their next use.
pub const TOKENS_KEPT_MAX: usize = 1024;

/// Age at which the keys of a set at a URL are read again.
pub const KEY_SET_AGE_MAX: Duration = Duration::from_secs(600);

/// Minimum time between two attempts to read a key set. At the edge: tokens are verified with the
/// known keys.
pub const KEY_SET_PAUSE: Duration = Duration::from_secs(5);

/// Maximum time to read a key set, while the requests that need it wait. At the edge: the same.
pub const KEY_SET_WAIT_MAX: Duration = Duration::from_secs(5);

/// Maximum size of a key set, in bytes. At the edge: it is not read.
pub const KEY_SET_BYTES_MAX: usize = 256 << 10;

/// Maximum keys of a set. At the edge: the rest are not used.
pub const KEY_SET_KEYS_MAX: usize = 100;

/// How long a verified token is accepted without verifying it again: the time after which a revoked
/// key no longer works.
pub const TOKEN_KEPT: Duration = Duration::from_secs(60);

/// During a shutdown, the maximum time for the first byte of a connection that has sent nothing
/// yet. At the edge: it is cut.
pub const FIRST_WORD_MAX: Duration = Duration::from_millis(500);

/// Longest wait for a thread that waits for a disk. At the edge: the connection is served without
/// it.
pub(crate) const BLOCKED_PATIENCE: Duration = Duration::from_millis(50);

/// How often it is looked whether such a thread is back.
pub(crate) const BLOCKED_PAUSE: Duration = Duration::from_millis(1);

/// How often a long-lived request checks whether its token has expired by the wall clock.
pub(crate) const EXPIRY_LOOK: Duration = Duration::from_secs(60);

/// `SETTINGS`, `PING` and empty `DATA` frames that one HTTP/2 connection may send in a burst:
/// clients send a few, or a ping for every round trip if they measure the connection. At the edge:
/// the connection is closed.
pub(crate) const CONTROL_FRAMES_BURST: u32 = 1_000;

/// How many more of them may come per second.
pub(crate) const CONTROL_FRAMES_PER_S: u32 = 100;

/// Shortest and longest reconnection time that an event can set for its subscribers (`retry`). Any
/// shorter, and all of them would storm a hub that is down; any longer, and they would never come
/// back. At the edge: the nearer of the two is sent.
pub const EVENT_RETRY: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);

/// Maximum number of matchers or words in a list of the claim `tidings`. At the edge: 401.
pub const CLAIM_MATCHERS_MAX: usize = 100;

/// Maximum length of the `payload` in the claim `tidings`, as JSON. At the edge: 401.
pub const CLAIM_PAYLOAD_BYTES_MAX: usize = 1 << 10;

/// Maximum length of a token with the claim `tidings`. At the edge: 401.
pub const CLAIM_TOKEN_BYTES_MAX: usize = 8 << 10;

/// Maximum number of keys that sign links. At the edge: the configuration is wrong.
pub const LINK_KEYS_MAX: usize = 8;

/// Default and maximum time that a signed link may be good for. At the edge: 401.
pub const LINK_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The most that [`LINK_AGE_MAX`] can be set to: links are copied, and nobody can revoke one alone.
pub const LINK_AGE_CEILING: Duration = Duration::from_secs(7 * 24 * 3600);

/// Maximum time that a token is accepted before `nbf` and after `exp`: clocks differ by seconds.
pub const LEEWAY_MAX: Duration = Duration::from_secs(60);

/// Default time between `tidings.expiring` and the end of a grant.
pub const EXPIRING_BEFORE: Duration = Duration::from_secs(30);

/// Renewals of one stream's token in a second. At the edge: 429.
pub const STREAM_RENEWALS_PER_S: NonZeroU64 = NonZeroU64::new(1).expect("more than none");

/// Default age at which a session ends unless it is renewed.
pub const SESSION_AGE_MAX: Duration = Duration::from_secs(12 * 3600);

/// The most that [`SESSION_AGE_MAX`] can be set to: a stolen cookie works until its end.
pub const SESSION_AGE_CEILING: Duration = Duration::from_secs(30 * 24 * 3600);

/// Maximum length of a session's cookie without its name: browsers drop a cookie of more than 4,096
/// bytes without a word. At the edge: 400.
pub const SESSION_BYTES_MAX: usize = 3900;

/// Renewals of one session in a second. At the edge: 429.
pub const SESSION_RENEWALS_PER_S: NonZeroU64 = NonZeroU64::new(10).expect("more than none");

/// Maximum number of sessions that were ended before their time and are remembered until then; each
/// costs about 40 bytes. At the edge: 507, and the session goes on until its end; none is forgotten
/// for another.
pub const REVOKED_SESSIONS_MAX: usize = 100_000;

/// Maximum number of denials in force. At the edge: 507; none is dropped for another.
pub const DENIALS_MAX: usize = 10_000;

/// Maximum number of denials that were lifted before their end and are remembered for other hubs.
/// At the edge: the one that would end first is forgotten, and a hub that was away may bring it
/// back until then.
pub const LIFTED_DENIALS_MAX: usize = 10_000;

/// Interval at which a hub of a shared log says that it is there, and repeats what must arrive.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(2);

/// Interval at which a hub tells the others what is new, such as subscriptions: several at once.
pub const TELL_INTERVAL: Duration = Duration::from_millis(250);

/// Silence after which a hub counts as gone. Longer than some lost messages, and short enough for
/// its subscribers to be off the lists within 10 seconds. At the edge: what it said is forgotten.
pub const SILENCE_MAX: Duration = Duration::from_secs(8);

/// Time that the other hubs have to answer a question. At the edge: the answer is that of fewer
/// hubs, and says so.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// Maximum number of other hubs on the same log. Each answers every question. At the edge: further
/// ones are not heard.
pub const HUBS_MAX: usize = 64;

/// Maximum bytes of a message between hubs: half of what every server of a shared log must take. At
/// the edge: the message is not sent, which counts as lost.
pub const HUB_MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Maximum bytes of messages of other hubs that wait to be handled. At the edge: further ones are
/// lost, and what they said is asked for again.
pub const HEARD_BYTES_MAX: usize = 16 << 20;

/// Maximum questions to other hubs at once. At the edge: the next one waits for an earlier one,
/// [`ANSWER_PATIENCE`] each.
pub const HUBS_QUESTIONS_MAX: usize = 64;

/// Maximum answers to other hubs at once. At the edge: a question is not answered, and the
/// result at its sender says so.
pub const ANSWERS_MAX: usize = 64;

/// Denials in one message between hubs.
pub const DENIALS_TOLD: usize = 1000;

/// Sessions that were ended, in one message between hubs.
pub const SESSIONS_TOLD: usize = 1000;

/// Maximum messages about denials and ended sessions that are merged at once. At the edge: they
/// come again with the next beat.
pub const MERGES_MAX: usize = 4;

/// Maximum number of rules by which a backend is asked. At the edge: the configuration is wrong.
pub const AUTHORIZE_RULES_MAX: usize = 8;

/// Default time that a positive answer of a backend is kept.
pub const AUTHORIZE_CACHE: Duration = Duration::from_secs(30);

/// Default time that a negative answer is kept: somebody who has just signed in tries again.
pub const AUTHORIZE_CACHE_REFUSED: Duration = Duration::from_secs(2);

/// Default maximum time for an answer. At the edge: the question has failed.
pub const AUTHORIZE_TIMEOUT: Duration = Duration::from_secs(2);

/// Default maximum number of questions at once, for each rule: half of what a small backend has as
/// workers, and enough for 320 a second at 100 ms each. At the edge: further ones wait.
pub const AUTHORIZE_CONCURRENCY: usize = 32;

/// Default maximum number of questions that wait, for each rule. At the edge: soft refusal.
pub const AUTHORIZE_WAITING: usize = 1024;

/// Default maximum time that a question waits. At the edge: soft refusal.
pub const AUTHORIZE_WAIT: Duration = Duration::from_secs(3);

/// Default time after the end of an answer for which it counts while the backend fails.
pub const AUTHORIZE_STALE_MAX: Duration = Duration::from_secs(15 * 60);

/// Maximum time that an answer can be good for. At the edge: it is good for this time.
pub const AUTHORIZE_EXPIRES_MAX: Duration = Duration::from_secs(24 * 3600);

/// Maximum number of positive answers that are kept, about 300 bytes each. At the edge: the half
/// that was not used for longest is forgotten, and asked again.
pub const AUTHORIZE_GRANTS_KEPT_MAX: usize = 49_152;

/// The same of negative answers, which invented credentials cause.
pub const AUTHORIZE_REFUSALS_KEPT_MAX: usize = 16_384;

/// Maximum length of what is sent of a client: a session that is all in its cookie has up to 4 KiB.
/// At the edge: 400.
pub const AUTHORIZE_CREDENTIAL_BYTES_MAX: usize = 6 << 10;

/// Maximum length of a question's URL. At the edge: 400.
pub const AUTHORIZE_URL_BYTES_MAX: usize = 8 << 10;

/// Maximum length of an answer. At the edge: the question has failed.
pub const AUTHORIZE_ANSWER_BYTES_MAX: usize = 64 << 10;

/// Maximum length of an answer's head. At the edge: the question has failed.
pub(crate) const AUTHORIZE_HEAD_BYTES_MAX: usize = 64 << 10;

/// Maximum length of an answer's `sub`. At the edge: the question has failed.
pub const AUTHORIZE_SUBJECT_BYTES_MAX: usize = 256;

/// Time that a connection to a backend is kept for the next question: less than the five seconds
/// after which common application servers close theirs.
pub(crate) const AUTHORIZE_IDLE_MAX: Duration = Duration::from_secs(4);

/// Failures in a row after which only one question in a while is asked.
pub(crate) const AUTHORIZE_FAILURES_MAX: u32 = 5;

/// Pause before each of these questions, first and maximum: it doubles.
pub(crate) const AUTHORIZE_PROBE_PAUSE: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(10));

/// Keys of session tickets that are accepted. At the edge: the oldest is forgotten, and its tickets
/// are good for nothing.
pub const TICKET_KEYS_MAX: usize = 2;

/// Age of the newest key of session tickets at which there is another one.
pub const TICKET_KEY_AGE_MAX: Duration = Duration::from_secs(6 * 3600);

/// Age at which a key of session tickets seals, so that every node has read it by then.
pub const TICKET_KEY_GRACE: Duration = Duration::from_secs(2 * 60);

/// Maximum length of the token in a challenge of a certificate authority. At the edge: 404.
pub(crate) const CHALLENGE_TOKEN_BYTES_MAX: usize = 128;

/// Maximum number of receivers of the news of connections. At the edge: the configuration is
/// wrong.
pub const NOTIFY_RECEIVERS_MAX: usize = 4;

/// Maximum number of secrets of a receiver: the old one and the new one. At the edge: the
/// configuration is wrong.
pub const NOTIFY_SECRETS_MAX: usize = 2;

/// Length of a receiver's secret, in bytes. At the edge: the configuration is wrong.
pub const NOTIFY_SECRET_BYTES: RangeInclusive<usize> = 24..=64;

/// Minimum time between the beginnings of two messages to a receiver.
pub const NOTIFY_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum facts in a message to a receiver. At the edge: the others are in the next one.
pub const NOTIFY_BATCH_FACTS_MAX: usize = 1000;

/// Maximum length of a message to a receiver, about. At the edge: the same.
pub const NOTIFY_BATCH_BYTES_MAX: usize = 256 << 10;

/// Maximum length of the topics in one fact, about. At the edge: it says how many are left out.
pub const NOTIFY_FACT_BYTES_MAX: usize = 16 << 10;

/// Maximum facts that wait for a receiver. At the edge: the oldest are lost, and the next message
/// says how many.
pub const NOTIFY_QUEUE_FACTS_MAX: usize = 50_000;

/// Maximum bytes of facts that wait for a receiver. At the edge: the same.
pub const NOTIFY_QUEUE_BYTES_MAX: usize = 8 << 20;

/// Maximum time for a receiver's answer. At the edge: the message is sent again.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause before a message is sent again, first and maximum: it doubles; ±20 % jitter.
pub const NOTIFY_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The longest `Retry-After` of a receiver that is heeded. At the edge: this counts.
pub const NOTIFY_RETRY_AFTER_MAX: Duration = Duration::from_secs(5 * 60);

/// Times that a receiver may refuse a message. At the edge: the message is given up, and the next
/// one says how many facts are lost.
pub const NOTIFY_REFUSALS_MAX: u32 = 10;

/// Maximum time, when the hub ends, for sending the last news of connections. At the edge: it is
/// not sent.
pub const NOTIFY_LAST_MAX: Duration = Duration::from_secs(2);

/// Threads for calls that block, of all request threads together: reads of history, of which the
/// engine has a few dozen at once, files of denials and sessions, and what an application does.
/// Each ends after ten seconds without work. At the edge: further calls wait for a thread.
pub const REQUEST_BLOCKING_THREADS_MAX: usize = 512;

/// The fewest of them that each request thread has, however many there are, so that calls that
/// hang leave some for others.
pub const REQUEST_BLOCKING_THREADS_MIN: usize = 8;

/// Time for request threads to end, once their connections are cut. At the edge: a thread that a
/// handler blocks is left behind, and the log names it.
pub const REQUEST_THREADS_END_MAX: Duration = Duration::from_secs(2);
