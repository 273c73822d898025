use std::error::Error;
use std::fmt;

use tidings_hub::Epoch;

use crate::journal::Seq;

/// Why a hub stopped following its shared log. Only opening the store again helps: it finds out how
/// much of the cache is still the log, and goes on from there.
///
/// It is the source of the [`AppendError::Poisoned`](tidings_hub::AppendError::Poisoned) that the
/// store answers from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Halt {
    /// The log lost its end: what this hub has followed up to `seq` is no longer what the log
    /// holds.
    Forked {
        /// Sequence of the newest block that was followed.
        seq: Seq,
    },
    /// Another hub found that the log had lost its end, and gave it a new name.
    Renamed {
        /// The new name.
        epoch: Epoch,
    },
    /// The log no longer holds the blocks that come next: this hub was away for longer than the
    /// retention.
    Trimmed {
        /// Sequence of the first block that is missing.
        seq: Seq,
    },
    /// A block is of a version that this program does not know.
    Version {
        /// Sequence of the block.
        seq: Seq,
        /// Its version.
        version: u16,
    },
}

impl Halt {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Version { .. } => "use the version of the program that wrote the block",
            Self::Forked { .. } | Self::Renamed { .. } | Self::Trimmed { .. } => {
                "start the hub again: it finds out how much of its copy is still the log, and goes \
                 on from there"
            }
        }
    }

    /// A word for the reason, for metrics and programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Forked { .. } => "forked",
            Self::Renamed { .. } => "renamed",
            Self::Trimmed { .. } => "trimmed",
            Self::Version { .. } => "version",
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forked { seq } => {
                write!(f, "the shared log lost its end: it no longer holds what block {seq} was")
            }
            Self::Renamed { epoch } => {
                write!(f, "the shared log lost its end and is now called {epoch}")
            }
            Self::Trimmed { seq } => {
                write!(f, "the shared log no longer has block {seq}, which this hub needs next")
            }
            Self::Version { seq, version } => {
                write!(f, "block {seq} of the shared log has version {version}, which is unknown")
            }
        }
    }
}

impl Error for Halt {}
