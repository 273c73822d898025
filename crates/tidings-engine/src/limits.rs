//! Every bound in the engine: its default, the reason, the cost, and what happens at the edge.

use std::time::Duration;

/// Drafts that wait for the committer, in bytes. Enough to collect a batch while another is being
/// synced. At the edge: publishers wait their turn, so a slow disk slows publishers down instead of
/// filling memory.
pub const COMMIT_QUEUE_BYTES_MAX: usize = 32 << 20;

/// Drafts in one batch, in bytes: the most that one `fsync` covers. At the edge: the rest goes into
/// the next batch.
pub const COMMIT_BATCH_BYTES_MAX: usize = 4 << 20;

/// Times that a batch is judged and appended to a shared log: before each time but the first,
/// another hub has stored something that makes a difference for one of its publishers. At the edge:
/// all of them are asked to publish again.
pub const OVERTAKEN_MAX: u32 = 16;

/// Interval at which a store is checked for a final failure.
pub const STORE_LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Time after which a read that ended in a panic may be tried again.
pub const READ_RETRY: Duration = Duration::from_secs(1);

/// Interval at which the committer applies retention. A store that rejects events checks at the
/// same interval whether it can take them again.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(5);

/// Interval at which the engine tells the store the time while nothing is published: later than
/// this after its time to live, no event is read from history.
pub const TIME_INTERVAL: Duration = Duration::from_secs(1);

/// Records in one page of history, and their bytes. At the edge: the reader asks for the next page.
pub const PAGE_RECORDS_MAX: usize = 1000;
/// See [`PAGE_RECORDS_MAX`].
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// Attempts to read a first page whose start retention drops meanwhile. At the edge: the request is
/// answered that the store cannot be read, and its client asks again.
pub const PAGE_TRIES: usize = 4;

/// Concurrent store reads for HTTP requests. At the edge: further reads wait.
pub const STORE_READS_MAX: usize = 32;

/// Frames that wait in one worker's mailbox, in bytes. At the edge: the fan-out waits
/// [`MAILBOX_PATIENCE`], then leaves that worker to read the log by itself, and continues with the
/// others.
pub const MAILBOX_BYTES_MAX: usize = 8 << 20;

/// Notices that wait in one worker's mailbox. At the edge: they are lost, and subscribers that may
/// have wanted them are closed, so that they reconnect and learn of it.
pub const MAILBOX_NOTICES_MAX: usize = 16_384;

/// See [`MAILBOX_BYTES_MAX`]. Long enough for a worker that is only busy, and too short for the
/// others to notice.
pub const MAILBOX_PATIENCE: Duration = Duration::from_millis(20);

/// Records that the fan-out reads from the tail at a time.
pub const TAIL_PAGE_RECORDS_MAX: usize = 1024;
/// See [`TAIL_PAGE_RECORDS_MAX`].
pub const TAIL_PAGE_BYTES_MAX: usize = 256 << 10;

/// Batches of the tail that are kept in memory for polls, and their bytes. At the edge: the oldest
/// are dropped, and a poll that needs them reads the store.
pub const RECENT_BATCHES_MAX: usize = 256;
/// See [`RECENT_BATCHES_MAX`].
pub const RECENT_BYTES_MAX: usize = 1 << 20;

/// Longest sleep of the fan-out while nothing is published, before it checks whether the hub is
/// stopping.
pub const TAIL_PATIENCE: Duration = Duration::from_millis(100);

/// Records that the committer fans out itself after a commit. At the edge: it leaves them to the
/// thread of the fan-out, and commits what waits.
pub const LED_RECORDS_MAX: u64 = 256;

/// Rest of the fan-out's thread while the committer does its work. At the edge: the thread looks
/// whether anything was left, so this is the longest that an event waits if something was.
pub const LED_NAP: Duration = Duration::from_millis(5);

/// Interval at which the fan-out checks the log while there are no subscribers. The first one that
/// arrives waits this long, once.
pub const UNHEARD_NAP: Duration = Duration::from_millis(5);

/// Threads that read history for subscribers that are catching up. They mostly wait for the disk.
pub const REPLAY_THREADS: usize = 2;

/// First pages of history read in a row before a further page gets its turn. At the edge: a
/// subscriber's first missed event waits for one page of another subscriber.
pub const FIRST_IN_A_ROW_MAX: usize = 16;

/// Subscribers that a worker closes in a turn: each is a system call or two. When a topic of many
/// subscribers ends, or many leave at once, events of the others go out in between. At the edge:
/// the rest is closed in the next turn.
pub const CLOSES_PER_TURN_MAX: usize = 256;

/// Units of work that a worker takes out of its mailbox before it writes again: about a
/// millisecond. A message counts as one, a new subscriber as [`ATTACH_WORK`], a notice as one for
/// each subscriber looked at. At the edge: the rest waits for the next turn, and frames do not wait
/// for it.
pub const MAIL_WORK_PER_TURN: usize = 4096;
/// See [`MAIL_WORK_PER_TURN`].
pub const ATTACH_WORK: usize = 16;

/// Concurrent queries to workers, and the same number of pings. At the edge: further ones wait up
/// to [`QUESTION_PATIENCE`], and are then not answered.
pub const QUESTIONS_MAX: usize = 16;

/// Writes that a worker makes before it checks its mailbox and its sockets again: about a third of
/// a millisecond.
pub const WRITES_PER_TURN: usize = 64;

/// Writes after which a worker that gets new frames while it writes yields to other threads.
pub const WRITES_PER_YIELD: usize = 16;

/// Longest time that a worker yields to others within [`CPU_YIELD_WINDOW`]. At the edge: it no
/// longer yields until the window ends.
pub const CPU_YIELD_MAX: Duration = Duration::from_millis(5);
/// See [`CPU_YIELD_MAX`].
pub const CPU_YIELD_WINDOW: Duration = Duration::from_millis(20);

/// Unsent bytes that the kernel holds for a subscriber. More would only use memory: the rest is in
/// the ring. At the edge: the subscriber is only a cursor until there is room.
pub const UNSENT_BYTES_MAX: u32 = 64 << 10;

/// Bytes that a TLS connection holds sealed but unsent: one record (RFC 8446 §5.1) fits. At the
/// edge: as with [`UNSENT_BYTES_MAX`].
pub const SEALED_BYTES_MAX: usize = 16 << 10;

/// Bytes that a response body holds for the HTTP library. At the edge: as with
/// [`UNSENT_BYTES_MAX`].
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// Bytes of recent frames that all shards keep together for subscribers that are a little behind.
/// At the edge: they are shortened, and subscribers further behind read the log.
pub const RING_BYTES_MAX: usize = 128 << 20;

/// Bytes that a subscriber may send after its request: it should send none, but a client may
/// pipeline a request. At the edge: the connection is closed.
pub const PEER_BYTES_MAX: u32 = 64 << 10;

/// Time without an acknowledgement, after [`PEER_QUESTIONS`] probes, after which a peer counts as
/// gone.
pub const PEER_PATIENCE: Duration = Duration::from_secs(60);

/// Retransmissions or window probes in a row that a peer's kernel must have left unanswered. A slow
/// but living peer's kernel answers each.
pub const PEER_QUESTIONS: u8 = 3;

/// Time after the end of a drain's window when remaining connections are closed without a farewell.
pub const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// Time that [`Engine::stop`](crate::Engine::stop) waits for what requests have begun and promised,
/// such as an erasure, and the same once more after it has told the rest to give up. At the edge:
/// it is cut, and the log says how much was left.
pub const FINISH_MAX: Duration = Duration::from_secs(2);

/// Requests under way, besides publishes, whose work goes on without them
/// ([`Engine::run_to_end`](crate::Engine::run_to_end)): operators close streams, sessions end. At
/// the edge: further ones wait.
pub const RUNS_TO_END_MAX: usize = 256;

/// Ended connections that are remembered, for operators' queries. About 200 bytes each. At the
/// edge: the oldest is forgotten.
pub const CLOSED_MAX: usize = 4096;

/// Memory that these may take together, in bytes: some subscriptions have long names. At the edge:
/// the same.
pub const CLOSED_BYTES_MAX: usize = 4 << 20;

/// Topics whose subscribers a worker counts before it continues delivering.
pub const TOPICS_PER_QUESTION_MAX: usize = 64;

/// Batches whose time of publishing is remembered, so that deliveries can be timed; 32 bytes each.
/// At the edge: a worker that is further behind does not time its delivery.
pub const COMMITS_REMEMBERED_MAX: usize = 4096;

/// Time to wait for a worker's answer. A turn takes milliseconds. At the edge: the result leaves
/// that worker out.
pub const QUESTION_PATIENCE: Duration = Duration::from_secs(2);

/// Time that a request waits for a position that this node of a shared log does not have yet. Other
/// nodes are milliseconds ahead, seconds after a pause. At the edge: the log is asked for a proof
/// of its head, and a client whose id is still ahead of it is asked to come back.
pub const AHEAD_PATIENCE: Duration = Duration::from_secs(5);

/// Time that a request waits for the proof. At the edge: the client is asked to come back.
pub const HEAD_PROOF_PATIENCE: Duration = Duration::from_secs(3);

/// Time from the beginning of one proof to that of the next: each may cost a write to the log, and
/// anybody can make up an id. At the edge: the next proof waits.
pub const HEAD_PROOF_PAUSE: Duration = Duration::from_secs(1);

/// Interval at which a request that waits for the log looks whether the hub is shutting down.
pub const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Topics with events in the log. A store on disk keeps 17 to 39 bytes in memory for each, to count
/// them; their events count for retention. At the edge: an event on a new topic is rejected, others
/// are taken.
pub const TOPICS_MAX: usize = 1_000_000;

/// Keys with events in the log, in all topics together. Each costs 40 to 72 bytes of memory, and
/// one whose newest event is a piece of a value 40 to 80 bytes more. At the edge: an event with
/// another key is rejected; those that are there may be used on.
pub const KEYS_MAX: usize = 1_000_000;

/// Bytes of a value that grows by pieces, with all of them, unless configured otherwise: as many as
/// one event may have. A reader of the state gets it as one event, and is given memory for it while
/// its page is read. At the edge: the next piece is rejected; the value can be published whole.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// Last wills that wait for what becomes of their publishers. Each costs its text, a few KiB at
/// most. At the edge: another is rejected.
pub const WILLS_MAX: usize = 10_000;

/// Last wills at the other hubs of a shared log that a hub remembers: 64 bytes each. At the edge:
/// further ones are left to the other hubs, and to those that start later.
pub const WILLS_ELSEWHERE_MAX: usize = 100_000;

/// Hubs that have left and are remembered, as a will of theirs may be found later. At the edge: the
/// oldest is forgotten, and wills of it that are found then wait for [`HUB_ASK_INTERVAL`].
pub const LEFT_HUBS_MAX: usize = 64;

/// Time that a hub of a shared log has, once it was asked in the log, to say there that it still
/// runs. At the edge: the wills of its publishers are carried out. Longer than the engine of a log
/// needs for a new leader (5 to 15 seconds), and than most hubs are cut off.
pub const HUB_PATIENCE: Duration = Duration::from_secs(20);

/// Time without a note of a hub that has wills after which it is asked, although no other hub was
/// told that it has left.
pub const HUB_ASK_INTERVAL: Duration = Duration::from_secs(600);

/// Interval at which a hub of a shared log reads what the others have noted about wills, unless it
/// has less time to answer.
pub const NOTES_INTERVAL: Duration = Duration::from_secs(1);

/// Topics of a full [`TopicShare`](crate::TopicShare) that are looked up when another one is to
/// begin: some microseconds of the committer. At the edge: the next try looks up the next ones.
pub const TOPIC_SHARE_LOOKS_MAX: usize = 256;

/// Maximum number of connections that a worker closes when they arrive. At the edge: the oldest
/// are forgotten, which have most probably gone without ever arriving.
pub const DOOMED_MAX: usize = 65_536;

/// Erasures that are under way or wait for one another. At the edge: the request is asked to come
/// back.
pub const ERASURES_MAX: usize = 64;

/// Erasures of which workers have yet to hear, carried out in the copy of a shared log. At the
/// edge: they forget the records of all topics.
pub const FORGETTING_MAX: usize = 64;

/// Records read at once to see whether a key has other events.
pub const ERASE_READ_RECORDS: usize = 4096;

/// Turns for which a worker that is never idle puts off forgetting erased records. At the edge:
/// subscribers that it has yet to write these to are closed, and continue from the log.
pub const ERASED_TURNS_MAX: u32 = 64;

/// How long an erasure waits until subscribers that read the log have what announces it. At the
/// edge: those that have not are closed, and continue from the log.
pub const ERASE_CATCH_UP_PATIENCE: Duration = Duration::from_secs(1);

/// How often it looks whether they do.
pub const ERASE_LOOK_INTERVAL: Duration = Duration::from_millis(10);
