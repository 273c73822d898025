use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use tidings_hub::{AppendError, Position};

use crate::journal::{JournalError, Seq};
use crate::terms::Difference;

/// Why a shared log could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder of the cache, or a file in it, cannot be created, read or written.
    Io {
        /// The folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process uses the folder.
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The cache cannot be opened.
    Cache {
        /// Why.
        source: tidings_store_disk::OpenError,
    },
    /// The cache does not take what the log holds.
    Append {
        /// Why.
        source: AppendError,
    },
    /// The journal does not answer, and the hub has no cache to serve from.
    Away {
        /// What failed.
        source: JournalError,
    },
    /// There is no log yet.
    NoLog,
    /// The log that this hub followed is no longer there.
    LogGone,
    /// The log has other settings than this hub.
    Terms {
        /// Which, and how.
        differences: Vec<Difference>,
    },
    /// A backup is being put into the log, or was and is not complete.
    Incomplete,
    /// The oldest blocks of the log do not continue each other.
    NoBeginning {
        /// Sequence of the oldest block.
        seq: Seq,
    },
    /// The hub has no copy that can be used, and the log no longer has its beginning, from which
    /// rules promise events.
    BeginningLost {
        /// Sequence of the oldest block.
        seq: Seq,
        /// Position of its first record.
        first: Position,
    },
    /// A block is of a version that this program does not know.
    Version {
        /// Sequence of the block.
        seq: Seq,
        /// Its version.
        version: u16,
    },
}

impl OpenError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "make sure that the folder exists, is writable, and has room",
            Self::InUse { .. } => "stop the other process, or give this one a folder of its own",
            Self::Cache { source } => source.hint(),
            Self::Append { .. } => "make sure that the data folder has room",
            Self::Away { .. } => {
                "make sure that the servers run, and that this machine reaches them"
            }
            Self::NoLog => {
                "check the name of the log; if there is to be a new one, start one hub with \
                 --cluster-create"
            }
            Self::LogGone => {
                "bring it back from a backup of the servers; or, if it is lost for good, empty the \
                 data folders of all hubs and start one with --cluster-create: subscribers then \
                 get a reset"
            }
            Self::Terms { .. } => {
                "give all hubs on the log the same settings; to change them for all, start one hub \
                 with the new ones and --cluster-update, then the others with the new ones"
            }
            Self::Incomplete => {
                "wait for `tidings restore` to end; if it failed, delete the stream with `nats \
                 stream rm`, and restore again"
            }
            Self::NoBeginning { .. } => {
                "something else writes to the stream, or the servers drop blocks by a limit of \
                 their own: remove that limit, and purge the stream up to a block that others \
                 continue"
            }
            Self::BeginningLost { .. } => {
                "put a backup of a hub that runs in place of this hub's data folder: `tidings \
                 backup --data FOLDER-OF-THAT-HUB COPY`; only if no hub has a copy any more, start \
                 this one once with --cluster-allow-gaps: it begins with what the log still has"
            }
            Self::Version { .. } => "use the version of the program that wrote the block",
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, .. } => write!(f, "cannot use the folder {}", path.display()),
            Self::InUse { path } => {
                write!(f, "the folder {} is in use by another process", path.display())
            }
            Self::Cache { .. } => f.write_str("the hub's copy of the shared log cannot be opened"),
            Self::Append { .. } => f.write_str("the hub's copy of the shared log takes no events"),
            Self::Away { .. } => f.write_str("the shared log cannot be read"),
            Self::NoLog => f.write_str("there is no such shared log"),
            Self::LogGone => f.write_str("the shared log that this hub followed does not exist"),
            Self::Terms { differences } => {
                for (place, difference) in differences.iter().enumerate() {
                    let separator = if place == 0 { "" } else { "; " };
                    write!(f, "{separator}{difference}")?;
                }
                Ok(())
            }
            Self::Incomplete => f.write_str("a backup is being restored into the shared log"),
            Self::NoBeginning { seq } => {
                write!(f, "the shared log does not begin with block {seq}: none continues it")
            }
            Self::BeginningLost { first, .. } => {
                write!(
                    f,
                    "the hub has no usable copy of the shared log, which has nothing before \
                     position {first} any more: events that rules of retention promise to keep may \
                     be in copies only"
                )
            }
            Self::Version { seq, version } => {
                write!(f, "block {seq} of the shared log has version {version}, which is unknown")
            }
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Cache { source } => Some(source),
            Self::Append { source } => Some(source),
            Self::Away { source } => Some(source),
            _ => None,
        }
    }
}

impl From<JournalError> for OpenError {
    fn from(source: JournalError) -> Self {
        Self::Away { source }
    }
}
