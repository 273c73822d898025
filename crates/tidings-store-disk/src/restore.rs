//! Making a log from a backup, under a name of its own.
//!
//! # Why a new name
//!
//! After the backup was made, the original log continued: more positions were assigned, and
//! subscribers saw them. The restored log gives the same positions to other events. Under the old
//! name, a subscriber that comes back with such a position would continue from there, without
//! events it never saw. With its own name the log knows where such an id comes from: up to the end
//! of the backup, ids with the old name are places in it ([`FormerName`](tidings_hub::FormerName)),
//! and a subscriber with a later one gets a reset.
//!
//! # Why every byte is read
//!
//! Opening a log reads the newest segment; damage in an older one is found when it is read, which
//! may be long after an undamaged backup was thrown away. So the indexes are not copied but
//! rebuilt, which checks every block and decodes every record.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidings_hub::{Epoch, Erase, Eraser as _, Log as _, Position};

use crate::DiskStore;
use crate::catalogue::CATALOGUE_FILE;
use crate::config::DiskConfig;
use crate::disk::{Disk, Folder};
use crate::error::OpenError;
use crate::folder_lock::FolderLock;
use crate::log_identity::{FORMAT_FILE, LogName};
use crate::random::RandomSource;
use crate::recovery::{Found, LOCK_FILE, Opened, open_folder};
use crate::redo::{self, REDO_FILE};
use crate::segment::{SegmentLog, log_name, position_in};

/// Why nothing was restored. Unfinished files have been removed again.
#[derive(Debug)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is no backup of a log in the folder.
    NoLog {
        /// The folder.
        path: PathBuf,
    },
    /// The given backup is a log that a hub has open.
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The target folder is not empty.
    NotEmpty {
        /// An entry of the folder.
        path: PathBuf,
    },
    /// The backup is damaged, or of another version.
    Copy(OpenError),
    /// The log cannot be written.
    Log(OpenError),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLog { path } => write!(f, "there is no backup of a log in {}", path.display()),
            Self::InUse { path } => write!(f, "a hub has the log in {} open", path.display()),
            Self::NotEmpty { path } => write!(f, "{} already exists", path.display()),
            Self::Copy(_) => f.write_str("the backup cannot be used"),
            Self::Log(_) => f.write_str("the log cannot be written"),
        }
    }
}

impl std::error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Copy(error) | Self::Log(error) => Some(error),
            _ => None,
        }
    }
}

/// A restored log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its new name.
    pub epoch: Epoch,
    /// Its former name.
    pub former: Epoch,
    /// Position of its oldest record, or of the next one to come.
    pub first: Position,
    /// Position of its newest record.
    pub head: Position,
}

/// Makes the folder `to`, which must be empty or not exist, a log with the records of the backup in
/// `from`. On Unix the folder's owner also owns its files.
///
/// # Errors
///
/// [`RestoreError`].
pub fn restore(from: &Path, to: &Path) -> Result<Restored, RestoreError> {
    restore_without(from, to, &[])
}

/// The same, without what `erased` says: for the backup of a copy in which that was still to be
/// done.
///
/// # Errors
///
/// [`RestoreError`].
pub fn restore_without(from: &Path, to: &Path, erased: &[Erase]) -> Result<Restored, RestoreError> {
    let former = read_name(from)?;
    see_that_nobody_writes(from)?;
    let was_there = to.exists();
    if was_there {
        see_that_nothing_is_in(to)?;
    }
    let (disk, lock) = open_folder(to, &RandomSource::default()).map_err(RestoreError::Log)?;
    let restored = fill(from, &former, &disk, to);
    // Erasing opens the log.
    drop(lock);
    let restored = restored.and_then(|restored| {
        // Opening may have given it another name.
        let epoch = erase_from(to, erased)?.unwrap_or(restored.epoch);
        give_to_the_owner(to)
            .map_err(|error| unwritten("give the files to the owner of", to, error))?;
        Ok(Restored { epoch, ..restored })
    });
    if restored.is_err() {
        for name in disk.names().unwrap_or_default() {
            let _ = disk.remove(&name);
        }
        if !was_there {
            let _ = fs::remove_dir(to);
        }
    }
    restored
}

/// Erases records from the log in `to`. Returns its name, if there is something to be erased.
fn erase_from(to: &Path, erased: &[Erase]) -> Result<Option<Epoch>, RestoreError> {
    if erased.is_empty() {
        return Ok(None);
    }
    // All of it is kept: what is too old, the hub drops.
    let config = DiskConfig {
        retention_bytes: u64::MAX,
        retention_age: Duration::MAX,
        ..DiskConfig::new(to)
    };
    let log = DiskStore::open(config).map_err(RestoreError::Log)?;
    for one in erased {
        log.erase(one, &|| true)
            .map_err(|error| unwritten("erase events in", to, io::Error::other(error)))?;
    }
    Ok(Some(log.identity().epoch))
}

fn read_name(from: &Path) -> Result<LogName, RestoreError> {
    let path = from.join(FORMAT_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RestoreError::NoLog { path: from.to_owned() });
        }
        Err(error) => return Err(unread(&path, error)),
    };
    LogName::parse(&text).map_err(|unreadable| RestoreError::Copy(unreadable.into_error(path)))
}

/// A log that is being written is not a backup: `backup` makes one.
fn see_that_nobody_writes(from: &Path) -> Result<(), RestoreError> {
    let path = from.join(LOCK_FILE);
    match File::open(&path).map(FolderLock::take) {
        Ok(Err(TryLockError::WouldBlock)) => Err(RestoreError::InUse { path: from.to_owned() }),
        Ok(Err(TryLockError::Error(error))) => Err(unread(&path, error)),
        Ok(Ok(_)) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unread(&path, error)),
    }
}

fn see_that_nothing_is_in(to: &Path) -> Result<(), RestoreError> {
    let entries = fs::read_dir(to).map_err(|error| unwritten("list the folder", to, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unwritten("list the folder", to, error))?;
        // A new file system has this entry.
        if entry.file_name() != "lost+found" {
            return Err(RestoreError::NotEmpty { path: entry.path() });
        }
    }
    Ok(())
}

/// Copies the segments, renames them, and reads all of them. The format file comes last: without
/// it the folder is no log.
fn fill(from: &Path, former: &LogName, disk: &Folder, to: &Path) -> Result<Restored, RestoreError> {
    // Errors in the content are errors in the backup.
    let in_copy = |error: OpenError| match error {
        OpenError::Damaged { path, what } => {
            RestoreError::Copy(OpenError::Damaged { path: in_folder(from, &path), what })
        }
        OpenError::UnknownFormat { path, found } => {
            RestoreError::Copy(OpenError::UnknownFormat { path: in_folder(from, &path), found })
        }
        other => RestoreError::Log(other),
    };
    let config = DiskConfig::new(to);
    let names =
        Folder::new(from, RandomSource::default()).names().map_err(|error| unread(from, error))?;
    let epoch = LogName::new(disk).epoch;
    let segments = names.iter().filter_map(|name| position_in(name, ".log"));
    let upto = copy_runs(from, former, disk, to, epoch)?;
    for first in segments.filter(|first| *first >= former.kept_from && *first > upto) {
        let name = log_name(first);
        // The system copies blocks, or shares them, where it can.
        fs::copy(from.join(&name), to.join(&name))
            .map_err(|error| unwritten("copy a segment to", &to.join(&name), error))?;
        // `None` is a segment with half a header: it was just being created and is empty.
        if let Some(log) = SegmentLog::open(disk, first, former).map_err(in_copy)? {
            log.rename(epoch, log.durability)
                .map_err(|error| unwritten("write to", &log.path, error))?;
        }
    }
    if names.iter().any(|name| name == REDO_FILE) {
        fs::copy(from.join(REDO_FILE), to.join(REDO_FILE))
            .and_then(|_| redo::apply(disk))
            .map_err(|error| unwritten("finish an erasure in", to, error))?;
    }
    let found = Found::look(disk, &config).map_err(RestoreError::Log)?;
    let Opened { lanes, sealed, end, .. } =
        found.segments(&LogName::called(epoch)).map_err(in_copy)?;
    let head = end.next.previous();
    let hot_first = sealed.front().map_or(end.log.first, |segment| segment.first());
    let first = lanes.first().unwrap_or(hot_first);
    let name = former.renewed(head, epoch);
    name.write(disk).map_err(|error| unwritten("write", &to.join(FORMAT_FILE), error))?;
    Ok(Restored { epoch, former: former.epoch, first, head })
}

/// Copies what the catalogue of a backup names. Returns the position up to which that counts.
fn copy_runs(
    from: &Path,
    former: &LogName,
    disk: &Folder,
    to: &Path,
    epoch: Epoch,
) -> Result<Position, RestoreError> {
    let copy = |name: &str| {
        fs::copy(from.join(name), to.join(name))
            .map_err(|error| unwritten("copy a run to", &to.join(name), error))
    };
    let config = DiskConfig::new(from);
    let source = Folder::new(from, RandomSource::default());
    let catalogue = Found::look(&source, &config).and_then(|found| found.catalogue());
    let Some(catalogue) = catalogue.map_err(RestoreError::Copy)? else {
        return Ok(Position::ZERO);
    };
    copy(CATALOGUE_FILE)?;
    if let Some(lost) = &catalogue.lost {
        copy(lost)?;
    }
    for run in &catalogue.runs {
        copy(&run.name.file())?;
        // The index is built again, which checks every record.
        let log = SegmentLog::open_run(disk, run.name, former).map_err(RestoreError::Copy)?;
        log.rename(epoch, log.durability)
            .map_err(|error| unwritten("write to", &log.path, error))?;
    }
    Ok(catalogue.upto)
}

/// The file of the same name in another folder.
fn in_folder(folder: &Path, path: &Path) -> PathBuf {
    path.file_name().map_or_else(|| folder.to_owned(), |name| folder.join(name))
}

/// The user that restores a log is not always the user that runs the hub.
#[cfg(unix)]
fn give_to_the_owner(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};

    let owner = fs::metadata(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let of_file = entry.metadata()?;
        if (of_file.uid(), of_file.gid()) != (owner.uid(), owner.gid()) {
            chown(entry.path(), Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn give_to_the_owner(_: &Path) -> io::Result<()> {
    Ok(())
}

fn unread(path: &Path, source: io::Error) -> RestoreError {
    RestoreError::Copy(OpenError::Io { action: "read", path: path.to_owned(), source })
}

fn unwritten(action: &'static str, path: &Path, source: io::Error) -> RestoreError {
    RestoreError::Log(OpenError::Io { action, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
