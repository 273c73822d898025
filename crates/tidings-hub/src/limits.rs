//! Every bound in the hub: its default, why, what it costs, and what happens at the edge.
//!
//! The memory of one subscriber is the sum of: its entry in the shard (under 100 bytes, see
//! [`crate::Shard`]), one entry in its group's list (4 bytes) and one in the timer wheel (8 bytes).
//! How slow it is changes nothing.

/// Longest topic, in bytes. Long enough for a URL with a query. At the edge: the topic is refused.
pub const TOPIC_BYTES_MAX: usize = 4096;

/// Longest name of a custom matcher, in bytes: words as long as a topic, and what their protocol
/// puts before them. At the edge: the matcher is refused.
pub const MATCHER_NAME_BYTES_MAX: usize = 2 * TOPIC_BYTES_MAX;

/// Tests of custom matchers after which what was found out about a topic is remembered.
pub const KNOWN_TESTS_MIN: usize = 16;

/// Topics about which a shard remembers which custom matchers match them. Each costs its own length
/// and about 100 bytes. At the edge: all are forgotten, and found out again.
pub const KNOWN_TOPICS_MAX: usize = 16_384;

/// Matches that are remembered for all of these topics together; 4 bytes each. At the edge: the
/// same.
pub const KNOWN_MATCHES_MAX: usize = 1 << 20;

/// Length of a tick, in milliseconds: the grain of all timers. Heartbeats are seconds apart and
/// jittered anyway.
pub const TICK_MS: u64 = 100;

/// How long one who has ended its side, and has other things to read, may be without anything sent
/// before a heartbeat asks whether it still listens, in milliseconds.
pub const END_LOOK_MS: u64 = 1_000;

/// Ticks in one turn of the timer wheel: 51 seconds, more than any heartbeat is away. Costs 24
/// bytes each. What is further away is looked at once a turn.
pub const TIMER_SLOTS: usize = 512;

/// Bytes a group keeps of its recent frames. A member that falls further behind reads the log
/// instead. At 150 bytes a frame these are 7,000 frames.
pub const RING_BYTES_MAX: usize = 1 << 20;

/// Bytes all rings of a shard keep together, unless configured otherwise. At the edge: each group
/// that gets a frame is held to [`RING_BYTES_TIGHT`], and over twice as many to its newest frame;
/// who is further behind reads the log.
pub const RINGS_BYTES_MAX: usize = 64 << 20;

/// Bytes a group keeps when the shard's rings together are over their bound.
pub const RING_BYTES_TIGHT: usize = 16 << 10;

/// Reads of the log on behalf of those catching up, under way at once in one shard. The others wait
/// their turn; those who are live do not notice.
pub const CATCH_UP_READS_MAX: usize = 8;

/// How many more may be under way if they are first pages: these are short, and need not wait until
/// the long ones of others are done.
pub const CATCH_UP_FIRST_READS_MAX: usize = 8;

/// Bytes of encoded history read at a time for one subscriber. More than a socket usually takes at
/// once is read again later, so that a slow reader keeps nothing in memory.
pub const CATCH_UP_PAGE_BYTES_MAX: usize = 128 << 10;

/// Records in the first page of history, so that the first missed event does not wait for hundreds
/// of others to be read from a disk. Each further page may have eight times as many, up to
/// [`CATCH_UP_PAGE_RECORDS_MAX`].
pub const CATCH_UP_FIRST_PAGE_RECORDS: usize = 1;

/// Records in one page of history.
pub const CATCH_UP_PAGE_RECORDS_MAX: usize = 4096;

/// Members of a group that are written before another group gets its turn.
pub const WALK_SLICE: usize = 64;

/// Writes to subscribers with something of their own (a preface, a notice, a page of history)
/// before groups with new frames get a slice of as many. At the edge: a subscriber that arrives in
/// a crowd waits for a slice of the frames of others, and these for a slice of the crowd.
pub const OWN_WRITES_IN_A_ROW_MAX: usize = 64;

/// Notices kept for one subscriber that cannot take them now. Each costs 8 bytes, and about 500
/// that all share. At the edge: the subscriber is closed, and asked to come back.
pub const NOTICES_PENDING_MAX: usize = 1024;

/// Records looked at, at the most, in one read of records in memory that no index narrows down:
/// about a millisecond with a dozen patterns. At the edge: the page ends, and the reader asks
/// again.
pub const SCAN_RECORDS_MAX: usize = 8192;

/// Records looked at, at the most, to find the last ones that an interest admits. At the edge:
/// fewer are found.
pub const SEEK_RECORDS_MAX: usize = 65_536;
