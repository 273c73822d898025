use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tidings_hub::{AppendError, ReadError};

/// Why a log could not be opened. No record was changed or removed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder, or a file in it, could not be made, listed, read or written.
    Io {
        /// What was to be done, in words.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has the log open.
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The log was written by a newer version, or the folder holds something else.
    UnknownFormat {
        /// The file that says so.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// What is there is not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl OpenError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "see that the folder exists, is writable, and has room",
            Self::InUse { .. } => "stop the other process, or give this one a folder of its own",
            Self::UnknownFormat { .. } => {
                "use the version that wrote the log, or give this one an empty folder"
            }
            Self::Damaged { .. } => {
                "restore the folder from a copy; or move it away, and a new, empty log begins: \
                 subscribers are then told that events may be missing"
            }
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
            Self::InUse { path } => {
                write!(f, "the log in {} is in use by another process", path.display())
            }
            Self::UnknownFormat { path, found } => {
                write!(f, "{} is not of a format this version knows: {found}", path.display())
            }
            Self::Damaged { path, what } => {
                write!(f, "the log is damaged: {}: {what}", path.display())
            }
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Something went wrong with a file of an open log: what, in one sentence for the operator.
#[derive(Clone, Debug)]
pub(crate) struct Fault(pub(crate) String);

impl Fault {
    pub(crate) fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        Self(format!("cannot {action} {}: {error}", path.display()))
    }

    pub(crate) fn damaged(path: &Path, what: impl fmt::Display) -> Self {
        Self(format!("{} is damaged: {what}", path.display()))
    }
}

impl From<Fault> for AppendError {
    fn from(fault: Fault) -> Self {
        Self::Failed { reason: fault.0 }
    }
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        Self::Failed { reason: fault.0 }
    }
}
