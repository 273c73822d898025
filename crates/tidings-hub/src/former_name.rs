use crate::epoch::Epoch;
use crate::position::Position;

/// A name that a log had before it was restored from a copy, and how much of it the copy held.
///
/// Up to there the records are the same, so ids with the old name are places in this log. What came
/// after them under the old name is lost, and other records have these positions now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormerName {
    /// The old name.
    pub epoch: Epoch,
    /// The newest position that is the same under both names.
    pub upto: Position,
}
