//! Files that hold secrets: whole or not at all, and readable by their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Writes `path`, in place of what it holds. A process that is killed meanwhile, or a full disk,
/// leaves the old file. Only one process at a time may write the same one.
///
/// # Errors
///
/// It cannot be written; what it held before is there still.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = with_suffix(path, ".new");
    // What a killed process left may have other permissions.
    remove(&new)?;
    let written = options().create_new(true).open(&new).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    // So that the new name outlives a power failure. (Elsewhere folders cannot be opened.)
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Removes a file, if it is there.
///
/// # Errors
///
/// It is there still.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes the lock `path`, which its holder has until the file is dropped or its process ends.
/// `None` while another process has it.
///
/// # Errors
///
/// The file cannot be opened, or its file system has no locks.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = options().create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// `path` with more behind its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    options.mode(0o600);
    options
}
