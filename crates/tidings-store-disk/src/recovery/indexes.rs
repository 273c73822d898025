//! Indexes as recovery finds them, or makes them again.

use std::io;
use std::sync::Arc;

use crate::disk::Disk;
use crate::index::{IndexFile, MemoryIndex, write_index};
use crate::segment::{Index, Sealed};

/// The index in the file `name`; `None` if there is none, or if it cannot be used.
pub(super) fn open_index(disk: &dyn Disk, name: &str, salt: u64) -> Option<IndexFile> {
    match IndexFile::open(disk, name, salt) {
        Ok(index) => index,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(index = name, %error, "an index cannot be read");
            None
        }
    }
}

/// Writes the index of `sealed` that was made again to the file `name`, from which `open` reads
/// it: that file is mapped, so memory does not grow with the log. It is kept in memory if it cannot
/// be written.
pub(super) fn keep_index(
    disk: &dyn Disk,
    name: &str,
    sealed: &Sealed,
    made: MemoryIndex,
    open: impl FnOnce() -> Option<IndexFile>,
) -> Index {
    match write_index(disk, name, &made, sealed.indexed()).map(|()| open()) {
        Ok(Some(index)) => Index::File(Arc::new(index)),
        Ok(None) => Index::Memory(Arc::new(made)),
        Err(error) => {
            let index = name;
            tracing::warn!(index, %error, "the index cannot be written, and is kept in memory");
            Index::Memory(Arc::new(made))
        }
    }
}
