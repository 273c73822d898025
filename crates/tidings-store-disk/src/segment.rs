//! Segments: the files that the log consists of, each a run of positions.
//!
//! A segment file is named after its first position and begins with a header of [`HEADER_BYTES`]
//! bytes, little-endian; then come [blocks](crate::block) and, in the segment being written, zeros.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | format, [`FORMAT`] |
//! | 4 | CRC-32 of the rest of the header |
//! | 6 | epoch |
//! | 2 | flags: 1 if appends were not synced |
//! | 8 | position of the first record |
//! | 8 | salt of the block headers |
//! | 24 | zeros; in a [run](crate::run) (format 2): last position 8, lane 4, job 8 |

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use tidings_hub::{Epoch, Position, Timestamp};

use crate::block::{self, Header, u32_at, u64_at};
use crate::config::Durability;
use crate::disk::{Disk, DiskFile};
use crate::error::{Fault, OpenError};
use crate::index::{IndexFile, Indexed, MemoryIndex, SegmentIndex};
use crate::log_identity::LogName;
use crate::run_name::RunName;

/// Where the salt is in the header.
pub(crate) const SALT: Range<usize> = 32..40;

/// Bytes before the first block.
pub(crate) const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"TIDINGSL";
const FORMAT: u32 = 1;
const RUN_FORMAT: u32 = 2;
const NOT_SYNCED: u16 = 1;

/// The file of one segment.
pub(crate) struct SegmentLog {
    /// Position of its first record.
    pub(crate) first: Position,
    /// Which run it is, if it is one.
    pub(crate) run: Option<RunName>,
    /// Salt of its block headers.
    pub(crate) salt: u64,
    /// Name of the log in its header: the present or a former one.
    pub(crate) epoch: Epoch,
    /// Durability of the appends in it.
    pub(crate) durability: Durability,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Locked while the index is rebuilt; holds when and why that last failed.
    pub(crate) repair: Mutex<Option<(Instant, Fault)>>,
    /// Held while blocks are being erased: a reader may find half of one then.
    pub(crate) erasing: RwLock<()>,
    /// Whether the index led a reader to the wrong place.
    misled: AtomicBool,
}

/// The name of the segment that begins at `first`.
pub(crate) fn log_name(first: Position) -> String {
    format!("{first:020}.log")
}

/// The name of its index.
pub(crate) fn index_name(first: Position) -> String {
    format!("{first:020}.index")
}

/// The position in a segment's name; `None` if it is not a segment's name with this ending.
pub(crate) fn position_in(name: &str, ending: &str) -> Option<Position> {
    let digits = name.strip_suffix(ending)?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok().map(Position::new))?
}

impl SegmentLog {
    /// Creates the segment that begins at `first`, so that it survives a power cut.
    pub(crate) fn create(
        disk: &dyn Disk,
        first: Position,
        epoch: Epoch,
        durability: Durability,
    ) -> io::Result<Self> {
        let name = log_name(first);
        let file = disk.create(&name)?;
        let salt = disk.random();
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        header[16..22].copy_from_slice(epoch.as_str().as_bytes());
        header[22..24].copy_from_slice(&flags_of(durability).to_le_bytes());
        header[24..32].copy_from_slice(&first.get().to_le_bytes());
        header[32..40].copy_from_slice(&salt.to_le_bytes());
        let crc = crc32fast::hash(&header[16..]);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
        file.write_at(&header, 0)?;
        file.sync()?;
        disk.sync()?;
        Ok(Self::of(file, disk.path(&name), first, salt, epoch, durability))
    }

    /// Opens the segment that begins at `first`. `None` if it is only half a header: the process
    /// ended while creating the file, and nothing was in it.
    pub(crate) fn open(
        disk: &dyn Disk,
        first: Position,
        log: &LogName,
    ) -> Result<Option<Self>, OpenError> {
        Self::open_file(disk, &log_name(first), first, FORMAT, log)
    }

    /// Opens a run, which must be whole.
    pub(crate) fn open_run(
        disk: &dyn Disk,
        name: RunName,
        log: &LogName,
    ) -> Result<Self, OpenError> {
        let file = name.file();
        let opened = Self::open_file(disk, &file, name.first, RUN_FORMAT, log)?;
        let what = "its beginning is missing".to_owned();
        let opened = opened.ok_or(OpenError::Damaged { path: disk.path(&file), what })?;
        Ok(Self { run: Some(name), ..opened })
    }

    fn open_file(
        disk: &dyn Disk,
        name: &str,
        first: Position,
        known_format: u32,
        log: &LogName,
    ) -> Result<Option<Self>, OpenError> {
        let path = disk.path(name);
        let fail = |source| OpenError::Io { action: "read", path: path.clone(), source };
        let damaged = |what: &str| OpenError::Damaged { path: path.clone(), what: what.to_owned() };
        let file = disk.open(name).map_err(fail)?;
        let mut header = [0; HEADER_BYTES];
        let read = file.read_at(&mut header, 0).map_err(fail)?;
        let is_whole =
            read == HEADER_BYTES && u32_at(&header, 12) == crc32fast::hash(&header[16..]);
        if !is_whole && file.len().map_err(fail)? <= HEADER_BYTES as u64 {
            return Ok(None);
        }
        if header[..8] != MAGIC {
            return Err(damaged("it does not begin as a segment does"));
        }
        let format = u32_at(&header, 8);
        if format != known_format {
            let found = format!("format {format}");
            return Err(OpenError::UnknownFormat { path, found });
        }
        if !is_whole {
            return Err(damaged("the checksum of its header is wrong"));
        }
        let Some(epoch) = log.epochs().find(|epoch| epoch.as_str().as_bytes() == &header[16..22])
        else {
            return Err(damaged("it belongs to another log"));
        };
        if u64_at(&header, 24) != first.get() {
            return Err(damaged("it has the name of another segment"));
        }
        let not_synced = u16::from_le_bytes([header[22], header[23]]) & NOT_SYNCED != 0;
        let durability = if not_synced { Durability::Os } else { Durability::Fsync };
        Ok(Some(Self::of(file, path, first, u64_at(&header, 32), epoch, durability)))
    }

    fn of(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        first: Position,
        salt: u64,
        epoch: Epoch,
        durability: Durability,
    ) -> Self {
        let (repair, misled) = (Mutex::default(), AtomicBool::new(false));
        let (run, erasing) = (None, RwLock::default());
        Self { first, run, salt, epoch, durability, path, file, repair, erasing, misled }
    }

    /// Creates the file of a run, which is synced before a catalogue names it. Its header is
    /// written [when it is done](Self::write_run_header).
    pub(crate) fn create_run(disk: &dyn Disk, name: RunName, epoch: Epoch) -> io::Result<Self> {
        let (file, path) = (disk.create(&name.file())?, disk.path(&name.file()));
        let log = Self::of(file, path, name.first, disk.random(), epoch, Durability::Fsync);
        Ok(Self { run: Some(name), ..log })
    }

    /// Writes the header of a run whose last record is at `last`.
    pub(crate) fn write_run_header(&self, name: RunName, last: Position) -> io::Result<()> {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&RUN_FORMAT.to_le_bytes());
        header[16..22].copy_from_slice(self.epoch.as_str().as_bytes());
        header[24..32].copy_from_slice(&self.first.get().to_le_bytes());
        header[32..40].copy_from_slice(&self.salt.to_le_bytes());
        header[40..48].copy_from_slice(&last.get().to_le_bytes());
        header[48..52].copy_from_slice(&name.lane.to_le_bytes());
        header[52..60].copy_from_slice(&name.generation.to_le_bytes());
        let crc = crc32fast::hash(&header[16..]);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
        self.file.write_at(&header, 0)
    }

    /// The name of its index.
    pub(crate) fn index_name(&self) -> String {
        self.run.map_or_else(|| index_name(self.first), |run| run.index())
    }

    /// The names of its files.
    pub(crate) fn files(&self) -> [String; 2] {
        [self.run.map_or_else(|| log_name(self.first), |run| run.file()), self.index_name()]
    }

    /// Makes the segment part of the log `epoch`, with appends of this `durability`. The change
    /// survives a power cut.
    pub(crate) fn rename(&self, epoch: Epoch, durability: Durability) -> io::Result<()> {
        if (self.epoch, self.durability) == (epoch, durability) {
            return Ok(());
        }
        let mut header = [0; HEADER_BYTES];
        self.file.read_at(&mut header, 0)?;
        header[16..22].copy_from_slice(epoch.as_str().as_bytes());
        header[22..24].copy_from_slice(&flags_of(durability).to_le_bytes());
        let crc = crc32fast::hash(&header[16..]);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
        self.file.write_at(&header, 0)?;
        self.file.sync()
    }

    /// Reads blocks one after the other, asking the disk for `chunk` bytes at a time.
    pub(crate) fn scan(&self, offset: u64, chunk: usize) -> Scanner<'_> {
        Scanner { log: self, chunk, buffer: Vec::new(), start: 0, end: 0, offset, loaded: None }
    }

    /// Checks that the file still has a name.
    pub(crate) fn see_linked(&self) -> Result<(), Fault> {
        match self.file.is_linked() {
            Ok(true) => Ok(()),
            Ok(false) => {
                let what = "was removed while the log was open";
                Err(Fault::Misplaced { path: self.path.clone(), what })
            }
            Err(error) => Err(self.io_fault("look at", error)),
        }
    }

    /// Notes that the index led a reader to the wrong place.
    pub(crate) fn note_misled(&self) {
        self.misled.store(true, Ordering::Relaxed);
    }

    /// Whether that has been noted since the last call.
    pub(crate) fn take_misled(&self) -> bool {
        self.misled.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn io_fault(&self, action: &'static str, error: io::Error) -> Fault {
        Fault::io(action, &self.path, error)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn flags_of(durability: Durability) -> u16 {
    match durability {
        Durability::Fsync => 0,
        Durability::Os => NOT_SYNCED,
    }
}

/// Reads blocks one after the other.
pub(crate) struct Scanner<'a> {
    log: &'a SegmentLog,
    chunk: usize,
    buffer: Vec<u8>,
    /// Beginning of the unread part of the buffer.
    start: usize,
    end: usize,
    /// Offset of `start` in the file.
    offset: u64,
    loaded: Option<u64>,
}

/// A scanner's next find.
pub(crate) enum Step<'b> {
    /// A valid block.
    Block { offset: u64, header: Header, body: &'b [u8] },
    /// No block begins here.
    Stop,
}

impl Scanner<'_> {
    /// Goes to another place. Bytes that are in the buffer are not read again.
    pub(crate) fn seek(&mut self, offset: u64) {
        let buffer_at = self.offset - self.start as u64;
        let kept = buffer_at..=buffer_at + self.end as u64;
        if kept.contains(&offset) {
            self.start = (offset - buffer_at) as usize;
        } else {
            (self.start, self.end) = (0, 0);
        }
        self.offset = offset;
    }

    /// Goes to another place, and reads what is there now.
    pub(crate) fn seek_anew(&mut self, offset: u64) {
        (self.start, self.end, self.offset) = (0, 0, offset);
    }

    /// The offset of the block that was read last, if any.
    pub(crate) fn loaded(&self) -> Option<u64> {
        self.loaded
    }

    /// Its current offset.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the block that begins here and moves past it.
    pub(crate) fn next(&mut self) -> io::Result<Step<'_>> {
        Ok(match self.advance()? {
            Some((offset, header, body)) => {
                Step::Block { offset, header, body: &self.buffer[body] }
            }
            None => Step::Stop,
        })
    }

    /// The body of a block that [`advance`](Self::advance) has found.
    pub(crate) fn body(&self, body: Range<usize>) -> &[u8] {
        &self.buffer[body]
    }

    /// Moves past the block that begins here. Returns its offset, its header and where its body is;
    /// `None` if no block begins here.
    pub(crate) fn advance(&mut self) -> io::Result<Option<(u64, Header, Range<usize>)>> {
        let Some(header) = self.header()? else {
            return Ok(None);
        };
        let stride = header.stride();
        if !self.fill(stride)? {
            return Ok(None);
        }
        let from = self.start + block::HEADER_BYTES;
        let body = from..from + header.body_bytes as usize;
        if !header.admits(&self.buffer[body.clone()]) {
            return Ok(None);
        }
        let offset = self.offset;
        self.loaded = Some(offset);
        self.start += stride;
        self.offset += stride as u64;
        Ok(Some((offset, header, body)))
    }

    /// Some raw bytes from `offset` on: at most `count`, none at the end of the file.
    pub(crate) fn raw(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        (self.start, self.end) = (0, 0);
        self.offset = offset;
        self.buffer.resize(count.max(self.buffer.len()), 0);
        self.end = self.log.file.read_at(&mut self.buffer[..count], offset)?;
        Ok(&self.buffer[..self.end])
    }

    /// The header of the block here, if there is one. Does not move.
    fn header(&mut self) -> io::Result<Option<Header>> {
        if !self.fill(block::HEADER_BYTES)? {
            return Ok(None);
        }
        let bytes = self.buffer[self.start..][..block::HEADER_BYTES].try_into();
        Ok(Header::decode(bytes.expect("filled"), self.log.salt))
    }

    /// Makes `bytes` bytes available; `false` if the file ends before.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        if self.end - self.start >= bytes {
            return Ok(true);
        }
        let file_bytes = self.log.file.len()?;
        if self.offset + bytes as u64 > file_bytes {
            return Ok(false);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let wanted = bytes.max(self.chunk);
        self.buffer.resize(wanted.max(self.buffer.len()), 0);
        let from = self.offset + self.end as u64;
        self.end += self.log.file.read_at(&mut self.buffer[self.end..wanted], from)?;
        Ok(self.end >= bytes)
    }
}

/// A segment that is complete. Its index is in memory until it is on disk.
pub(crate) struct Sealed {
    pub(crate) log: Arc<SegmentLog>,
    pub(crate) last: Position,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
    pub(crate) log_bytes: u64,
    pub(crate) index: Index,
}

/// The index of a sealed segment, in memory or on disk.
#[derive(Clone)]
pub(crate) enum Index {
    Memory(Arc<MemoryIndex>),
    File(Arc<IndexFile>),
}

impl Sealed {
    pub(crate) fn first(&self) -> Position {
        self.log.first
    }

    /// Whether both are the same file, whatever its index.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.log, &other.log)
    }

    /// The same segment with another index.
    pub(crate) fn with_index(&self, index: Index) -> Self {
        Self { log: Arc::clone(&self.log), index, ..*self }
    }

    pub(crate) fn index(&self) -> &dyn SegmentIndex {
        match &self.index {
            Index::Memory(index) => &**index,
            Index::File(index) => &**index,
        }
    }

    /// The facts about it that its index file holds.
    pub(crate) fn indexed(&self) -> Indexed {
        Indexed {
            salt: self.log.salt,
            first: self.log.first,
            log_bytes: self.log_bytes,
            first_time: self.first_time,
            last_time: self.last_time,
        }
    }

    /// Bytes that it and its index occupy, as far as they are written.
    pub(crate) fn bytes(&self) -> u64 {
        self.log_bytes
            + match &self.index {
                Index::Memory(_) => 0,
                Index::File(index) => index.bytes(),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_named_after_its_first_position() {
        let name = log_name(Position::new(42));
        assert_eq!(name, "00000000000000000042.log");
        assert_eq!(position_in(&name, ".log"), Some(Position::new(42)));
        for other in ["42.log", "0000000000000000004x.log", "00000000000000000042.index", "x"] {
            assert_eq!(position_in(other, ".log"), None, "{other}");
        }
    }
}
