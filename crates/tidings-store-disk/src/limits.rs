//! Every bound in the disk store: its default, the reason, the cost, and what happens at the edge.
//!
//! The memory of a store is the sum of: [`RECENT_BYTES_MAX`]; the index of the segment being
//! written and of up to [`JOBS_MAX`] + 2 segments whose index is being written to disk (about 8
//! bytes a record and 200 bytes a topic or id, bounded by [`SEGMENT_RECORDS_MAX`] and
//! [`SEGMENT_KEYS_MAX`]: 2 MB each with ordinary events, 60 MB at worst); [`FILTER_BITS_PER_KEY`]
//! for every topic and publisher-given id in the log; 17 to 39 bytes for every different topic, to
//! count them; and what a read in progress holds. Two files are open per segment. With rules, add
//! [`LOST_TOPICS_MAX`], and while they are applied the indexes of [`SPLIT_SEGMENTS_MAX`] segments.

use std::time::Duration;

/// Bytes that the log may occupy, including indexes. At the edge: the oldest segment is dropped.
pub const RETENTION_BYTES_DEFAULT: u64 = 1 << 30;

/// Maximum age of an event. At the edge: the oldest segment is dropped once all of it is older. A
/// segment spans at most 1/[`SEGMENT_AGE_SHARE`] of this age, so an event stays at most that much
/// longer.
pub const RETENTION_AGE_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Number of segments that a full log should have: retention frees one of them at a time.
pub const SEGMENTS_AIM: u64 = 16;

/// Smallest segment that [`SEGMENTS_AIM`] leads to, in bytes: smaller ones would be all overhead.
pub const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// Largest segment that [`SEGMENTS_AIM`] leads to, in bytes: one segment is read at the start (at
/// about 1 GB/s).
pub const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// Records in one segment. Bounds the memory of its index. At the edge: a new segment begins.
pub const SEGMENT_RECORDS_MAX: usize = 1 << 20;

/// Different topics and publisher-given ids in one segment. Bounds the memory of its index. At the
/// edge: a new segment begins.
pub const SEGMENT_KEYS_MAX: usize = 1 << 18;

/// A segment spans at most the retention age divided by this number.
pub const SEGMENT_AGE_SHARE: u32 = 8;

/// Bytes that are filled with zeros at a time, ahead of the end of a log with `fsync` (in small
/// segments, a sixteenth of them). They make syncs cheaper; up to twice as many are on the disk
/// while the log is open, and after a crash until new events overwrite them.
pub const AHEAD_BYTES_MAX: u64 = 1 << 20;

/// Bytes of records in one block, unless a single record is larger. A block is checked and read as
/// a whole: larger blocks make reading one topic of many more expensive, smaller ones everything
/// else.
pub const BLOCK_BYTES_AIM: usize = 8 << 10;

/// Bytes in one append. Far above what the hub ever collects. At the edge: the append is rejected.
pub const APPEND_BYTES_MAX: usize = 1 << 30;

/// Bytes that the append buffer keeps between two appends.
pub const APPEND_BUFFER_KEPT_BYTES: usize = 8 << 20;

/// Bytes of the newest records held in memory: subscribers that are only a little behind are served
/// from here. At the edge: older records are read from disk.
pub const RECENT_BYTES_MAX: usize = 64 << 20;

/// Topics with one publisher-given id that are tested against a pattern. At the edge: a subscriber
/// that resumes by such an id begins after the oldest event with it, and may get some again.
pub const ID_TOPICS_MAX: usize = 4096;

/// Index entries for one topic fetched at a time.
pub const POSTINGS_PAGE: usize = 256;

/// Exact topics looked up one by one in a read. A reader of more topics is served by scanning.
pub const EXACT_TOPICS_MAX: usize = 64;

/// Blocks loaded in one read that follows the index. At the edge: the page ends, and the reader
/// asks again.
pub const READ_BLOCKS_MAX: usize = 64;

/// Records looked at in one read that scans. At the edge: the page ends, and the reader asks again.
pub const SCAN_RECORDS_MAX: usize = 8192;

/// Bytes of blocks looked at in one read that scans. At the edge: the page ends, and the reader
/// asks again.
pub const SCAN_BYTES_MAX: usize = 2 << 20;

/// Bytes read from the disk at once when scanning.
pub const SCAN_CHUNK_BYTES: usize = 128 << 10;

/// Records looked at to find the last ones that a pattern admits. At the edge: fewer are found.
pub const SEEK_RECORDS_MAX: usize = 65_536;

/// Blocks loaded to find the last records that an interest admits. At the edge: fewer are found.
pub const SEEK_BLOCKS_MAX: usize = 4096;

/// Bits per topic, per id, and per pair of both, in the filter that saves looking into segments
/// that do not have them: one look-up in a hundred is made in vain.
pub const FILTER_BITS_PER_KEY: usize = 10;

/// Tasks (an index to write, a file to remove) that wait for the background thread. At the edge:
/// `append` waits.
pub const JOBS_MAX: usize = 2;

/// Former names that a log remembers: one for each time it was restored. A subscriber that was away
/// for more restores than that gets a reset.
pub const FORMER_NAMES_MAX: usize = 16;

/// Topics of a segment that are counted at a time; in between, the background thread does waiting
/// jobs.
pub const COUNT_PAGE: usize = 1024;

/// Time after which to ask a store again that cannot write at the moment. It checks by itself every
/// [`BACKGROUND_TICK`].
pub const AWAY_RETRY: Duration = Duration::from_secs(1);

/// Interval at which the background thread checks whether the folder is still there, and whether
/// failed work should be tried again.
pub const BACKGROUND_TICK: Duration = Duration::from_millis(500);

/// Wait before work that failed in the background is tried again; it doubles with each failure, up
/// to [`BACKGROUND_RETRY_MAX`]. The number of waiting tasks is bounded by the segments: one index
/// each, held in memory until it is written, and one removal each.
pub const BACKGROUND_RETRY_MIN: Duration = Duration::from_millis(500);

/// Longest such wait.
pub const BACKGROUND_RETRY_MAX: Duration = Duration::from_secs(30);

/// Minimum time between two log lines about whether events are taken: a disk that is nearly full
/// takes small events and rejects large ones, in turns.
pub const FAILURE_LOG_PAUSE: Duration = Duration::from_secs(10);

/// Most bytes that a full store tries to write to see whether there is room again.
pub const PROBE_BYTES_MAX: usize = 1 << 20;

/// Descriptors held in reserve for the files of the next segment, so that a process that has run
/// out of them can end one segment and begin another.
pub const SPARE_FILES: usize = 4;

/// Rules. At the edge: the configuration is rejected. A read over many topics keeps one block for
/// each rule, and looks for the next record among them.
pub const RULES_MAX: usize = 32;

/// Length of a rule's name, in bytes.
pub const RULE_NAME_BYTES_MAX: usize = 64;

/// Bytes of segments after which rules are applied to them, at most; otherwise it is a quarter of
/// `retention-bytes`. A larger number saves copying: what is too old by then is never copied.
pub const HOT_BYTES_MAX: u64 = 512 << 20;

/// Multiple of those bytes after which the store takes no more events until rules have been applied
/// to some of them, unless `retention-bytes` and those bytes are more. The answer is "full".
pub const HOT_FULL_FACTOR: u64 = 4;

/// Segments to which rules are applied at a time. Bounds the memory of the new indexes: it is that
/// of the indexes of as many segments.
pub const SPLIT_SEGMENTS_MAX: usize = 8;

/// Number of runs that a full lane should have: one is dropped at a time.
pub const RUNS_AIM: u64 = 16;

/// Smallest run that [`RUNS_AIM`] leads to, in bytes.
pub const RUN_BYTES_MIN: u64 = 1 << 20;

/// Largest run, in bytes.
pub const RUN_BYTES_MAX: u64 = 64 << 20;

/// Neighbouring runs that are merged into one.
pub const MERGE_RUNS: usize = 8;

/// Bytes of a run that are written and synced at a time. Larger syncs would hold up those that
/// publishers wait for.
pub const RUN_SYNC_BYTES: usize = 256 << 10;

/// Bytes of runs written in a second, unless events come in faster: then it is twice as many. With
/// more than twice the hot bytes waiting there is no bound.
pub const RUN_BYTES_PER_SECOND: u64 = 16 << 20;

/// Topics whose newest dropped event is remembered, over all lanes. At the edge: the older half of
/// the largest lane becomes one position, and subscribers that come back from before it get a
/// reset, even if none of their events is lost. About 100 bytes each, in memory; the names and
/// twenty bytes on the disk.
pub const LOST_TOPICS_MAX: usize = 131_072;

/// Interval at which the thread that applies rules looks for work.
pub const KEEP_TICK: Duration = Duration::from_millis(500);

/// Bytes of new blocks that an erasure writes at once. In the segment that is being written,
/// publishers wait that long.
pub const ERASE_REDO_BYTES: usize = 4 << 20;

/// Time that an erasure waits until files that retention dropped are removed. At the edge: the
/// erasure is answered that the disk does not take it, and its client asks again.
pub const LEFTOVERS_PATIENCE: Duration = Duration::from_secs(60);

/// Attempts to copy a log of which files are removed while they are copied. At the edge: the backup
/// fails, and says so.
pub const BACKUP_ATTEMPTS_MAX: usize = 3;
