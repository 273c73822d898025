//! `Cause`: why a connection is over.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::TransportError;

/// Why a connection, or an attempt to connect, has ended, although the source continues.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The server ended the response cleanly.
    Ended,
    /// The network or the peer failed, while connecting or later.
    Network(TransportError),
    /// Nothing came for as long as the idle timeout, not even a comment.
    Idle(Duration),
    /// The server rejected the request with a status that the retry policy considers temporary.
    Refused(StatusCode),
    /// The caller's hook failed to prepare the attempt.
    Unprepared(Box<dyn Error + Send + Sync>),
    /// The caller asked for a new connection.
    Restarted,
    /// The server did not accept another token for the running connection, and answered with this
    /// status. With a [token provider](crate::EventSourceBuilder::token_provider) only.
    NotRenewed(StatusCode),
}

impl Cause {
    /// The status of the answer, if that is the cause.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused(status) => Some(*status),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the server ended the response"),
            Self::Network(_) => f.write_str("network error"),
            Self::Idle(wait) => write!(f, "nothing was received for {wait:?}"),
            Self::Refused(status) => write!(f, "the server answered {status}"),
            Self::Unprepared(_) => f.write_str("the attempt could not be prepared"),
            Self::Restarted => f.write_str("a new connection was requested"),
            Self::NotRenewed(status) => write!(f, "the token was not renewed: {status}"),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Network(error) => Some(error),
            Self::Unprepared(error) => Some(&**error),
            Self::Ended
            | Self::Idle(_)
            | Self::Refused(_)
            | Self::Restarted
            | Self::NotRenewed(_) => None,
        }
    }
}
