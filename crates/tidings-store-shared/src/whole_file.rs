//! Small files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces the file at `path`, so that after a power cut there is either the old one or this one,
/// and once this returns only this one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    #[cfg(test)]
    REPLACED.set(REPLACED.get() + 1);
    let unfinished = path.with_extension("new");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    // The name of the file survives a power cut, where systems have that.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
thread_local! {
    /// Number of files that this thread has replaced, each with two syncs.
    pub(crate) static REPLACED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}
