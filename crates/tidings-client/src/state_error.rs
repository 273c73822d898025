//! `StateError`: why a state cannot be read any further.

use std::error::Error;
use std::fmt;

use crate::{JsonError, ReadError};

/// Why a state cannot be read any further.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// The stream has ended for good.
    Read(ReadError),
    /// All topics ended before the state was complete, or it was closed.
    Ended,
    /// An event is not what a Tidings hub sends.
    Event(JsonError),
    /// A piece does not fit the value to which it is to be added.
    Piece {
        /// The key of the value.
        key: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_) => f.write_str("the state cannot be read"),
            Self::Ended => f.write_str("the stream ended before the state was complete"),
            Self::Event(_) => f.write_str("an event of the state is not what a hub sends"),
            Self::Piece { key } => write!(f, "a piece does not fit the value of {key:?}"),
        }
    }
}

impl Error for StateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read(cause) => Some(cause),
            Self::Event(cause) => Some(cause),
            Self::Ended | Self::Piece { .. } => None,
        }
    }
}
