use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::shared::DeadEnd;

/// Why the arguments are not a valid plan.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlanError {
    /// This program cannot use a URL.
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A number is outside its bounds.
    OutOfBounds {
        /// The flag.
        name: &'static str,
        /// The allowed values.
        allowed: String,
    },
    /// A header is not `Name: value`.
    Header(String),
    /// Two settings contradict each other, or one needs another.
    Contradiction(&'static str),
    /// The process may not hold that many files.
    TooManyFiles {
        /// Files needed: one per connection, and some spare.
        needed: usize,
        /// Files allowed.
        allowed: usize,
    },
}

/// Why a run that started has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The system could not provide a thread, a socket or a poller.
    Resources(io::Error),
    /// Nobody listens at the server's address.
    Unreached {
        /// The address and what the system said.
        why: String,
    },
    /// The server rejects the requests, and would reject them again.
    Rejected {
        /// The request and the answer.
        why: String,
    },
    /// Not all subscribers were connected in time.
    NotConnected {
        /// Number that were connected.
        connected: usize,
        /// Number that should have been.
        wanted: usize,
        /// Time waited.
        waited: Duration,
        /// Message of the last failure.
        last: Option<String>,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, why } => write!(f, "cannot use the URL {url}: {why}"),
            Self::OutOfBounds { name, allowed } => write!(f, "{name} must be {allowed}"),
            Self::Header(header) => write!(f, "the header {header:?} is not `Name: value`"),
            Self::Contradiction(what) => f.write_str(what),
            Self::TooManyFiles { needed, allowed } => write!(
                f,
                "{needed} open files are needed and {allowed} are allowed; raise `ulimit -n`, \
                 or run several benches side by side"
            ),
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resources(_) => f.write_str("the system provided no thread, socket or poller"),
            Self::Unreached { why } => write!(f, "nobody listens there: {why}"),
            Self::Rejected { why } => write!(f, "the server cannot be measured: {why}"),
            Self::NotConnected { connected, wanted, waited, last } => {
                write!(f, "{connected} of {wanted} subscribers connected within {waited:?}")?;
                match last {
                    Some(last) => write!(f, "; the last failure: {last}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Error for PlanError {}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Resources(error) => Some(error),
            Self::Unreached { .. } | Self::Rejected { .. } | Self::NotConnected { .. } => None,
        }
    }
}

impl From<DeadEnd> for RunError {
    fn from(dead_end: DeadEnd) -> Self {
        match dead_end {
            DeadEnd::Unreached(why) => Self::Unreached { why },
            DeadEnd::Rejected(why) => Self::Rejected { why },
        }
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Resources(error)
    }
}
