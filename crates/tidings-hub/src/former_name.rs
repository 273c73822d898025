use crate::epoch::Epoch;
use crate::position::Position;

/// A name that a log had before it was restored from a backup, and how much of the log the backup
/// held.
///
/// Up to there the records are the same, so ids with the old name are places in this log. Records
/// that came after them under the old name are lost, and other records now have their positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormerName {
    /// The old name.
    pub epoch: Epoch,
    /// The newest position that is the same under both names.
    pub upto: Position,
}
