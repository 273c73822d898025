//! What can go wrong, one enum per operation.

use std::error::Error;
use std::fmt;
use std::io;

use tidings_hub::{AppendError, ReadError};

use crate::refusal::Refusal;

/// Why the engine did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A thread, a descriptor or memory was not available.
    Resources(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resources(_) => f.write_str("the engine's threads could not be started"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resources(error) => Some(error),
        }
    }
}

/// Why drafts were not published. Nothing of them is in the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// The store did not take them.
    Store(AppendError),
    /// An event is on a topic that has no events yet, and there are as many topics as there may be
    /// ([`EngineConfig::topics_max`](crate::EngineConfig)).
    TooManyTopics {
        /// So many there may be.
        topics_max: usize,
    },
    /// The engine is shutting down and takes no more.
    Stopping,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("the event was not stored"),
            Self::TooManyTopics { topics_max } => {
                write!(f, "there are {topics_max} topics already")
            }
            Self::Stopping => f.write_str("the hub is shutting down"),
        }
    }
}

impl Error for PublishError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::TooManyTopics { .. } | Self::Stopping => None,
        }
    }
}

/// Why a subscription was not opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no room now; the client should come back later.
    Refused(Refusal),
    /// Every topic asked for has ended, and the subscriber has seen the end: it should not come
    /// back.
    Ended,
    /// The store could not be read.
    Store(ReadError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => f.write_str(refusal.sentence()),
            Self::Ended => f.write_str("every topic asked for has ended"),
            Self::Store(_) => f.write_str("the start of the subscription could not be found"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Refused(_) | Self::Ended => None,
        }
    }
}
