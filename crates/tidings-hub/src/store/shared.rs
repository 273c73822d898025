use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidings_codec::EventId;

use crate::check::Check;
use crate::error::{AppendError, ReadError};
use crate::mark::Mark;
use crate::position::Position;

use super::{Erased, Log};

/// Time after which to ask again while a copy is being fetched.
const FETCHING_RETRY: Duration = Duration::from_secs(1);

/// How a copy of a shared log follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Following {
    /// Time since the copy had everything that the log showed; zero while it follows.
    pub behind: Duration,
    /// Number of entries of the log that a copy which was just opened lacks; `None` from the moment
    /// at which it had everything that the log showed. Until then it serves nobody: a reader would
    /// take its newest event for that of the log.
    pub fetching: Option<u64>,
    /// Entries of the log, since the store was opened, that do not fit it, and that no node counts.
    pub void: u64,
    /// Appends that another node was faster than, and that were made anew.
    pub conflicts: u64,
    /// Erasures of the log that are to be carried out in the copy.
    pub erasures: u64,
}

/// What a log adds that is held elsewhere and shared by several nodes.
///
/// Each node reads a copy of its own, which can be behind the log; and the log can lose its end and
/// grow again. So its event ids have checks, and an id ahead of the copy is not a wrong one.
///
/// All methods are called by many threads at once.
pub trait SharedLog: Send + Sync {
    /// The check of the record at `position`; `None` if it is not known, as for a record that was
    /// dropped by retention or is not there yet. Cheap for the newest record; for others it may
    /// read a disk.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn check(&self, position: Position) -> Result<Option<Check>, ReadError>;

    /// A position that the log, not only this copy of it, had as its head at some moment after
    /// this was called; and the copy has everything up to it. It may write to the log and wait for
    /// it, for some seconds at most, and is called by one thread at a time.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`]: that is not known now. [`ReadError::Damaged`].
    fn prove_head(&self) -> Result<Position, ReadError>;

    /// How the copy follows the log. Cheap: nothing is read.
    fn following(&self) -> Following {
        Following::default()
    }

    /// Has `readers` asked before records are erased from this copy, because this node or another
    /// one asked for it, and told afterwards. There is one; a later one takes its place.
    fn set_readers(&self, readers: Arc<dyn CopyReaders>) {
        drop(readers);
    }

    /// The position after which the log differs from the one that had an event with this
    /// publisher-given id, if that event was lost with the log's end. A publisher may repeat it
    /// later, behind events that its reader has not seen.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn fork_before(&self, id: &EventId) -> Result<Option<Position>, ReadError> {
        let _ = id;
        Ok(None)
    }
}

/// Those who read a copy of a shared log for subscribers, and hold some of it in memory.
pub trait CopyReaders: Send + Sync {
    /// Whether what the copy has up to `upto` was read. An event that is erased may be one that
    /// announces it, as the removal of a key: subscribers get that before.
    fn have_read(&self, upto: Position) -> bool;

    /// Records up to `upto` were erased: what is held of them in memory is to be forgotten. Does
    /// not wait.
    fn forget(&self, erased: &Erased, upto: Position);
}

/// The copy of a shared log is still being [fetched](Following::fetching), so nothing is read or
/// appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsFetching;

impl fmt::Display for IsFetching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this hub is still fetching the shared log")
    }
}

impl Error for IsFetching {}

impl From<IsFetching> for AppendError {
    fn from(reason: IsFetching) -> Self {
        Self::Away { retry: FETCHING_RETRY, source: Arc::new(reason) }
    }
}

impl From<IsFetching> for ReadError {
    fn from(reason: IsFetching) -> Self {
        Self::Away { retry: FETCHING_RETRY, source: Arc::new(reason) }
    }
}

impl dyn Log + '_ {
    /// Whether the log has a copy here, and all of it.
    ///
    /// # Errors
    ///
    /// [`IsFetching`].
    pub fn is_fetched(&self) -> Result<(), IsFetching> {
        let following = self.shared().map(SharedLog::following);
        match following.and_then(|following| following.fetching) {
            None => Ok(()),
            Some(_) => Err(IsFetching),
        }
    }

    /// `position` with the check of the record there, as far as it is known.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store cannot be read.
    pub fn mark(&self, position: Position) -> Result<Mark, ReadError> {
        let check = self.shared().map(|shared| shared.check(position)).transpose()?.flatten();
        Ok(Mark { position, check })
    }

    /// Whether `mark` can be a place in this log: it has no check, or that of the record there.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store cannot be read.
    pub fn fits(&self, mark: Mark) -> Result<bool, ReadError> {
        Ok(mark.check.is_none() || self.mark(mark.position)? == mark)
    }
}
