//! Every bound in the hub: its default, the reason, the cost, and what happens at the edge.
//!
//! The memory of one subscriber is the sum of: its entry in the shard (under 100 bytes, see
//! [`crate::Shard`]), one entry in its group's list (4 bytes) and one in the timer wheel (8 bytes).
//! A slow subscriber takes no more than a fast one.

/// Longest topic, in bytes. Long enough for a URL with a query. At the edge: the topic is rejected.
pub const TOPIC_BYTES_MAX: usize = 4096;

/// Longest name of a custom matcher, in bytes: a text as long as a topic, and its protocol's
/// prefix. At the edge: the matcher is rejected.
pub const MATCHER_NAME_BYTES_MAX: usize = 2 * TOPIC_BYTES_MAX;

/// Number of custom matchers tested for one topic from which the result is remembered.
pub const KNOWN_TESTS_MIN: usize = 16;

/// Topics for which a shard remembers the custom matchers that match them. Each costs its own
/// length and about 100 bytes. At the edge: all are forgotten, and tested again.
pub const KNOWN_TOPICS_MAX: usize = 16_384;

/// Matches that are remembered for all of these topics together; 4 bytes each. At the edge: the
/// same.
pub const KNOWN_MATCHES_MAX: usize = 1 << 20;

/// Length of a tick, in milliseconds: the resolution of all timers. Heartbeats are seconds apart
/// and jittered anyway.
pub const TICK_MS: u64 = 100;

/// Time without a write, in milliseconds, after which a heartbeat probes a subscriber that has
/// ended its sending side and still has other things to read.
pub const END_LOOK_MS: u64 = 1_000;

/// Ticks in one turn of the timer wheel: 51 seconds, longer than any heartbeat interval. Each costs
/// 24 bytes. Timers further away are looked at once a turn.
pub const TIMER_SLOTS: usize = 512;

/// Bytes a group keeps of its recent frames. A member that falls further behind reads the log
/// instead. At 150 bytes a frame, that is 7,000 frames.
pub const GROUP_BYTES_MAX: usize = 1 << 20;

/// Bytes that all rings of a shard keep together, unless configured otherwise. At the edge: each
/// group that gets a frame is held to [`GROUP_BYTES_TIGHT`], and over twice the bound to its newest
/// frame; members further behind read the log.
pub const RING_BYTES_MAX: usize = 64 << 20;

/// Bytes that a group keeps while the shard's rings together are over their bound.
pub const GROUP_BYTES_TIGHT: usize = 16 << 10;

/// Concurrent reads of the log for subscribers that are catching up, per shard. The others wait
/// their turn; live subscribers are not affected.
pub const CATCH_UP_READS_MAX: usize = 8;

/// Additional concurrent reads for first pages: these are short, and need not wait until the long
/// ones of others are done.
pub const CATCH_UP_FIRST_READS_MAX: usize = 8;

/// Bytes of encoded history read at a time for one subscriber. What a socket does not take at once
/// is read again later, so that a slow reader keeps nothing in memory.
pub const CATCH_UP_PAGE_BYTES_MAX: usize = 128 << 10;

/// Bytes of text that are compressed together: an event, or several of a page of history. A reader
/// whose sink is full in the middle of them keeps the rest in memory. At the edge: the next events
/// are another block, and a larger event is compressed alone, with bytes that can be found again.
pub const BLOCK_TEXT_BYTES_MAX: usize = 4 << 10;

/// Events that are compressed together before one is compressed alone again, at which newcomers can
/// begin. Fewer make every event larger, more make newcomers wait.
pub const WINDOW_EVENTS_MAX: usize = 32;

/// The same, in milliseconds since the first of them.
pub const WINDOW_MS_MAX: u64 = 1_000;

/// Memory for the texts that events refer to, per hub, unless configured otherwise: 12 KiB for each
/// group of subscribers with the same interest to which several events come in a second. At the
/// edge: the events of further groups are compressed alone.
pub const WINDOW_BYTES_MAX: usize = 64 << 20;

/// Records in the first page of history: few, so that the first missed event does not wait until
/// hundreds of others are read from disk. Each further page may have eight times as many, up to
/// [`CATCH_UP_PAGE_RECORDS_MAX`].
pub const CATCH_UP_FIRST_PAGE_RECORDS: usize = 1;

/// Records in one page of history.
pub const CATCH_UP_PAGE_RECORDS_MAX: usize = 4096;

/// Members of a group that are written to before another group gets its turn.
pub const WALK_SLICE: usize = 64;

/// Writes to subscribers with something of their own (a preface, a notice, a page of history)
/// before groups with new frames get a slice of the same size. At the edge: a subscriber that
/// arrives in a crowd waits for a slice of the others' frames, and these wait for a slice of the
/// crowd.
pub const OWN_WRITES_IN_A_ROW_MAX: usize = 64;

/// Notices kept for one subscriber that cannot take them now. Each costs 8 bytes, and about 500
/// bytes shared by all. At the edge: the subscriber is closed, and asked to come back.
pub const NOTICES_PENDING_MAX: usize = 1024;

/// Records that one read in memory may look at when no index narrows it down: about a millisecond
/// with a dozen patterns. At the edge: the page ends, and the reader asks again.
pub const SCAN_RECORDS_MAX: usize = 8192;

/// Records that may be looked at to find the last ones that an interest admits. At the edge: fewer
/// are found.
pub const SEEK_RECORDS_MAX: usize = 65_536;

/// The time to wait before a reconnection that a stream announces with the last end of its topics,
/// in milliseconds: a day. By the standard a client comes back even then (HTML §9.2.3), once, and
/// is answered 204; a client that would reconnect for ever is held off.
pub const END_RETRY_MS: u64 = 86_400_000;

/// Bytes of a [key](crate::Key). It is in every event of the key, and in each answer that names it.
/// At the edge: no key.
pub const KEY_BYTES_MAX: usize = 256;

/// Bytes of a [pointer](crate::Pointer). It is in every piece of a value. At the edge: no pointer.
pub const POINTER_BYTES_MAX: usize = 256;

/// Pieces of growing values that are read at once, and their bytes, when a value is put together.
/// At the edge: the next ones are read after these.
pub const PIECES_READ_RECORDS: usize = 4096;
/// See [`PIECES_READ_RECORDS`].
pub const PIECES_READ_BYTES: usize = 1 << 20;

/// Records that one page of a state may look at while it passes over the pieces of a value: 20 ms
/// of a thread that reads history. At the edge: the page ends, and the pieces that it has passed
/// are read once more with the page that has the value.
pub const PIECES_LOOK_RECORDS: usize = 65_536;

/// Bytes of these pieces' data that one page puts together on its way. At the edge: the values are
/// read once more by the index of their topic.
pub const PIECES_HELD_BYTES: usize = 4 << 20;

/// Records read at once when the slots of a log are looked up in the log itself.
pub const SLOTS_READ_RECORDS: usize = 4096;

/// Notes of such records that are held when a log is opened, until the table takes them in: 1 MiB,
/// and as many that it is taking in. At the edge: it takes them in, and the next ones follow.
pub const SLOTS_NOTES_MAX: usize = 32_768;

/// Bytes of a half-sent event of a state that are kept for a subscriber whose sink is full. At the
/// edge: they are read again, and if the event is superseded by then, the connection is closed and
/// continues after the last whole event.
pub const STATE_REST_BYTES_MAX: usize = 16 << 10;

/// Topics of erased records by which subscribers are found that may still get them. At the edge:
/// all subscribers are looked at.
pub const ERASED_TOPICS_MAX: usize = 1024;
