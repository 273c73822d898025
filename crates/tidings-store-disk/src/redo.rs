//! Blocks that are about to be overwritten: an erasure writes them to the file `redo` first.
//!
//! A machine that stops while a block is being overwritten may leave half of it. So the new bytes
//! are on the disk before, and opening the log writes them again. The file holds only what the
//! blocks will be, nothing of what is erased. It is complete if its last eight bytes are the magic
//! and the CRC-32 of all before; otherwise nothing was overwritten yet.
//!
//! Before blocks of a file are written again, its index is removed: it may have been written after
//! the erasure failed, from memory that knows nothing of it. Opening the log makes it again.
//!
//! For each block: the length of the file's name (2 bytes), the name, the salt of the file (8
//! bytes), the offset (8 bytes), the length of the block (4 bytes), the block.

use std::io;

use crate::block::{u32_at, u64_at};
use crate::disk::Disk;
use crate::run_name::RunName;
use crate::segment::{SALT, index_name, position_in};

/// The name of the file.
pub(crate) const REDO_FILE: &str = "redo";

const MAGIC: [u8; 4] = *b"TRdo";

/// Blocks of one file to be overwritten.
pub(crate) struct Redo {
    name: String,
    salt: u64,
    bytes: Vec<u8>,
}

impl Redo {
    pub(crate) fn of(name: &str, salt: u64) -> Self {
        Self { name: name.to_owned(), salt, bytes: Vec::new() }
    }

    pub(crate) fn add(&mut self, offset: u64, block: &[u8]) {
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&(self.name.len() as u16).to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes.extend_from_slice(&(block.len() as u32).to_le_bytes());
        bytes.extend_from_slice(block);
    }

    /// Bytes of the file so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the file, so that it survives a power cut.
    pub(crate) fn write(mut self, disk: &dyn Disk) -> io::Result<()> {
        remove(disk)?;
        let crc = crc32fast::hash(&self.bytes);
        self.bytes.extend_from_slice(&MAGIC);
        self.bytes.extend_from_slice(&crc.to_le_bytes());
        let file = disk.create(REDO_FILE)?;
        file.write_at(&self.bytes, 0)?;
        file.sync()?;
        disk.sync()
    }
}

/// Overwrites the blocks that an interrupted erasure was overwriting, if there are any.
pub(crate) fn apply(disk: &dyn Disk) -> io::Result<()> {
    let file = match disk.open(REDO_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    if let Some(mut blocks) = complete(&bytes) {
        while !blocks.is_empty() {
            blocks = apply_one(disk, blocks)
                .ok_or_else(|| io::Error::other("the file of an erasure cannot be read"))??;
        }
    }
    drop(file);
    remove(disk)?;
    disk.sync()
}

/// The blocks, if all of them were written.
fn complete(bytes: &[u8]) -> Option<&[u8]> {
    let (blocks, end) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    let is_whole = end[..4] == MAGIC && u32_at(end, 4) == crc32fast::hash(blocks);
    is_whole.then_some(blocks)
}

/// Overwrites the first of `blocks`, and returns the others.
fn apply_one<'a>(disk: &dyn Disk, blocks: &'a [u8]) -> Option<io::Result<&'a [u8]>> {
    let (length, rest) = blocks.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    let name = std::str::from_utf8(name).ok()?;
    let (fixed, rest) = rest.split_at_checked(20)?;
    let (salt, offset) = (u64_at(fixed, 0), u64_at(fixed, 8));
    let (block, rest) = rest.split_at_checked(u32_at(fixed, 16) as usize)?;
    Some(overwrite(disk, name, salt, offset, block).map(|()| rest))
}

fn overwrite(disk: &dyn Disk, name: &str, salt: u64, offset: u64, block: &[u8]) -> io::Result<()> {
    let file = match disk.open(name) {
        // Retention dropped it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut found = [0; 8];
    let read = file.read_at(&mut found, SALT.start as u64)?;
    if read < found.len() || u64::from_le_bytes(found) != salt {
        return Ok(());
    }
    remove_index(disk, name)?;
    file.write_at(block, offset)?;
    file.sync()
}

/// Removes the index of a file, if it has one. The change survives a power cut.
fn remove_index(disk: &dyn Disk, name: &str) -> io::Result<()> {
    let index = match position_in(name, ".log") {
        Some(first) => Some(index_name(first)),
        None => RunName::of_file(name).map(|run| run.index()),
    };
    match index {
        Some(index) if disk.remove_if_there(&index)? => disk.sync(),
        _ => Ok(()),
    }
}

/// Removes the file, if there is one.
pub(crate) fn remove(disk: &dyn Disk) -> io::Result<()> {
    disk.remove_if_there(REDO_FILE).map(|_| ())
}
