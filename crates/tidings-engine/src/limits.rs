//! Every bound in the engine: its default, why, what it costs, and what happens at the edge.

use std::time::Duration;

/// Drafts that wait for the committer, in bytes. Enough for a batch in the making while another is
/// being synced. At the edge: publishers wait their turn, so a slow disk slows publishers down
/// instead of filling memory.
pub const COMMIT_QUEUE_BYTES_MAX: usize = 32 << 20;

/// Drafts in one batch, in bytes: what one `fsync` covers at most. At the edge: the rest goes into
/// the next batch.
pub const COMMIT_BATCH_BYTES_MAX: usize = 4 << 20;

/// Interval at which a store is checked for a final failure.
pub const STORE_LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// When a read that ended in a panic is worth trying again.
pub const READ_RETRY: Duration = Duration::from_secs(1);

/// How long retention may lag: the committer applies it this often. A store that refuses events
/// looks as often whether it can take them again.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(5);

/// Records in one page of history, and their bytes. At the edge: the reader asks for the next page.
pub const PAGE_RECORDS_MAX: usize = 1000;
/// See [`PAGE_RECORDS_MAX`].
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// Store reads on behalf of HTTP requests under way at once. At the edge: they wait for each other.
pub const STORE_READS_MAX: usize = 32;

/// Frames that wait in one worker's mailbox, in bytes. At the edge: the fan-out waits
/// [`MAILBOX_PATIENCE`], then leaves that worker to read the log by itself, and goes on with the
/// others.
pub const MAILBOX_BYTES_MAX: usize = 8 << 20;

/// Notices that wait in one worker's mailbox. At the edge: they are lost, and those who may have
/// wanted them are closed, so that they come back and learn of it.
pub const MAILBOX_NOTICES_MAX: usize = 16_384;

/// See [`MAILBOX_BYTES_MAX`]. Long enough for a worker that is only busy, short enough for the
/// others not to notice.
pub const MAILBOX_PATIENCE: Duration = Duration::from_millis(20);

/// Records and bytes the fan-out reads from the tail at a time.
pub const TAIL_PAGE_RECORDS_MAX: usize = 1024;
/// See [`TAIL_PAGE_RECORDS_MAX`].
pub const TAIL_PAGE_BYTES_MAX: usize = 256 << 10;

/// How long the fan-out sleeps when nothing is published before it looks whether the hub stops.
pub const TAIL_PATIENCE: Duration = Duration::from_millis(100);

/// How often the fan-out looks at the log while there are no subscribers. The first one that
/// arrives waits so long, once.
pub const UNHEARD_NAP: Duration = Duration::from_millis(5);

/// Threads that read history for those catching up. They mostly wait for the disk.
pub const REPLAY_THREADS: usize = 2;

/// First pages of history read before a further one gets its turn. At the edge: somebody's first
/// missed event waits for one page of somebody else's.
pub const FIRST_IN_A_ROW_MAX: usize = 16;

/// Work that a worker takes out of its mailbox before it writes again: about a millisecond. A
/// message counts as one, a new subscriber as [`ATTACH_WORK`], a notice as one for each subscriber
/// looked at. At the edge: the rest waits for the next turn, and frames do not wait for it.
pub const MAIL_WORK_PER_TURN: usize = 4096;
/// See [`MAIL_WORK_PER_TURN`].
pub const ATTACH_WORK: usize = 16;

/// Questions to workers under way at once, and as many pings. At the edge: they wait for each other
/// up to [`QUESTION_PATIENCE`], and are then not answered.
pub const QUESTIONS_MAX: usize = 16;

/// Writes a worker does before it looks at its mailbox and its sockets again: a third of a
/// millisecond or so.
pub const WRITES_PER_LOOK: usize = 64;

/// Writes after which a worker whose work grows while it works gives way to other threads.
pub const WRITES_PER_PAUSE: usize = 16;

/// How long a worker gives way to others in [`COURTESY_WINDOW`] at most. At the edge: it goes on as
/// everybody does, until the window ends.
pub const COURTESY_MAX: Duration = Duration::from_millis(5);
/// See [`COURTESY_MAX`].
pub const COURTESY_WINDOW: Duration = Duration::from_millis(20);

/// Bytes the kernel holds for a subscriber that are not yet sent. More would only be memory: what
/// is not there is in the ring. At the edge: the subscriber is a cursor until there is room.
pub const UNSENT_BYTES_MAX: u32 = 64 << 10;

/// Bytes that a TLS connection holds sealed but unsent: one record (RFC 8446 §5.1) fits. At the
/// edge: as with [`UNSENT_BYTES_MAX`].
pub const SEALED_BYTES_MAX: usize = 16 << 10;

/// Bytes a response body holds for the HTTP library to take. At the edge: as with
/// [`UNSENT_BYTES_MAX`].
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// Bytes of recent frames that all shards keep together for subscribers who are a little behind. At
/// the edge: they are shortened, and who is further behind reads the log.
pub const RINGS_BYTES_MAX: usize = 128 << 20;

/// Bytes a subscriber may send after its request: it has nothing to say, but a client may pipeline
/// a request. At the edge: the connection is closed.
pub const PEER_BYTES_MAX: u32 = 64 << 10;

/// How long a peer may acknowledge nothing, after it was asked [`PEER_QUESTIONS`] times, before it
/// counts as gone.
pub const PEER_PATIENCE: Duration = Duration::from_secs(60);

/// Retransmissions or window probes in a row that a peer's kernel must have left unanswered. A slow
/// but living peer's kernel answers each.
pub const PEER_QUESTIONS: u8 = 3;

/// After the last moment of a drain's window, those still connected are closed without a word.
pub const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// Connections that are remembered after they ended, for those who ask why. About 200 bytes each.
/// At the edge: the oldest is forgotten.
pub const CLOSED_MAX: usize = 4096;

/// What these may cost together, in bytes: some subscriptions have long names. At the edge: the
/// same.
pub const CLOSED_BYTES_MAX: usize = 4 << 20;

/// Topics whose subscribers a worker counts before it goes on delivering.
pub const TOPICS_PER_QUESTION_MAX: usize = 64;

/// Batches of which it is remembered when they were published, so that deliveries can be timed; 32
/// bytes each. At the edge: a worker that is further behind does not time its delivery.
pub const COMMITS_REMEMBERED_MAX: usize = 4096;

/// How long an answer of a worker is waited for. A turn takes milliseconds. At the edge: the answer
/// goes without that worker.
pub const QUESTION_PATIENCE: Duration = Duration::from_secs(2);

/// Topics that have events in the log. A store on disk keeps 17 to 39 bytes in memory for each, to
/// count them; what they hold counts for retention. At the edge: an event on another topic is
/// refused, others are taken.
pub const TOPICS_MAX: usize = 1_000_000;

/// Topics of a full [`TopicShare`](crate::TopicShare) that are looked up when another one is to
/// begin: some microseconds of the committer. At the edge: the next try looks up the next ones.
pub const TOPIC_SHARE_LOOKS_MAX: usize = 256;
