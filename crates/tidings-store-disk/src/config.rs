use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits::{
    AHEAD_BYTES_MAX, HOT_BYTES_MAX, MERGE_RUNS, RECENT_BYTES_MAX, RETENTION_AGE_DEFAULT,
    RETENTION_BYTES_DEFAULT, RUNS_AIM, SEGMENT_AGE_SHARE, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
    SEGMENTS_AIM, SPARE_FILES,
};
use crate::random::RandomSource;
use crate::rule::Rule;

/// Location, durability and bounds of the log.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// Folder of the log. It is created if it does not exist; nothing else may write into it.
    pub path: PathBuf,
    /// What an acknowledged publish survives.
    pub durability: Durability,
    /// Bytes that the log may occupy, at least two segments.
    pub retention_bytes: u64,
    /// Maximum age of an event.
    pub retention_age: Duration,
    /// Bytes of the newest records that are held in memory.
    pub recent_bytes_max: usize,
    /// Bytes in one segment: the unit in which retention drops records. `None` chooses a sixteenth
    /// of [`retention_bytes`](Self::retention_bytes), within bounds.
    pub segment_bytes: Option<u64>,
    /// Rules for the retention of some topics, in order: the first that matches an event counts.
    pub rules: Vec<Rule>,
    /// Bytes of segments after which rules are applied to them. `None` chooses a quarter of
    /// [`retention_bytes`](Self::retention_bytes), within bounds.
    pub hot_bytes: Option<u64>,
    /// Source of the numbers that tell logs and segments apart.
    pub random: RandomSource,
}

impl DiskConfig {
    /// A log in `path` with default values.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            durability: Durability::Fsync,
            retention_bytes: RETENTION_BYTES_DEFAULT,
            retention_age: RETENTION_AGE_DEFAULT,
            recent_bytes_max: RECENT_BYTES_MAX,
            segment_bytes: None,
            rules: Vec::new(),
            hot_bytes: None,
            random: RandomSource::default(),
        }
    }

    /// The longest age that drops an event: that of the rest, or of a rule.
    pub fn longest_age(&self) -> Duration {
        let of_rules = self.rules.iter().filter_map(|rule| rule.age);
        of_rules.fold(self.retention_age, Duration::max)
    }

    /// Bytes that all events may occupy: the rest, and those of each rule.
    pub fn bytes_of_all_rules(&self) -> u64 {
        let of_rules = self.rules.iter().map(|rule| rule.bytes.unwrap_or(self.retention_bytes));
        of_rules.fold(self.retention_bytes, u64::saturating_add)
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes.unwrap_or_else(|| {
            (self.retention_bytes / SEGMENTS_AIM).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
        })
    }

    /// Number of files that a log of this size has open: two per segment (itself and its index),
    /// for as many segments as [`retention_bytes`](Self::retention_bytes) holds and those that the
    /// age limit makes shorter; and two for each run, where there are rules.
    pub fn files_max(&self) -> usize {
        let by_bytes = self.retention_bytes.div_ceil(self.segment_bytes().max(1));
        let segments = by_bytes + 2 + u64::from(SEGMENT_AGE_SHARE);
        let lanes = if self.rules.is_empty() { 0 } else { self.rules.len() + 1 };
        usize::try_from(segments).unwrap_or(usize::MAX).saturating_mul(2)
            + lanes * (2 * RUNS_AIM as usize + MERGE_RUNS) * 2
            + SPARE_FILES
            + FOLDER_FILES
    }

    /// Bytes of segments after which rules are applied to them.
    pub(crate) fn hot_bytes(&self) -> u64 {
        self.hot_bytes.unwrap_or_else(|| (self.retention_bytes / 4).min(HOT_BYTES_MAX))
    }

    /// Bytes of a segment that are filled with zeros at a time, ahead of the end of the log.
    pub(crate) fn ahead_bytes(&self) -> u64 {
        (self.segment_bytes() / 16).clamp(64 << 10, AHEAD_BYTES_MAX)
    }
}

/// The folder, its lock, and a small file being written.
const FOLDER_FILES: usize = 4;

/// What an acknowledged publish survives. (For a log that survives nothing there is the hub's
/// `MemoryStore`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: every append ends with an `fdatasync`.
    Fsync,
    /// The end of the process, even by `kill -9`: every append has reached the operating system,
    /// which writes it out in its own time. A power cut can lose the last seconds. Their positions
    /// are then given to other events, and the log gets a new name, so that a subscriber that saw a
    /// lost event gets a reset.
    Os,
}
