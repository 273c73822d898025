//! What can go wrong, one enum per operation.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use tidings_hub::{AppendError, Appended, EventId, Key, ReadError, Topic};

use crate::rejection::Rejection;

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

/// Why drafts were not published. None of them is in the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// The store did not take them.
    Store(AppendError),
    /// An event is on a topic that has no events yet, and the maximum number of topics is reached
    /// ([`EngineConfig::topics_max`](crate::EngineConfig)).
    TooManyTopics {
        /// Maximum number of topics.
        topics_max: usize,
    },
    /// An event is on a topic that has no events yet, and its publisher's
    /// [share of topics](crate::TopicShare) is used up.
    TopicShareFull {
        /// The bound of the share.
        topics_max: usize,
    },
    /// An event is on a topic that has no events yet, or has a key that is new where the rule
    /// promises the state; and what its rule of retention promises to keep takes all the bytes that
    /// it may.
    RuleFull {
        /// Name of the rule.
        rule: Arc<str>,
    },
    /// A draft has the id of an event on its topic, but other content.
    IdReused {
        /// Index of the draft.
        at: usize,
        /// Its topic.
        topic: Topic,
        /// Its id.
        id: EventId,
    },
    /// A draft has the id of an event on its topic that was erased.
    IdErased {
        /// Index of the draft.
        at: usize,
        /// Its topic.
        topic: Topic,
        /// Its id.
        id: EventId,
    },
    /// The newest event of a draft's key is not the one that its publisher expected.
    VersionDiffers {
        /// Index of the draft.
        at: usize,
        /// Its topic.
        topic: Topic,
        /// Its key.
        key: Key,
        /// Id of the newest event of the key; `None` if the key is not in the state of the topic.
        current: Option<EventId>,
    },
    /// A draft removes a key that is not in the state of its topic.
    KeyUnknown {
        /// Index of the draft.
        at: usize,
        /// Its topic.
        topic: Topic,
        /// The key.
        key: Key,
    },
    /// A piece does not fit the value of its key.
    AppendMismatch {
        /// Index of the draft.
        at: usize,
        /// Its topic.
        topic: Topic,
        /// Its key.
        key: Key,
        /// Why.
        misfit: Misfit,
    },
    /// With a piece, the value of its key would be too large
    /// ([`EngineConfig::value_bytes_max`](crate::EngineConfig)).
    ValueFull {
        /// Index of the draft.
        at: usize,
        /// Its topic.
        topic: Topic,
        /// Its key.
        key: Key,
        /// Bytes of the value with the piece.
        bytes: u64,
        /// Maximum number of bytes.
        bytes_max: usize,
    },
    /// An event has a key that has no events yet, and the maximum number of keys is reached
    /// ([`EngineConfig::keys_max`](crate::EngineConfig)).
    TooManyKeys {
        /// Index of the draft.
        at: usize,
        /// Maximum number of keys.
        keys_max: usize,
    },
    /// They were to begin a topic that has events, or has ended.
    TopicExists {
        /// The topic.
        topic: Topic,
    },
    /// The topic of their stream was ended by another publisher.
    TopicEnded {
        /// The topic.
        topic: Topic,
    },
    /// A topic has a newer record than its publisher
    /// [knew](tidings_hub::Expected::NothingAfter), or has ended.
    TopicContinued {
        /// The topic.
        topic: Topic,
    },
    /// As many last wills wait as may.
    TooManyWills {
        /// Maximum number of wills.
        wills_max: usize,
    },
    /// The store could not be read, so whether a draft repeats an event, or begins its topic, is
    /// unknown.
    Unread(ReadError),
    /// An earlier draft of the same stream was not published.
    StreamBroken,
    /// The engine is shutting down and takes no more.
    Stopping,
}

/// Why a piece does not fit the value of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The value grows at another place in its data.
    Elsewhere,
    /// There is no string at this place in the value.
    NoString,
    /// Retention has dropped a part of the value.
    Cut,
}

/// Why the rest of a stream's drafts was not published.
#[derive(Debug)]
pub struct StreamError {
    /// Drafts before the first wrong one; they are published.
    pub appended: Vec<Appended>,
    /// Error in the first wrong one. Nothing after it is published, now or later.
    pub error: PublishError,
}

impl From<PublishError> for StreamError {
    fn from(error: PublishError) -> Self {
        Self { appended: Vec::new(), error }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for StreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("the event was not stored"),
            Self::TooManyTopics { topics_max } => {
                write!(f, "there are {topics_max} topics already")
            }
            Self::TopicShareFull { topics_max } => {
                write!(f, "the publisher has begun {topics_max} topics already")
            }
            Self::RuleFull { rule } => {
                write!(f, "the rule {rule} of retention has no room for another topic or key")
            }
            Self::IdReused { topic, id, .. } => {
                write!(f, "an event on {topic} has the id {id}, and other content")
            }
            Self::IdErased { topic, id, .. } => {
                write!(f, "an event on {topic} had the id {id}, and was erased")
            }
            Self::VersionDiffers { topic, key, .. } => {
                write!(f, "the key {key} of {topic} has another version")
            }
            Self::KeyUnknown { topic, key, .. } => {
                write!(f, "the key {key} is not in the state of {topic}")
            }
            Self::AppendMismatch { topic, key, misfit, .. } => {
                let why = match misfit {
                    Misfit::Elsewhere => "grows at another place",
                    Misfit::NoString => "has no string at this place",
                    Misfit::Cut => "has lost a part to retention",
                };
                write!(f, "the value of the key {key} of {topic} {why}")
            }
            Self::ValueFull { topic, key, bytes_max, .. } => {
                write!(f, "the value of the key {key} of {topic} can have {bytes_max} bytes")
            }
            Self::TooManyKeys { keys_max, .. } => write!(f, "there are {keys_max} keys already"),
            Self::TopicExists { topic } => write!(f, "the topic {topic} has events or has ended"),
            Self::TopicEnded { topic } => write!(f, "the topic {topic} was ended"),
            Self::TopicContinued { topic } => {
                write!(f, "the topic {topic} has newer events or has ended")
            }
            Self::TooManyWills { wills_max } => write!(f, "{wills_max} last wills wait already"),
            Self::Unread(_) => f.write_str("the store could not be asked for the id of the event"),
            Self::StreamBroken => f.write_str("an event before it was not published"),
            Self::Stopping => f.write_str("the hub is shutting down"),
        }
    }
}

impl Error for PublishError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Unread(error) => Some(error),
            Self::TooManyTopics { .. }
            | Self::TopicShareFull { .. }
            | Self::RuleFull { .. }
            | Self::IdReused { .. }
            | Self::IdErased { .. }
            | Self::VersionDiffers { .. }
            | Self::KeyUnknown { .. }
            | Self::AppendMismatch { .. }
            | Self::ValueFull { .. }
            | Self::TooManyKeys { .. }
            | Self::TopicExists { .. }
            | Self::TopicEnded { .. }
            | Self::TopicContinued { .. }
            | Self::TooManyWills { .. }
            | Self::StreamBroken
            | Self::Stopping => None,
        }
    }
}

/// Why a subscription was not opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no room now; the client should come back later.
    Rejected(Rejection),
    /// Every requested topic has ended, and the subscriber has seen the end: it should not come
    /// back.
    Ended,
    /// The store could not be read.
    Store(ReadError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => f.write_str(rejection.sentence()),
            Self::Ended => f.write_str("every topic asked for has ended"),
            Self::Store(_) => f.write_str("the start of the subscription could not be found"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Rejected(_) | Self::Ended => None,
        }
    }
}
