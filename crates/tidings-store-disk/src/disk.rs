//! The operations that the store needs from a disk.
//!
//! Everything that touches a file goes through these two traits, so that tests can supply a disk
//! that loses unsynced data, tears a write, is full, or fails an `fsync`.

#[cfg(test)]
pub(crate) mod simulated;
mod spare;

use std::any::Any;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spare::SpareFiles;

use crate::folder_lock::FolderLock;
use crate::random::RandomSource;

/// Locked by a backup, shared, while it copies a folder with a catalogue.
pub(crate) const COPYING_FILE: &str = "copying";

/// One folder.
pub(crate) trait Disk: Send + Sync {
    /// The path of a file, for messages.
    fn path(&self, name: &str) -> PathBuf;

    /// The names of all files.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Creates a file that does not exist.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file, for writing too if that is allowed.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file, replacing any file with the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Its space is freed when it has no more readers.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The same for a file that may not exist. Returns whether it did.
    fn remove_if_there(&self, name: &str) -> io::Result<bool> {
        match self.remove(name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes creations, renames and removals survive a power cut.
    fn sync(&self) -> io::Result<()>;

    /// Whether the folder is still where it was found.
    fn is_in_place(&self) -> io::Result<bool>;

    /// A text that differs after each power cut, if there is one.
    fn machine_run(&self) -> Option<String>;

    /// A number that differs from log to log and from segment to segment.
    fn random(&self) -> u64;

    /// Keeps backups from beginning while the answer is held; `None` if one is being made: then
    /// nothing that it may read can be removed.
    fn hold_off_backups(&self) -> Option<Box<dyn Any>> {
        Some(Box::new(()))
    }

    /// Refills the reserve of descriptors that [`create`](Self::create) may have used.
    fn keep_spare_files(&self) {}
}

/// One file.
pub(crate) trait DiskFile: Send + Sync {
    /// Its length.
    fn len(&self) -> io::Result<u64>;

    /// Truncates it, or extends it with zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads from `offset` until `into` is full or the file ends. Returns the number of bytes read.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes written data and the length survive a power cut.
    fn sync(&self) -> io::Result<()>;

    /// Whether the file still has a name: a file removed while it was open has none.
    fn is_linked(&self) -> io::Result<bool>;
}

/// A folder of the file system.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The folder itself, even after it is moved; `None` where the system does not let folders be
    /// opened.
    handle: Option<File>,
    spare: SpareFiles,
    random: RandomSource,
}

impl Folder {
    pub(crate) fn new(path: &Path, random: RandomSource) -> Self {
        let handle = File::open(path).ok();
        Self { path: path.to_owned(), handle, spare: SpareFiles::default(), random }
    }
}

impl Disk for Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not valid text is not one of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = match options.open(self.path(name)) {
            // Only files that publishers wait for may use the reserve.
            Err(_) if name.ends_with(".log") && self.spare.give_up_one() => {
                options.open(self.path(name))?
            }
            opened => opened?,
        };
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path(name);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            // Read-only access is enough for most files: only the newest is written.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&path)?,
            opened => opened?,
        };
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    #[cfg(unix)]
    fn sync(&self) -> io::Result<()> {
        match &self.handle {
            Some(folder) => folder.sync_all(),
            None => File::open(&self.path)?.sync_all(),
        }
    }

    // Elsewhere a folder cannot be opened as a file, and the file system makes its entries durable.
    #[cfg(not(unix))]
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn is_in_place(&self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let named = match fs::metadata(&self.path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let Some(handle) = &self.handle else {
            return Ok(true);
        };
        let ours = handle.metadata()?;
        Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino()))
    }

    #[cfg(not(unix))]
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(self.path.is_dir())
    }

    fn machine_run(&self) -> Option<String> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn random(&self) -> u64 {
        self.random.number()
    }

    fn hold_off_backups(&self) -> Option<Box<dyn Any>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = match file.open(self.path(COPYING_FILE)) {
            Ok(file) => file,
            // Without write access nothing can be removed either.
            Err(_) => return None,
        };
        FolderLock::take(file).ok().map(|lock| Box::new(lock) as Box<dyn Any>)
    }

    fn keep_spare_files(&self) {
        self.spare.fill(self.handle.as_ref());
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        Self::set_len(self, bytes)
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(self, bytes, offset)?;
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match read_some(self, &mut into[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(bytes) => read += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    // Asked after each commit. A process that asks Linux for the times of a file, as `metadata`
    // does, makes the next write give the file a new one, which its sync must then write as well
    // (multigrain timestamps, Linux 6.13): a third more time per commit. So only the count of links
    // is asked for.
    #[cfg(target_os = "linux")]
    fn is_linked(&self) -> io::Result<bool> {
        use rustix::fs::{AtFlags, StatxFlags, statx};
        Ok(statx(self, "", AtFlags::EMPTY_PATH, StatxFlags::NLINK)?.stx_nlink > 0)
    }

    #[cfg(all(unix, not(target_os = "linux")))]
    fn is_linked(&self) -> io::Result<bool> {
        Ok(std::os::unix::fs::MetadataExt::nlink(&self.metadata()?) > 0)
    }

    #[cfg(not(unix))]
    fn is_linked(&self) -> io::Result<bool> {
        Ok(true)
    }
}

#[cfg(unix)]
fn read_some(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, offset)
}

#[cfg(windows)]
fn read_some(file: &File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, offset)
}
