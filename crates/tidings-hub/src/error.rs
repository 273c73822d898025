//! What can go wrong, one enum per operation.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::TOPIC_BYTES_MAX;
use crate::position::Position;
use crate::start::Resolved;

/// Why a text is not a topic. The caller's fault.
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
    /// It contains a control character, which could break a line in someone's stream.
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

/// Why a text is not a matcher. The caller's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidMatcher {
    /// It would not be a topic even without its wildcards.
    Topic(InvalidTopic),
    /// `**` is not the last segment.
    RestNotLast,
    /// A `*` is only part of its segment.
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

/// The underlying error: from the system, a file, a network. Shared, so that one failure can answer
/// many requests.
pub type StoreCause = Arc<dyn Error + Send + Sync>;

/// Why a store did not accept drafts. No part of the batch can be read, unless a variant says
/// otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no room: a full disk, a quota, a limit on file sizes. Nothing was written. The next
    /// append tries again, and succeeds once there is room.
    Full {
        /// The error that reported it.
        source: StoreCause,
    },
    /// The store cannot be reached or used at the moment. Nothing was written. The next append
    /// tries again.
    Away {
        /// How long to wait before trying again.
        retry: Duration,
        /// What failed.
        source: StoreCause,
    },
    /// The drafts were sent, but it is not known whether they are stored: they may show up in the
    /// log later. Publish them again with the same ids.
    Undecided {
        /// Why there was no answer.
        source: StoreCause,
    },
    /// The log does not hold what was written to it, and the append cannot be decided without that.
    /// Nothing was written.
    Damaged {
        /// What is damaged.
        source: StoreCause,
    },
    /// The store takes nothing more until it is reopened: what it holds is no longer known. A
    /// failed `fsync` is never retried: what it should have written may be lost even if a second
    /// call succeeds.
    Poisoned {
        /// What failed, now or earlier.
        source: StoreCause,
    },
    /// The drafts are more than any append can take. The caller's fault.
    TooLarge {
        /// Their size, in bytes.
        bytes: usize,
        /// The most an append can take, in bytes.
        bytes_max: usize,
    },
}

impl AppendError {
    /// A word for the kind of failure, for metrics, logs and programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Full { .. } => "full",
            Self::Away { .. } => "away",
            Self::Undecided { .. } => "undecided",
            Self::Damaged { .. } => "damaged",
            Self::Poisoned { .. } => "poisoned",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// Whether only reopening the store can help.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full { .. } => "the store is full",
            Self::Away { .. } => "the store cannot be used at the moment",
            Self::Undecided { .. } => "the store did not say whether the events are stored",
            Self::Damaged { .. } => "the store is damaged",
            Self::Poisoned { .. } => "the store takes no more events until it is reopened",
            Self::TooLarge { bytes, bytes_max } => {
                return write!(f, "an append of {bytes} bytes is more than {bytes_max}");
            }
        })
    }
}

impl Error for AppendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Full { source }
            | Self::Away { source, .. }
            | Self::Undecided { source }
            | Self::Damaged { source }
            | Self::Poisoned { source } => Some(&**source),
            Self::TooLarge { .. } => None,
        }
    }
}

/// Why a store could not read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// Records after the requested position, which the reader may have wanted, have been dropped by
    /// retention.
    Expired {
        /// The oldest record that is still there, or the next one to come.
        first: Position,
        /// The newest of the dropped records. Others after the requested position may still be
        /// there, before it too; behind it nothing is missing.
        lost: Position,
    },
    /// The store cannot be reached or read at the moment.
    Away {
        /// How long to wait before trying again.
        retry: Duration,
        /// What failed.
        source: StoreCause,
    },
    /// The log does not hold what was written to it.
    Damaged {
        /// What is damaged.
        source: StoreCause,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { lost, .. } => {
                write!(f, "records up to position {lost} have been dropped by retention")
            }
            Self::Away { .. } => f.write_str("the store cannot be read at the moment"),
            Self::Damaged { .. } => f.write_str("the store is damaged"),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Expired { .. } => None,
            Self::Away { source, .. } | Self::Damaged { source } => Some(&**source),
        }
    }
}

/// Why the start of a subscriber is not known.
#[derive(Clone, Debug)]
pub enum ResolveError {
    /// It is after a position that this copy of a [shared log](crate::SharedLog) does not have yet.
    NotYet {
        /// That position.
        after: Position,
        /// The start if the log proves not to have it.
        otherwise: Resolved,
    },
    /// This copy of a [shared log](crate::SharedLog) does not have the event that was named, or has
    /// another in its place; but it may be the copy that is behind, or that follows what the log
    /// has lost. Once the log has [proved its head](crate::SharedLog::prove_head), a second look is
    /// right.
    Unproved {
        /// The start if the second look finds the same.
        otherwise: Resolved,
    },
    /// The store could not be read.
    Read(ReadError),
}

impl From<ReadError> for ResolveError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet { after, .. } => write!(f, "this node does not have position {after} yet"),
            Self::Unproved { .. } => f.write_str("this node may not have the newest events"),
            Self::Read(_) => f.write_str("the start could not be looked up"),
        }
    }
}

impl Error for ResolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotYet { .. } | Self::Unproved { .. } => None,
            Self::Read(error) => Some(error),
        }
    }
}

/// An error and what caused it, on one line: for a log, where one field holds all of it.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
