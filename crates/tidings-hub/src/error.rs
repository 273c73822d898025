//! What can go wrong, one enum per operation.

use std::error::Error;
use std::fmt;

use crate::limits::TOPIC_BYTES_MAX;
use crate::position::Position;

/// Why a text is no topic. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidTopic {
    /// It is empty.
    Empty,
    /// It is longer than [`TOPIC_BYTES_MAX`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It holds a control character, which could break a line in someone's stream.
    ControlCharacter {
        /// Where, in bytes from the start.
        at: usize,
    },
}

impl fmt::Display for InvalidTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a topic cannot be empty"),
            Self::TooLong { bytes } => {
                write!(f, "a topic has at most {TOPIC_BYTES_MAX} bytes, this one has {bytes}")
            }
            Self::ControlCharacter { at } => {
                write!(f, "a topic cannot hold a control character (byte {at})")
            }
        }
    }
}

impl Error for InvalidTopic {}

/// Why a text is no matcher. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidMatcher {
    /// Without its wildcards it would be no topic.
    Topic(InvalidTopic),
    /// `**` stands elsewhere than in the last segment.
    RestNotLast,
    /// A `*` is only a part of its segment.
    PartialWildcard,
}

impl fmt::Display for InvalidMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(error) => error.fmt(f),
            Self::RestNotLast => f.write_str("`**` can only be the last segment"),
            Self::PartialWildcard => {
                f.write_str("`*` must be a whole segment, as in `a/*/c` or `a/**`")
            }
        }
    }
}

impl Error for InvalidMatcher {}

impl From<InvalidTopic> for InvalidMatcher {
    fn from(error: InvalidTopic) -> Self {
        Self::Topic(error)
    }
}

/// A text is no epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEpoch;

impl fmt::Display for InvalidEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an epoch is six characters of a-z and 0-9 that begin with a letter")
    }
}

impl Error for InvalidEpoch {}

/// Why a store did not accept drafts. Nothing of the batch is in the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// The store failed, now or earlier, and takes nothing more until the hub is restarted. A
    /// failed `fsync` is never tried again: what it was to write may be lost although a second call
    /// succeeds.
    Failed {
        /// What the operator should know: which operation failed, on what, and why.
        reason: String,
    },
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { reason } => write!(f, "the store takes no more events: {reason}"),
        }
    }
}

impl Error for AppendError {}

/// Why a store did not read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// Records after the position asked for have been dropped by retention.
    Expired {
        /// The first record that is still there, or the next one to come.
        first: Position,
    },
    /// The store failed, or what it holds is damaged.
    Failed {
        /// What the operator should know.
        reason: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { first } => {
                write!(f, "records before position {first} have been dropped by retention")
            }
            Self::Failed { reason } => write!(f, "the store cannot be read: {reason}"),
        }
    }
}

impl Error for ReadError {}
