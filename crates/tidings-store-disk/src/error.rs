use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidings_hub::{AppendError, ReadError};

use crate::limits::AWAY_RETRY;

/// Why a log could not be opened. No record has been changed or removed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder, or a file in it, could not be created, listed, read or written.
    Io {
        /// The action that failed, in words.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has the log open.
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The log was written by a newer version, or the folder contains something else.
    UnknownFormat {
        /// The file in question.
        path: PathBuf,
        /// The format that the file states.
        found: String,
    },
    /// A file does not hold what was written to it.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The log in the folder is a copy of one that is held elsewhere.
    IsCopy {
        /// The folder.
        path: PathBuf,
    },
    /// A copy was to be opened, but the log in the folder is one of its own.
    NotACopy {
        /// The folder.
        path: PathBuf,
    },
}

impl OpenError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "make sure that the folder exists, is writable, and has room",
            Self::InUse { .. } => "stop the other process, or give this one a folder of its own",
            Self::UnknownFormat { .. } => {
                "use the version that wrote the log, or give this one an empty folder"
            }
            Self::Damaged { .. } => {
                "restore the folder from a copy; or move it away, and a new, empty log begins: \
                 subscribers then get a reset"
            }
            Self::IsCopy { .. } => {
                "follow the log that it is a copy of, or make a log from it with backup and restore"
            }
            Self::NotACopy { .. } => "give the copy an empty folder",
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
                write!(
                    f,
                    "{} has a format that this version does not know: {found}",
                    path.display()
                )
            }
            Self::Damaged { path, what } => {
                write!(f, "the log is damaged: {}: {what}", path.display())
            }
            Self::IsCopy { path } => {
                write!(f, "{} is a copy of a log that is held elsewhere", path.display())
            }
            Self::NotACopy { path } => {
                write!(f, "the log in {} is not a copy", path.display())
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

/// Something went wrong with a file of an open log.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The system reported an error.
    Io { action: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// A file does not hold what was written to it; `what` tells the operator what is wrong.
    Damaged { path: PathBuf, what: String },
    /// The folder or the file being written was removed, moved or replaced.
    Misplaced { path: PathBuf, what: &'static str },
    /// Rules have to be applied to what was appended before more can be.
    Backlog { bytes: u64 },
    /// The background thread has ended.
    BackgroundEnded,
}

impl Fault {
    pub(crate) fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(error) }
    }

    pub(crate) fn damaged(path: &Path, what: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }

    /// Whether the log is being closed, and a job was given up.
    pub(crate) fn is_interrupted(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted)
    }

    /// The answer to an append that this fault prevented and that may succeed later.
    pub(crate) fn refuses(self) -> AppendError {
        let source = Arc::new(self);
        match &*source {
            Self::Io { source: error, .. } if is_full(error) => AppendError::Full { source },
            Self::Backlog { .. } => AppendError::Full { source },
            Self::Damaged { .. } => AppendError::Damaged { source },
            _ => AppendError::Away { retry: AWAY_RETRY, source },
        }
    }

    /// The answer to every append from now on: what the disk holds is no longer known.
    pub(crate) fn poisons(self) -> AppendError {
        AppendError::Poisoned { source: Arc::new(self) }
    }
}

/// Whether the system had no room: on the disk, within a quota, or in a file of limited size.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, .. } => write!(f, "cannot {action} {}", path.display()),
            Self::Damaged { path, what } => write!(f, "{} is damaged: {what}", path.display()),
            Self::Misplaced { path, what } => write!(f, "{} {what}", path.display()),
            Self::Backlog { bytes } => {
                write!(f, "{bytes} bytes wait until the rules of retention are applied to them")
            }
            Self::BackgroundEnded => f.write_str("a background thread of the store has ended"),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        let source = Arc::new(fault);
        match &*source {
            Fault::Damaged { .. } => Self::Damaged { source },
            _ => Self::Away { retry: AWAY_RETRY, source },
        }
    }
}
