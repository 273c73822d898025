//! Runs: files with the records of one lane, at any positions in order.
//!
//! A run is a segment file of format 2: its name, its header and its blocks are those of a
//! [segment](crate::segment), except that positions may be left out. Places in its index are
//! positions counted from its first one, as in a segment.

use std::io;
use std::sync::Arc;

use tidings_hub::{Draft, Epoch, Kind, Position, Timestamp};

use crate::block::{Block, BlockBuilder, Commit, LAST_OF_COMMIT, SPARSE};
use crate::disk::Disk;
use crate::error::{Fault, OpenError};
use crate::index::{BlockEntry, IndexFile, MemoryIndex, write_index};
use crate::limits::{
    BLOCK_BYTES_AIM, RUN_SYNC_BYTES, SCAN_CHUNK_BYTES, SEGMENT_KEYS_MAX, SEGMENT_RECORDS_MAX,
};
use crate::mistake::Mistake;
use crate::record::{self, TopicTexts, write_number};
use crate::records::{Entry, Records};
use crate::run_name::RunName;
use crate::segment::{HEADER_BYTES, Index, Sealed, SegmentLog, Step};

/// A run of a lane.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) name: RunName,
    pub(crate) sealed: Arc<Sealed>,
    /// See [`RunEntry`](crate::catalogue::RunEntry).
    pub(crate) is_base: bool,
    /// See [`RunEntry`](crate::catalogue::RunEntry).
    pub(crate) aging: Timestamp,
}

impl Run {
    pub(crate) fn first(&self) -> Position {
        self.sealed.first()
    }

    pub(crate) fn last(&self) -> Position {
        self.sealed.last
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.sealed.bytes()
    }
}

/// Writes the runs of one lane, in order.
pub(crate) struct RunWriter {
    lane: u32,
    generation: u64,
    epoch: Epoch,
    bytes_max: u64,
    open: Option<Open>,
    done: Vec<Run>,
    made: Vec<RunName>,
}

/// A run that is being written.
struct Open {
    name: RunName,
    log: Arc<SegmentLog>,
    index: MemoryIndex,
    /// Blocks that are not in the file yet, the last of them perhaps open.
    buffer: Vec<u8>,
    block: Option<(BlockBuilder, Timestamp)>,
    /// Offset in the file of the buffer.
    offset: u64,
    last: Position,
    first_time: Timestamp,
    last_time: Timestamp,
    aging: Timestamp,
}

impl RunWriter {
    pub(crate) fn new(lane: usize, generation: u64, epoch: Epoch, bytes_max: u64) -> Self {
        let lane = lane as u32;
        Self { lane, generation, epoch, bytes_max, open: None, done: Vec::new(), made: Vec::new() }
    }

    /// Adds the next record. `aging` is the time from which its age counts, if it stays only until
    /// it is too old. Calls `pause` with the number of bytes after each write.
    pub(crate) fn add(
        &mut self,
        disk: &dyn Disk,
        entry: &Entry<'_>,
        head: &Draft,
        aging: Option<Timestamp>,
        pause: &mut dyn FnMut(usize) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.is_full(entry.position, self.bytes_max)) {
            self.finish_open(disk)?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let name =
                    RunName { first: entry.position, lane: self.lane, generation: self.generation };
                self.made.push(name);
                self.open.insert(Open::create(disk, name, self.epoch, entry.time)?)
            }
        };
        open.add(entry, head);
        if let Some(aging) = aging {
            let is_set = open.aging > Timestamp::default();
            open.aging = if is_set { open.aging.min(aging) } else { aging };
        }
        if open.buffer.len() >= RUN_SYNC_BYTES {
            let bytes = open.buffer.len();
            open.flush()?;
            open.sync()?;
            pause(bytes)?;
        }
        Ok(())
    }

    /// Ends the last run, and returns all of them, which survive a power cut once the folder is
    /// synced.
    pub(crate) fn finish(&mut self, disk: &dyn Disk) -> io::Result<Vec<Run>> {
        self.finish_open(disk)?;
        Ok(std::mem::take(&mut self.done))
    }

    /// The files it has made so far.
    pub(crate) fn files(&self) -> Vec<String> {
        self.made.iter().flat_map(|name| [name.file(), name.index()]).collect()
    }

    fn finish_open(&mut self, disk: &dyn Disk) -> io::Result<()> {
        // It stays open until it is done: its files are then known if this fails.
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let run = open.finish(disk)?;
        self.open = None;
        self.done.push(run);
        Ok(())
    }
}

impl Open {
    fn create(
        disk: &dyn Disk,
        name: RunName,
        epoch: Epoch,
        first_time: Timestamp,
    ) -> io::Result<Self> {
        let log = Arc::new(SegmentLog::create_run(disk, name, epoch)?);
        Ok(Self {
            name,
            log,
            index: MemoryIndex::default(),
            buffer: Vec::new(),
            block: None,
            offset: HEADER_BYTES as u64,
            last: name.first,
            first_time,
            last_time: first_time,
            aging: Timestamp::default(),
        })
    }

    fn is_full(&self, next: Position, bytes_max: u64) -> bool {
        self.offset + self.buffer.len() as u64 >= bytes_max
            || self.index.records() as usize >= SEGMENT_RECORDS_MAX
            || self.index.keys() >= SEGMENT_KEYS_MAX
            // Places have 31 bits.
            || next.get() - self.name.first.get() >= 1 << 31
    }

    fn add(&mut self, entry: &Entry<'_>, head: &Draft) {
        if self
            .block
            .as_ref()
            .is_some_and(|(block, _)| block.body_bytes(&self.buffer) >= BLOCK_BYTES_AIM)
        {
            self.end_block();
        }
        let place = (entry.position.get() - self.name.first.get()) as u32;
        if self.block.is_none() {
            let offset = (self.offset + self.buffer.len() as u64) as u32;
            self.index.add_block(BlockEntry { place, offset, time: entry.time });
            let block = BlockBuilder::begin(&mut self.buffer, entry.position);
            self.block = Some((block, entry.time));
            (self.last, self.last_time) = (entry.position, entry.time);
        }
        write_number(&mut self.buffer, entry.position.get() - self.last.get());
        write_number(&mut self.buffer, entry.time.as_millis() - self.last_time.as_millis());
        let begin = self.buffer.len();
        if head.kind == Kind::Erased {
            // Zeros in place of what was erased would push out events of others.
            record::encode(head, None, &mut self.buffer);
        } else {
            self.buffer.extend_from_slice(entry.raw);
        }
        self.block.as_mut().expect("one is open").0.count_record();
        self.index.add_record_at(place, head, self.buffer.len() - begin);
        (self.last, self.last_time) = (entry.position, entry.time);
    }

    fn end_block(&mut self) {
        if let Some((block, time)) = self.block.take() {
            let commit = Commit { first: block.first(), time, salt: self.log.salt };
            block.finish(&mut self.buffer, commit, LAST_OF_COMMIT | SPARSE);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end_block();
        self.log.file.write_at(&self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if Mistake::RunsUnsynced.is_planted() {
            return Ok(());
        }
        self.log.file.sync()
    }

    fn finish(&mut self, disk: &dyn Disk) -> io::Result<Run> {
        self.flush()?;
        self.log.write_run_header(self.name, self.last)?;
        self.sync()?;
        let mut sealed = Sealed {
            last: self.last,
            first_time: self.first_time,
            last_time: self.last_time,
            log_bytes: self.offset,
            index: Index::Memory(Arc::default()),
            log: Arc::clone(&self.log),
        };
        let name = self.name.index();
        write_index(disk, &name, &self.index, sealed.indexed())?;
        let index = IndexFile::open(disk, &name, sealed.log.salt)?;
        let index = index.ok_or_else(|| io::Error::other("an index cannot be read back"))?;
        sealed.index = Index::File(Arc::new(index));
        Ok(Run { name: self.name, sealed: Arc::new(sealed), is_base: false, aging: self.aging })
    }
}

/// A run that was read from its beginning to its end.
pub(crate) struct RunScan {
    pub(crate) index: MemoryIndex,
    pub(crate) last: Position,
    pub(crate) first_time: Timestamp,
    pub(crate) last_time: Timestamp,
}

/// Reads all of a run of `bytes` bytes.
pub(crate) fn scan_run(log: &SegmentLog, bytes: u64) -> Result<RunScan, OpenError> {
    let damaged = |what: String| OpenError::Damaged { path: log.path.clone(), what };
    let mut scanner = log.scan(HEADER_BYTES as u64, SCAN_CHUNK_BYTES);
    let mut texts = TopicTexts::default();
    let mut scan = None::<RunScan>;
    loop {
        let at = scanner.offset();
        let next = scanner.next();
        let next = next.map_err(|source| OpenError::Io {
            action: "read",
            path: log.path.clone(),
            source,
        })?;
        let Step::Block { offset, header, body } = next else {
            if at != bytes {
                return Err(damaged(format!("the block at byte {at} is broken")));
            }
            return scan.ok_or_else(|| damaged("it has no records".to_owned()));
        };
        let place = (header.first.get() - log.first.get()) as u32;
        let mut is_first = true;
        let mut records = Records::of(&Block { header, body });
        let unreadable =
            |_: Fault| damaged(format!("the records at byte {offset} cannot be decoded"));
        while let Some(entry) = records.next(log).map_err(unreadable)? {
            let scan = scan.get_or_insert_with(|| RunScan {
                index: MemoryIndex::default(),
                last: entry.position,
                first_time: entry.time,
                last_time: entry.time,
            });
            if std::mem::take(&mut is_first) {
                scan.index.add_block(BlockEntry {
                    place,
                    offset: offset as u32,
                    time: header.time,
                });
            }
            let head = entry.view.head(&mut texts);
            let head = head
                .ok_or_else(|| damaged(format!("record {} cannot be decoded", entry.position)))?;
            let place = (entry.position.get() - log.first.get()) as u32;
            scan.index.add_record_at(place, &head, entry.raw.len());
            (scan.last, scan.last_time) = (entry.position, entry.time);
        }
    }
}
