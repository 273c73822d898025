//! Backing up the folder of a hub: what another hub on the same log can start with, and what a log
//! of one hub can be restored from.
//!
//! # Why the backup is a folder of a hub
//!
//! The hub may run, and be killed, and start again meanwhile. The parts are read in this order:
//!
//! 1. *The number of the last [change](crate::changes).* From here on the cache only grows, or the
//!    number is another one in the end, and everything is copied once more.
//! 2. *The cursor.* What it has passed is in the cache that is copied later. The cache can have
//!    more, and is cut back to the cursor when it is opened.
//! 3. *Whether the hub is still fetching the log.* It notes that before it begins to, so a cursor
//!    that was read before is that of a whole copy.
//! 4. *The erasures that are to be carried out.* One that the cursor has passed was noted before.
//!    It is on the list, or was carried out before the list was read, and so in the cache that is
//!    copied later. One that the cursor has not passed is found in the log.
//! 5. *The name of the log, and what it lost.* It is written before the cursor passes the block in
//!    which it is. A name that is newer than that of the cache is given to the cache when it is
//!    opened, as after a crash.
//! 6. *The checks of older records.* What does not join the cursor is dropped when it is opened,
//!    and what is missing makes some ids unknown. The newer file is first: it may become the older
//!    one meanwhile.
//! 7. *The cache*, by the [backup of a log](tidings_store_disk::backup), which keeps erasures from
//!    being carried out meanwhile.
//! 8. The number of the last change again.

use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use tidings_store_disk::{OpenError, RestoreError, Restored, finish_copy, make_folder, partial_of};

use crate::changes;
use crate::limits::BACKUP_ATTEMPTS_MAX;
use crate::mistake::{Mistake, between};
use crate::open::{CACHE, is_incomplete};
use crate::{checks, cursor, erasures, origin};

/// Why there is no backup.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackupError {
    /// The hub never had all of the log.
    Incomplete {
        /// Its folder.
        path: PathBuf,
    },
    /// The hub changed its copy again and again meanwhile.
    Changing {
        /// Its folder.
        path: PathBuf,
    },
    /// The target already exists.
    Exists {
        /// The existing file or folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The hub's copy of the log cannot be copied.
    Cache {
        /// Why.
        source: tidings_store_disk::BackupError,
    },
}

impl BackupError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Incomplete { .. } => {
                "wait until the hub is ready, as /readyz says, or back up another one"
            }
            Self::Changing { .. } => "wait until the hub runs, and begin again",
            Self::Exists { .. } => "a backup never overwrites: give another name",
            Self::Io { .. } | Self::Cache { .. } => "check free space and permissions",
        }
    }
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete { path } => {
                write!(f, "the hub with its data in {} is still fetching the log", path.display())
            }
            Self::Changing { path } => {
                write!(f, "the hub changed its copy in {} meanwhile", path.display())
            }
            Self::Exists { path } => write!(f, "{} already exists", path.display()),
            Self::Io { path, .. } => write!(f, "cannot copy {}", path.display()),
            Self::Cache { .. } => f.write_str("the hub's copy of the shared log cannot be copied"),
        }
    }
}

impl Error for BackupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Cache { source } => Some(source),
            _ => None,
        }
    }
}

/// Whether the folder is that of a hub on a shared log, or a backup of one.
pub fn is_of_hub(folder: &Path) -> bool {
    folder.join(origin::FILE).is_file()
}

/// Copies the folder `from` of a hub, which may run, to the new folder `to`. Until it is complete,
/// the backup's name has the suffix `.partial`. Returns its size in bytes.
///
/// # Errors
///
/// [`BackupError`]; the part copied so far stays there, unfinished.
pub fn backup(from: &Path, to: &Path) -> Result<u64, BackupError> {
    let partial = partial_of(to).map_err(|path| BackupError::Exists { path })?;
    for _ in 0..BACKUP_ATTEMPTS_MAX {
        if let Some(bytes) = copy(from, &partial)? {
            finish_copy(&partial, to).map_err(at(to))?;
            return Ok(bytes);
        }
        fs::remove_dir_all(&partial).map_err(at(&partial))?;
    }
    Err(BackupError::Changing { path: from.to_owned() })
}

/// Makes the folder `to`, which must be empty or not exist, a log of one hub with the records of
/// the backup in `from`, without those that were to be erased.
///
/// # Errors
///
/// [`RestoreError`].
pub fn restore(from: &Path, to: &Path) -> Result<Restored, RestoreError> {
    let unread = |name: &str, source| {
        RestoreError::Copy(OpenError::Io { action: "read", path: from.join(name), source })
    };
    if is_incomplete(from) {
        let source = io::Error::other("the hub never had all of the log");
        return Err(unread(CACHE, source));
    }
    let noted = erasures::load(from).map_err(|source| unread(erasures::FILE, source))?;
    let erased: Vec<_> = noted.into_iter().map(|one| one.erase).collect();
    tidings_store_disk::restore_without(&from.join(CACHE), to, &erased)
}

/// What is read of the folder of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Cursor,
    /// Whether the hub is still fetching the log.
    Fetching,
    Erasures,
    Origin,
    Checks,
    OldChecks,
    Cache,
}

impl Part {
    fn may_be_missing(self) -> bool {
        matches!(self, Self::Erasures | Self::Checks | Self::OldChecks)
    }
}

/// The order that the module's documentation explains.
const ORDER: [Part; 7] = [
    Part::Cursor,
    Part::Fetching,
    Part::Erasures,
    Part::Origin,
    Part::Checks,
    Part::OldChecks,
    Part::Cache,
];

/// That order, or one that tests plant.
fn order() -> [Part; 7] {
    let mistakes = [
        (Mistake::CacheBeforeCursor, Part::Cache),
        (Mistake::ListBeforeCursor, Part::Erasures),
        (Mistake::OriginBeforeCursor, Part::Origin),
    ];
    let mut order = ORDER;
    if let Some((_, first)) = mistakes.iter().find(|(mistake, _)| mistake.is_planted()) {
        order.sort_by_key(|part| part != first);
    }
    order
}

/// Copies everything once. `None` if the hub changed its copy meanwhile.
fn copy(from: &Path, partial: &Path) -> Result<Option<u64>, BackupError> {
    let last_change = || changes::last(from).map_err(at(from));
    let before = last_change()?;
    let incomplete = || BackupError::Incomplete { path: from.to_owned() };
    let (mut files, mut bytes) = (Vec::new(), 0);
    for part in order() {
        between();
        let name = match part {
            Part::Cursor => cursor::FILE,
            Part::Erasures => erasures::FILE,
            Part::Origin => origin::FILE,
            Part::Checks => checks::FILE,
            Part::OldChecks => checks::OLD_FILE,
            Part::Fetching if is_incomplete(from) => return Err(incomplete()),
            Part::Fetching => continue,
            Part::Cache => {
                make_folder(partial).map_err(at(partial))?;
                // Once: a later cache could have rules applied up to behind the cursor.
                match tidings_store_disk::try_backup(&from.join(CACHE), &partial.join(CACHE)) {
                    Ok(Some(copied)) => bytes += copied,
                    Ok(None) => return Ok(None),
                    // It was replaced, perhaps.
                    Err(_) if last_change()? != before => return Ok(None),
                    Err(source) => return Err(BackupError::Cache { source }),
                }
                continue;
            }
        };
        match fs::read(from.join(name)) {
            // It has followed nothing.
            Ok(content) if content.is_empty() && part != Part::Checks => return Err(incomplete()),
            Ok(content) => files.push((name, content)),
            // There is none while nothing is to be erased, and without rules.
            Err(error) if error.kind() == ErrorKind::NotFound && part.may_be_missing() => {}
            Err(error) => return Err(at(&from.join(name))(error)),
        }
    }
    between();
    if last_change()? != before && !Mistake::ChangesUnseen.is_planted() {
        return Ok(None);
    }
    for (name, content) in files {
        let path = partial.join(name);
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(&content)?;
            file.sync_all()
        });
        written.map_err(at(&path))?;
        bytes += content.len() as u64;
    }
    Ok(Some(bytes))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}
