use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::limits::{
    AHEAD_BYTES_MAX, RECENT_BYTES_MAX, RETENTION_AGE_DEFAULT, RETENTION_BYTES_DEFAULT,
    SEGMENT_AGE_SHARE, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SEGMENTS_AIM, SPARE_FILES,
};

/// Where the log is and what it promises.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// The folder. It is made if it is not there; nobody else may write into it.
    pub path: PathBuf,
    /// What an answered publish survives.
    pub durability: Durability,
    /// What the log may occupy, in bytes. It cannot be held to less than two segments.
    pub retention_bytes: u64,
    /// How old an event may get.
    pub retention_age: Duration,
    /// How much of the newest records is held in memory, in bytes.
    pub recent_bytes_max: usize,
    /// Bytes in one segment: the part of the log that retention drops at a time. `None` chooses a
    /// sixteenth of [`retention_bytes`](Self::retention_bytes), within bounds.
    pub segment_bytes: Option<u64>,
}

impl DiskConfig {
    /// A log in `path` with the default of everything.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            durability: Durability::Fsync,
            retention_bytes: RETENTION_BYTES_DEFAULT,
            retention_age: RETENTION_AGE_DEFAULT,
            recent_bytes_max: RECENT_BYTES_MAX,
            segment_bytes: None,
        }
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes.unwrap_or_else(|| {
            (self.retention_bytes / SEGMENTS_AIM).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
        })
    }

    /// Files that a log of this size has open: a segment and its index each, as many segments as
    /// [`retention_bytes`](Self::retention_bytes) holds, and those that age makes shorter.
    pub fn files_max(&self) -> usize {
        let by_bytes = self.retention_bytes.div_ceil(self.segment_bytes().max(1));
        let segments = by_bytes + 2 + u64::from(SEGMENT_AGE_SHARE);
        usize::try_from(segments).unwrap_or(usize::MAX).saturating_mul(2)
            + SPARE_FILES
            + FOLDER_FILES
    }

    /// How much of a segment is filled with zeros at a time, ahead of the end of the log.
    pub(crate) fn ahead_bytes(&self) -> u64 {
        (self.segment_bytes() / 16).clamp(64 << 10, AHEAD_BYTES_MAX)
    }
}

/// The folder, its lock, and a small file that is written.
const FOLDER_FILES: usize = 4;

/// What an answered publish survives. (A log that survives nothing is no log on disk: that is the
/// hub's `MemoryStore`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: every append ends with an `fdatasync`.
    Fsync,
    /// The end of the process, by `kill -9` too: every append has reached the operating system,
    /// which writes it out in its own time. A power cut can take the last seconds. Their positions
    /// are then given to other events, and the log gets a new name, so that a subscriber that saw a
    /// lost event gets a reset.
    Os,
}
