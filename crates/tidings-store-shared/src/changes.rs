//! The file `changes`: by it a backup sees that a hub shortened, renamed or replaced its copy while
//! it was being copied.
//!
//! A hub does that only when it is opened, and seldom. Before it does, it locks the file and writes
//! another number into it; the lock is released when it is done, also by the end of the process. A
//! backup that finds the file unlocked, and the same number before and after, copied a cache that
//! only grew meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

/// The name of the file.
const FILE: &str = "changes";

/// A change in progress, until this is dropped.
pub(crate) struct Changing {
    _locked: File,
}

impl Changing {
    /// Says that the copy in `folder` is about to be changed. `number` is one that was never used.
    pub(crate) fn announce(folder: &Path, number: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(folder.join(FILE))?;
        // A backup holds it only while it reads the number.
        file.lock()?;
        file.rewind()?;
        file.write_all(format!("{number:016x}\n").as_bytes())?;
        Ok(Self { _locked: file })
    }
}

/// The number of the last change of the copy in `folder`, once that is done; empty if there was
/// none.
pub(crate) fn last(folder: &Path) -> io::Result<String> {
    let mut file = match File::open(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    file.lock_shared()?;
    let mut number = String::new();
    file.read_to_string(&mut number)?;
    Ok(number)
}
