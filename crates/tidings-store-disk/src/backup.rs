//! Backing up a log while it is being written.
//!
//! # Why the backup is a log
//!
//! A log only grows, and only at its end. Everything is copied *from the end to the beginning*: the
//! newest segment first, and a file that may still be written in parts, from its last to its first.
//! So for any part in the backup, everything that was written before it is there as well, because
//! it was read later. Only the very end can be torn: an append whose later parts were written after
//! that place had been read. A crash leaves the same, and opening the backup removes it.
//!
//! Reading a file forwards would not work: whole appends can be written between reading its first
//! and its last part, and the backup would then have them after a hole, which is damage.
//!
//! Retention may drop the oldest segments meanwhile: then the backup begins later.
//!
//! Where retention goes by rules, a lock keeps it from removing anything while a backup is made.
//! The catalogue is copied first: what it names is complete, and the segments that it does not
//! stand for are still there, even if they are moved to runs meanwhile.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tidings_hub::Position;

use crate::catalogue::{CATALOGUE_FILE, Catalogue, unseal};
use crate::disk::COPYING_FILE;
use crate::limits::BACKUP_ATTEMPTS_MAX;
use crate::log_identity::FORMAT_FILE;
use crate::redo::REDO_FILE;
use crate::segment::{index_name, log_name, position_in};

/// Why there is no backup.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no log in the folder.
    NoLog {
        /// The folder.
        path: PathBuf,
    },
    /// The target already exists.
    Exists {
        /// The existing file or folder.
        path: PathBuf,
    },
    /// Files that were being copied were removed, again and again.
    Changing {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLog { path } => write!(f, "there is no log in {}", path.display()),
            Self::Exists { path } => write!(f, "{} already exists", path.display()),
            Self::Changing { path } => {
                write!(f, "files in {} were removed while they were copied", path.display())
            }
            Self::Io { path, .. } => write!(f, "cannot copy {}", path.display()),
        }
    }
}

impl std::error::Error for BackupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Copies the log in the folder `from`, which may be in use, to the new folder `to`. Until it is
/// complete, the backup's name has the suffix `.partial`. Returns its size in bytes.
///
/// # Errors
///
/// [`BackupError`]; the part copied so far stays there, unfinished.
pub fn backup(from: &Path, to: &Path) -> Result<u64, BackupError> {
    for _ in 0..BACKUP_ATTEMPTS_MAX {
        if let Some(bytes) = try_backup(from, to)? {
            return Ok(bytes);
        }
    }
    Err(BackupError::Changing { path: from.to_owned() })
}

/// The same, once. `None` if what was copied may lack something, because of what the hub did
/// meanwhile for the first time, or when it was opened; then nothing of it is there.
///
/// # Errors
///
/// As for [`backup`].
pub fn try_backup(from: &Path, to: &Path) -> Result<Option<u64>, BackupError> {
    let names = fs::read_dir(from).map_err(at(from))?.map(|entry| {
        let name = entry.map_err(at(from))?.file_name();
        Ok(name.to_string_lossy().into_owned())
    });
    let names = names.collect::<Result<Vec<_>, BackupError>>()?;
    if !names.iter().any(|name| name == FORMAT_FILE) {
        return Err(BackupError::NoLog { path: from.to_owned() });
    }
    let partial = partial_of(to).map_err(|path| BackupError::Exists { path })?;
    crate::recovery::make_folder(&partial).map_err(at(&partial))?;
    let Some(mut bytes) = copy_log(from, &partial)? else {
        fs::remove_dir_all(&partial).map_err(at(&partial))?;
        return Ok(None);
    };
    // Without it the folder is not a log.
    let (source, target) = (from.join(FORMAT_FILE), partial.join(FORMAT_FILE));
    bytes += copy(&source, &target).map_err(at(&source))?;
    finish_copy(&partial, to).map_err(at(to))?;
    Ok(Some(bytes))
}

/// The folder in which a copy is made that is to be called `to`: with the suffix `.partial`.
///
/// # Errors
///
/// The one of both that already exists.
pub fn partial_of(to: &Path) -> Result<PathBuf, PathBuf> {
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if to.exists() {
        return Err(to.to_owned());
    }
    if partial.exists() { Err(partial) } else { Ok(partial) }
}

/// Gives the copy in `partial`, which is complete, its name.
///
/// # Errors
///
/// If the folder cannot be synced or renamed.
pub fn finish_copy(partial: &Path, to: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    fs::rename(partial, to)
}

/// Copies runs and segments. `None` if what is copied may lack something: rules were applied, or
/// something was erased, for the first time meanwhile, and nothing kept there what was copied; or
/// the newest segments were removed, as by a hub that is opened and cuts its copy.
fn copy_log(from: &Path, partial: &Path) -> Result<Option<u64>, BackupError> {
    // While this is held, nothing is removed that the catalogue names.
    let guard = hold_off_removals(from)?;
    // An erasure that was interrupted is finished when the backup is opened.
    let mut bytes = match copy(&from.join(REDO_FILE), &partial.join(REDO_FILE)) {
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        copied => copied.map_err(at(&from.join(REDO_FILE)))?,
    };
    let catalogue = read_catalogue(from)?;
    if let Some((text, catalogue)) = &catalogue {
        let target = partial.join(CATALOGUE_FILE);
        fs::write(&target, text)
            .and_then(|()| File::open(&target)?.sync_all())
            .map_err(at(&target))?;
        let runs = catalogue.runs.iter().flat_map(|run| [run.name.file(), run.name.index()]);
        for name in runs.chain(catalogue.lost.clone()) {
            match copy(&from.join(&name), &partial.join(&name)) {
                // It is built again.
                Err(error) if error.kind() == ErrorKind::NotFound && name.ends_with(".runx") => {}
                copied => bytes += copied.map_err(at(&from.join(name)))?,
            }
        }
    }
    let upto = catalogue.as_ref().map_or(Position::ZERO, |(_, catalogue)| catalogue.upto);
    let segments = list_segments(from, upto)?;
    let Some(of_segments) = copy_segments(from, partial, &segments)? else { return Ok(None) };
    bytes += of_segments;
    let is_first = catalogue.is_none() && from.join(CATALOGUE_FILE).exists();
    // The first erasure may have begun meanwhile, too.
    let is_first = is_first || (guard.is_none() && from.join(COPYING_FILE).exists());
    Ok((!is_first).then_some(bytes))
}

/// The text of the catalogue with its checksum, and its content; `None` if there is none.
fn read_catalogue(from: &Path) -> Result<Option<(Vec<u8>, Catalogue)>, BackupError> {
    let path = from.join(CATALOGUE_FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    let catalogue = String::from_utf8(text.clone()).ok().and_then(unseal);
    let catalogue = catalogue.and_then(|text| Catalogue::decode(&text));
    let damaged = || at(&path)(io::Error::new(ErrorKind::InvalidData, "its checksum is wrong"));
    catalogue.map(|catalogue| Some((text, catalogue))).ok_or_else(damaged)
}

/// `None` if the folder has no catalogue, or never had one while a hub could remove something.
fn hold_off_removals(from: &Path) -> Result<Option<File>, BackupError> {
    let path = from.join(COPYING_FILE);
    match File::open(&path) {
        Ok(file) => file.lock_shared().map(|()| Some(file)).map_err(at(&path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(&path)(error)),
    }
}

/// The first positions of the segments after `upto`, the newest first.
fn list_segments(from: &Path, upto: Position) -> Result<Vec<Position>, BackupError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(from).map_err(at(from))? {
        let name = entry.map_err(at(from))?.file_name();
        segments.extend(position_in(&name.to_string_lossy(), ".log").filter(|first| *first > upto));
    }
    segments.sort_unstable_by(|a, b| b.cmp(a));
    Ok(segments)
}

/// Copies segments, which were listed after the catalogue was read. Returns their bytes; `None` if
/// one is gone, and not because it was too old.
fn copy_segments(
    from: &Path,
    partial: &Path,
    segments: &[Position],
) -> Result<Option<u64>, BackupError> {
    let mut bytes = 0;
    for (age, &first) in segments.iter().enumerate() {
        // A segment with an index is complete, so the index is looked for first.
        let index = index_name(first);
        match copy(&from.join(&index), &partial.join(&index)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            copied => bytes += copied.map_err(at(&from.join(index)))?,
        }
        let log = log_name(first);
        let (source, target) = (from.join(&log), partial.join(&log));
        // The newest segment is being written, or the one before it while the newest is being
        // created.
        let copied =
            if age < 2 { copy_backwards(&source, &target) } else { copy(&source, &target) };
        match copied {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // If retention has dropped it, nothing older is left either: it drops in order.
                if segments[age + 1..].iter().any(|older| from.join(log_name(*older)).exists()) {
                    return Ok(None);
                }
                let _ = fs::remove_file(partial.join(index_name(first)));
                break;
            }
            copied => bytes += copied.map_err(at(&source))?,
        }
    }
    Ok(Some(bytes))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, source }
}

/// Copies a file that is not being written.
fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    let bytes = fs::copy(from, to)?;
    File::open(to)?.sync_all()?;
    Ok(bytes)
}

/// Copies a file that may be being written, its last part first.
fn copy_backwards(from: &Path, to: &Path) -> io::Result<u64> {
    let mut source = File::open(from)?;
    let length = source.metadata()?.len();
    let mut target = File::create(to)?;
    target.set_len(length)?;
    let mut part = Vec::with_capacity(PART_BYTES);
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(PART_BYTES as u64);
        part.clear();
        source.seek(SeekFrom::Start(start))?;
        // It is shorter if the file has since been cut to its content.
        Read::by_ref(&mut source).take(end - start).read_to_end(&mut part)?;
        // Zeros need not be written: the file already consists of them.
        if part.iter().any(|byte| *byte != 0) {
            target.seek(SeekFrom::Start(start))?;
            target.write_all(&part)?;
        }
        end = start;
    }
    target.sync_all()?;
    Ok(length)
}

/// What is read at once of a file that may be written.
const PART_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_copied_backwards_is_the_same_file() {
        let folder = std::env::temp_dir().join(format!("tidings-backwards-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("to"));
        for bytes in [0, 1, PART_BYTES, 2 * PART_BYTES + 7] {
            let mut content: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
            // As in a segment, where zeros are made ahead.
            content.extend(vec![0; PART_BYTES + 3]);
            fs::write(&from, &content).unwrap();
            assert_eq!(copy_backwards(&from, &to).unwrap(), content.len() as u64);
            assert!(fs::read(&to).unwrap() == content, "{bytes}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_newest_segment_that_is_gone_does_not_end_the_copy_before_the_older_ones() {
        let folder = std::env::temp_dir().join(format!("tidings-gone-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        let listed = [30, 20, 10].map(Position::new);
        let write = |n| fs::write(from.join(log_name(Position::new(n))), [7; 9]).unwrap();
        write(10);
        write(20);
        // A hub has cut its copy.
        assert_eq!(copy_segments(&from, &to, &listed).unwrap(), None);
        // Retention has dropped the oldest.
        write(30);
        fs::remove_file(from.join(log_name(Position::new(10)))).unwrap();
        assert_eq!(copy_segments(&from, &to, &listed).unwrap(), Some(18));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_there_is_not_written_over_and_what_is_no_log_is_not_copied() {
        let folder = std::env::temp_dir().join(format!("tidings-no-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let to = folder.join("to");
        assert!(matches!(backup(&folder, &to), Err(BackupError::NoLog { .. })));
        fs::write(folder.join(FORMAT_FILE), "").unwrap();
        fs::create_dir(&to).unwrap();
        assert!(matches!(backup(&folder, &to), Err(BackupError::Exists { .. })));
        fs::remove_dir_all(folder).unwrap();
    }
}
