//! The lock on a folder, released when its holder is done with it, not when the last copy of its
//! file is closed: a process that is started meanwhile has a copy until its program begins, and the
//! folder could not be opened again at once.

use std::fs::{File, TryLockError};

/// A lock on a folder: a locked file in it. Dropping it releases the lock.
#[derive(Debug)]
pub struct FolderLock(File);

impl FolderLock {
    /// Locks `file`, without waiting.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it is locked already, by this process or by another one;
    /// otherwise what the operating system says.
    pub fn take(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // If this fails, closing the file still releases the lock.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_copy_of_the_file_does_not_keep_the_lock() {
        let path = std::env::temp_dir().join(format!("tidings-lock-{}", std::process::id()));
        let open = || File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        let file = open();
        // What a process has that is being started.
        let copy = file.try_clone().unwrap();
        let lock = FolderLock::take(file).unwrap();
        assert!(matches!(FolderLock::take(open()), Err(TryLockError::WouldBlock)));
        drop(lock);
        assert!(FolderLock::take(open()).is_ok());
        drop(copy);
        std::fs::remove_file(&path).unwrap();
    }
}
