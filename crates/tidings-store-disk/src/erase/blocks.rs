//! Finding and overwriting the blocks of one file.

use std::collections::BTreeSet;
use std::io;

use tidings_hub::{Draft, Erase, EraseError, Erasing, Record};

use crate::block::{self, Block};
use crate::config::Durability;
use crate::error::Fault;
use crate::limits::{ERASE_REDO_BYTES, POSTINGS_PAGE};
use crate::read::ONE_BLOCK_BYTES;
use crate::record::{self, TopicTexts};
use crate::records::Records;
use crate::redo::{self, Redo};
use crate::segment::SegmentLog;
use crate::state::{SegmentRef, Shared};

use super::stored;

/// Offsets of the blocks of a file that may have records to be erased.
pub(super) struct Targets(BTreeSet<u64>);

/// A record that is erased.
pub(super) struct Taken {
    pub(super) record: Record,
    /// Number of the first of the erasures that take it.
    pub(super) by: usize,
    /// Whether one of them takes all of its topic.
    pub(super) with_topic: bool,
}

impl Targets {
    /// Asks the index of the file.
    pub(super) fn find(file: &SegmentRef<'_>, all: &[Erase]) -> Result<Self, Fault> {
        let mut targets = Self(BTreeSet::new());
        all.iter().try_for_each(|what| targets.add(file, what))?;
        Ok(targets)
    }

    fn add(&mut self, file: &SegmentRef<'_>, what: &Erase) -> Result<(), Fault> {
        let Self(blocks) = self;
        let first = file.log.first;
        if let Erasing::At(positions) = &what.what {
            let inside = positions.iter().filter(|at| (first..=file.last).contains(at));
            for position in inside {
                let place = (position.get() - first.get()) as u32;
                let block = file.index.blocks_back(place, 1)?;
                blocks.extend(block.first().map(|block| u64::from(block.offset)));
            }
            return Ok(());
        }
        let mut from = 0;
        loop {
            let mut postings = Vec::new();
            file.index.records_from(&what.topic, from, POSTINGS_PAGE, &mut postings)?;
            let Some(last) = postings.last() else {
                return Ok(());
            };
            from = last.place() + 1;
            let is_meant = |place: u32| first.get() + u64::from(place) <= what.upto.get();
            let meant = postings.iter().filter(|posting| is_meant(posting.place()));
            blocks.extend(meant.map(|posting| u64::from(posting.block)));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Shared {
    /// Overwrites some of the blocks, and takes them off `targets`. Returns the records that were
    /// erased.
    pub(super) fn erase_blocks(
        &self,
        log: &SegmentLog,
        targets: &mut Targets,
        all: &[Erase],
    ) -> Result<Vec<Taken>, EraseError> {
        let [name, _] = log.files();
        let mut redo = Redo::of(&name, log.salt);
        let mut new = Vec::new();
        let mut taken = Vec::new();
        let mut done = Vec::new();
        let mut scanner = log.scan(0, ONE_BLOCK_BYTES);
        for offset in &targets.0 {
            if redo.len() >= ERASE_REDO_BYTES {
                break;
            }
            scanner.seek_anew(*offset);
            let block = log.next_block(&mut scanner).map_err(stored)?;
            if let Some(bytes) = remade(log, &block, all, &mut taken).map_err(stored)? {
                redo.add(*offset, &bytes);
                new.push((*offset, bytes));
            }
            done.push(*offset);
        }
        if !new.is_empty() {
            self.overwrite(log, redo, &new)?;
        }
        done.iter().for_each(|offset| {
            targets.0.remove(offset);
        });
        Ok(taken)
    }

    fn overwrite(
        &self,
        log: &SegmentLog,
        redo: Redo,
        blocks: &[(u64, Vec<u8>)],
    ) -> Result<(), EraseError> {
        let path = self.disk.path(redo::REDO_FILE);
        if log.durability == Durability::Os {
            // What comes before a block is on the disk before the block is.
            log.file.sync().map_err(|error| self.lost(log, error))?;
        }
        if let Err(error) = redo.write(&*self.disk) {
            // Nothing was overwritten, and must not be later.
            let _ = redo::remove(&*self.disk);
            return Err(stored(Fault::io("write", &path, error)));
        }
        {
            let _alone = log.erasing.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let write = |(offset, bytes): &(u64, Vec<u8>)| log.file.write_at(bytes, *offset);
            let written = blocks.iter().try_for_each(write).and_then(|()| log.file.sync());
            // The file of new blocks stays, and opening the log writes them again.
            written.map_err(|error| self.lost(log, error))?;
        }
        // If it stays, it holds what is in the log by now: the next erasure removes it, or opening
        // the log, which writes the same once more.
        if let Err(error) = redo::remove(&*self.disk).and_then(|()| self.disk.sync()) {
            self.count_background_failure();
            tracing::warn!(%error, path = %path.display(), "a file that is done with stays");
        }
        Ok(())
    }

    /// What the file holds is no longer known.
    fn lost(&self, log: &SegmentLog, error: io::Error) -> EraseError {
        EraseError::Store(self.trouble.set(log.io_fault("overwrite blocks of", error).poisons()))
    }
}

/// The block without the records that are to be erased, which are added to `taken`. `None` if it
/// has none.
fn remade(
    log: &SegmentLog,
    block: &Block<'_>,
    all: &[Erase],
    taken: &mut Vec<Taken>,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut texts = TopicTexts::default();
    let mut found = Vec::<(usize, Taken)>::new();
    let mut each = Records::of(block);
    while let Some(entry) = each.next(log)? {
        let unreadable = || log.unreadable(entry.position);
        let draft = entry.view.head(&mut texts).ok_or_else(unreadable)?;
        let takes = |what: &&Erase| what.takes(&draft, entry.position);
        if let Some(by) = all.iter().position(|what| takes(&what)) {
            let with_topic = all.iter().filter(takes).any(|what| what.what == Erasing::All);
            let at = entry.raw.as_ptr() as usize - block.body.as_ptr() as usize;
            let record = Record::new(draft, entry.position, entry.time);
            let record = record.with_check(entry.view.check());
            found.push((at, Taken { record, by, with_topic }));
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    let mut bytes = vec![0; block.header.stride()];
    let body = &mut bytes[block::HEADER_BYTES..][..block.body.len()];
    body.copy_from_slice(block.body);
    for (at, one) in found {
        let length = block::u32_at(body, at) as usize;
        let erased = Draft::erased(&one.record, one.with_topic);
        record::erase(&erased, one.record.mark().check, &mut body[at + 4..at + 4 + length]);
        taken.push(one);
    }
    let header = block::Header { body_crc: crc32fast::hash(body), ..block.header };
    bytes[..block::HEADER_BYTES].copy_from_slice(&header.encode(log.salt));
    Ok(Some(bytes))
}
