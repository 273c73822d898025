//! Every bound in the shared store: its default, the reason, the cost, and what happens at the
//! edge.
//!
//! The memory of a store is that of its cache (see `tidings_store_disk::limits`), plus 64 bytes for
//! each block in [`CURSOR_BLOCKS`] and [`CURSOR_MARKS_MAX`], plus the page that is being followed
//! ([`READ_BYTES_MAX`], or one block if that is larger), plus the ids in [`LOST_IDS_MAX`].

use std::time::Duration;

/// Newest blocks that a hub remembers with their hashes, to find where a log that lost its end
/// parted from the cache, on disk too. At the edge: older blocks are remembered by one in
/// [`CURSOR_MARK_EVERY`], and the cache is cut back to one of these.
pub const CURSOR_BLOCKS: usize = 4096;

/// Of older blocks, one in this many is remembered.
pub const CURSOR_MARK_EVERY: u64 = 64;

/// Older blocks that are remembered. At the edge: every second one is forgotten.
pub const CURSOR_MARKS_MAX: usize = 8192;

/// Blocks in each of two files, on the disk only, by which the ids of records are known that rules
/// of retention have dropped: 28 bytes a block. At the edge: the older file is dropped, and a
/// reader whose newest event was in one of its blocks, and was dropped, gets a reset.
pub const CHECKS_FILE_BLOCKS: u64 = 1 << 20;

/// Bytes of blocks read from the journal at a time, unless one block is larger; void blocks are
/// passed over in pages of this size, too. A hub that lacks more than this when it is opened
/// fetches the rest while it listens, and serves nobody until it has it.
pub const READ_BYTES_MAX: usize = 4 << 20;

/// Time that an append tries to get an answer from the journal. At the edge: its publishers learn
/// that the log is away, or that the outcome is not known.
pub const APPEND_PATIENCE: Duration = Duration::from_secs(10);

/// Time that one request to the journal may take within that.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(2);

/// Attempts that an append makes at least, however little time it has.
pub const ATTEMPTS_MIN: u32 = 4;

/// Blocks that one append may have sent before it gives up. Each was overtaken by another hub.
pub const ATTEMPTS_MAX: u32 = 1000;

/// Pause before a block of a log that is put into a journal is sent again.
pub const FILL_PAUSE: Duration = Duration::from_millis(100);

/// Pause before the journal is asked again for something that it should have.
pub const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Longest pause that a writer makes after an append while other hubs append too: a multiple of the
/// time that the append took. Without it one hub can win every race.
pub const POLITE_PAUSE_MAX: Duration = Duration::from_millis(50);

/// Appends without a break, after the first, from which on a writer makes that pause.
pub const IN_A_ROW_MAX: u32 = 2;

/// Time between two appends that is a break.
pub const BREAK_MIN: Duration = Duration::from_millis(1);

/// Time for which the follower sleeps on the journal's bell. At the edge it looks by itself,
/// and so notices within this time that the journal lost its newest block.
pub const BELL_PATIENCE: Duration = Duration::from_secs(1);

/// Interval at which a hub drops from the journal what its own cache dropped, or with rules what
/// no cache needs; and at which it looks to which records rules may be applied.
pub const TRIM_INTERVAL: Duration = Duration::from_secs(60);

/// The first such interval of a store that was opened: after a restart, rules need not wait for a
/// minute.
pub const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Time after which a block that the journal still has counts as one that it does not lose any
/// more: only then are rules of retention applied to its records. Longer than an engine may take to
/// write to its disks (NATS, by default: 2 minutes). At the edge, if it loses more: the cache has
/// to be fetched anew, and lacks then what rules kept and the journal has dropped.
pub const RULES_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Time after which to ask again while the journal is away.
pub const AWAY_RETRY: Duration = Duration::from_secs(1);

/// Time for which the log counts as one that takes no events after an append has failed, unless
/// another one succeeds: longer than [`AWAY_RETRY`], after which publishers come again. At the
/// edge: it counts as one that takes events if it can be followed.
pub const APPEND_FAILED_FOR: Duration = Duration::from_secs(2);

/// Erasures that were followed and are not carried out yet: each has a line in a file that is
/// written for each new one. At the edge: the log is followed further once one of them is.
pub const ERASURES_MAX: usize = 256;

/// Time that following waits for that. At the edge: the log takes no events, and is followed again
/// later.
pub const ERASURES_PATIENCE: Duration = Duration::from_secs(2);

/// Time that an erasure waits until live subscribers have what comes before it. At the edge: it is
/// carried out all the same.
pub const READERS_PATIENCE: Duration = Duration::from_secs(10);

/// Outcomes of erasures that are kept for those that asked for them: more than an engine lets be
/// under way. At the edge: the oldest is forgotten, and its number of events is given as 0.
pub const ERASURES_ANSWERED_MAX: usize = 256;

/// How often it is looked whether an erasure can begin that another one is in the way of.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Time after which erasures that failed are tried again.
pub const ERASE_AGAIN: Duration = Duration::from_secs(1);

/// Time that opening a store gives to the erasures on its list. At the edge, as while a backup is
/// made: the store counts as one that is still fetching the log, and serves nobody until they are
/// carried out.
pub const OPEN_ERASE_PATIENCE: Duration = Duration::from_secs(2);

/// Attempts to copy the folder of a hub that changes its copy of the log meanwhile. At the edge:
/// the backup fails, and says so.
pub const BACKUP_ATTEMPTS_MAX: usize = 3;

/// Attempts to settle a fork when the store is opened: each was overtaken by another hub. At the
/// edge: opening fails, and the supervisor tries again.
pub const SETTLE_ATTEMPTS_MAX: usize = 100;

/// Publisher-given ids that a block lists as lost. At the edge: the block says that there were
/// more, and every publisher's id is then treated as listed.
pub const BLOCK_IDS_MAX: usize = 4096;

/// Bytes of the ids that a block lists. At the edge: as for [`BLOCK_IDS_MAX`].
pub const BLOCK_IDS_BYTES_MAX: usize = 256 << 10;

/// Lost publisher-given ids that a hub remembers: until retention has dropped everything from
/// before they were lost, and the first event after; one that was published again since, until
/// that event is dropped. At the edge: as for [`BLOCK_IDS_MAX`], until the first event after is
/// dropped.
pub const LOST_IDS_MAX: usize = 16_384;

/// Former names of a log. At the edge: the oldest are left out.
pub const FORMER_NAMES_MAX: usize = tidings_store_disk::limits::FORMER_NAMES_MAX;
