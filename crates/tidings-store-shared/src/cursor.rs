//! The blocks that a hub has followed: how it finds its place again, and where a log that lost its
//! end parted from the cache.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tidings_hub::{Position, Timestamp};

use crate::blocks::Blocks;
use crate::followed::Followed;
use crate::journal::Seq;
use crate::limits::{CURSOR_BLOCKS, CURSOR_MARKS_MAX};
use crate::whole_file;

/// The name of the file.
pub(crate) const FILE: &str = "cursor";

/// Blocks in the file after which it is rewritten.
const FILE_BLOCKS_MAX: usize = 4 * CURSOR_BLOCKS + CURSOR_MARKS_MAX;

/// The followed blocks, oldest first, in memory and in a file.
#[derive(Debug)]
pub(crate) struct Cursor {
    blocks: Arc<RwLock<Blocks>>,
    path: PathBuf,
    file: File,
    /// Blocks in the file that are whole.
    written: usize,
    /// Blocks that are not in the file yet.
    unwritten: Vec<u8>,
}

impl Cursor {
    /// Opens the cursor in `folder`, or begins one.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut cursor =
            Self { blocks: Arc::default(), path, file, written: 0, unwritten: Vec::new() };
        // A process that was killed can leave half an entry, a power cut any bytes.
        for entry in bytes.chunks_exact(Followed::BYTES).map_while(Followed::decode) {
            if cursor.last().is_some_and(|last| !last.precedes(&entry)) {
                break;
            }
            cursor.write_blocks().push(entry);
            cursor.written += 1;
        }
        Ok(cursor)
    }

    /// What is remembered, for those that look up blocks while this follows.
    pub(crate) fn blocks(&self) -> Arc<RwLock<Blocks>> {
        Arc::clone(&self.blocks)
    }

    /// The newest block.
    pub(crate) fn last(&self) -> Option<Followed> {
        self.read().last().copied()
    }

    /// All that are remembered, oldest first.
    pub(crate) fn all(&self) -> Vec<Followed> {
        self.read().all().copied().collect()
    }

    /// The newest block whose sequence is at most `seq`.
    pub(crate) fn upto(&self, seq: Seq) -> Option<Followed> {
        self.read().upto(seq).copied()
    }

    /// The newest remembered block of which no record is after `position`.
    pub(crate) fn before(&self, position: Position) -> Option<Followed> {
        self.read().before(position).copied()
    }

    /// The newest remembered block that is no younger than `time`.
    pub(crate) fn older_than(&self, time: Timestamp) -> Option<Followed> {
        self.read().older_than(time).copied()
    }

    /// See [`Blocks::records_older_than`].
    pub(crate) fn records_older_than(&self, time: Timestamp) -> Option<Followed> {
        self.read().records_older_than(time).copied()
    }

    /// See [`Blocks::of_cache`].
    pub(crate) fn of_cache(&self, head: Position) -> Option<Followed> {
        self.read().of_cache(head).copied()
    }

    /// Adds the next block. It is in the file once that was [written](Self::write).
    pub(crate) fn push(&mut self, block: Followed) {
        self.write_blocks().push(block);
        block.encode(&mut self.unwritten);
    }

    /// Writes the blocks that were added. What cannot be written is written with the next ones: a
    /// cursor that is behind the cache only makes it follow some blocks again.
    pub(crate) fn write(&mut self) {
        if let Err(error) = self.try_write() {
            tracing::warn!(%error, path = %self.path.display(), "the cursor cannot be written");
        }
    }

    /// Forgets the blocks after `seq`.
    pub(crate) fn cut(&mut self, seq: Seq) -> io::Result<()> {
        self.write_blocks().cut(seq);
        self.rewrite()
    }

    /// Makes sure that no power cut takes what was written.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.try_write()?;
        self.file.sync_data()
    }

    fn read(&self) -> RwLockReadGuard<'_, Blocks> {
        self.blocks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_blocks(&self) -> RwLockWriteGuard<'_, Blocks> {
        self.blocks.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        if self.written >= FILE_BLOCKS_MAX {
            return self.rewrite();
        }
        self.file.seek(SeekFrom::Start((self.written * Followed::BYTES) as u64))?;
        self.file.write_all(&self.unwritten)?;
        self.written += self.unwritten.len() / Followed::BYTES;
        self.unwritten.clear();
        Ok(())
    }

    /// Replaces the file by one with what is remembered.
    fn rewrite(&mut self) -> io::Result<()> {
        let bytes = {
            let blocks = self.read();
            let mut bytes = Vec::with_capacity(blocks.len() * Followed::BYTES);
            blocks.all().for_each(|block| block.encode(&mut bytes));
            bytes
        };
        // A power cut must not bring back blocks that were forgotten: what they erased would not
        // be erased from a cache that was fetched since.
        whole_file::replace(&self.path, &bytes)?;
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.written = bytes.len() / Followed::BYTES;
        self.unwritten.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::Epoch;

    use super::*;
    use crate::chain::Chain;
    use crate::hash::BlockHash;
    use crate::test_folder::TestFolder;

    fn block(n: u64) -> Followed {
        let chain = Chain {
            epoch: Epoch::from_random(n / 1000),
            hash: BlockHash::of(&n.to_le_bytes()),
            next: Position::new(n * 3 + 1),
            time: Timestamp::from_millis(n),
        };
        // Of the sequences, some are void blocks.
        Followed { seq: Seq::new(n + n / 10), chain, first: Position::new(n * 3 - 2) }
    }

    fn push(cursor: &mut Cursor, block: Followed) {
        cursor.push(block);
        cursor.write();
    }

    #[test]
    fn a_cursor_is_the_same_when_it_is_opened_again() {
        let folder = TestFolder::new();
        let mut cursor = Cursor::open(folder.path()).unwrap();
        assert_eq!(cursor.last(), None);
        for n in 1..20_000 {
            push(&mut cursor, block(n));
        }
        let opened = Cursor::open(folder.path()).unwrap();
        assert_eq!(opened.last(), Some(block(19_999)));
        assert_eq!(opened.all(), cursor.all());
        let newest = (20_000 - CURSOR_BLOCKS as u64..20_000).map(block);
        assert!(opened.all().into_iter().rev().take(CURSOR_BLOCKS).eq(newest.rev()));
        // Older blocks are remembered too, if only some.
        assert_eq!(opened.all()[0], block(1));
        let of = |position| opened.before(Position::new(position)).unwrap();
        assert_eq!(of(59_000).first, Position::new(58_999));
        assert!(of(900).first <= Position::new(900) && of(900).first > Position::new(500));
    }

    /// The check of a record outlives the record.
    #[test]
    fn the_check_of_a_record_is_known_as_long_as_its_block_is() {
        let folder = TestFolder::new();
        let mut cursor = Cursor::open(folder.path()).unwrap();
        for n in 1..20_000 {
            push(&mut cursor, block(n));
            if n % 100 == 0 {
                // One without records.
                let next = block(n + 1);
                let chain = Chain { hash: BlockHash::NONE, next: next.first, ..block(n).chain };
                push(&mut cursor, Followed { chain, first: next.first, ..block(n) });
            }
        }
        let blocks = cursor.blocks();
        let check = |at: u64| blocks.read().unwrap().check(Position::new(at));
        let expected = |n: u64, place: u32| Some(block(n).chain.hash.check(place));
        for n in [19_999, 19_900, 19_901, 16_500] {
            for place in 0..3 {
                let at = block(n).first.get() + u64::from(place);
                assert_eq!(check(at), expected(n, place), "{n} {place}");
            }
        }
        assert_eq!(check(block(19_999).next().get()), None, "not there yet");
        assert_eq!(check(block(1).first.get()), expected(1, 0), "a mark");
        assert_eq!(check(block(2).first.get()), None, "between marks");
        assert_eq!(check(0), None);
    }

    #[test]
    fn half_an_entry_and_foreign_bytes_at_the_end_are_not_taken_for_blocks() {
        let folder = TestFolder::new();
        let mut cursor = Cursor::open(folder.path()).unwrap();
        for n in 1..10 {
            push(&mut cursor, block(n));
        }
        drop(cursor);
        let path = folder.path().join(FILE);
        let bytes = fs::read(&path).unwrap();
        for tail in [&bytes[..Followed::BYTES - 1], &[7; 200], &bytes[..3 * Followed::BYTES]] {
            fs::write(&path, [&bytes[..], tail].concat()).unwrap();
            let mut cursor = Cursor::open(folder.path()).unwrap();
            assert_eq!(cursor.last(), Some(block(9)));
            // The next block overwrites it.
            push(&mut cursor, block(10));
            drop(cursor);
            assert_eq!(Cursor::open(folder.path()).unwrap().last(), Some(block(10)));
        }
    }

    #[test]
    fn a_cursor_is_cut_for_good() {
        let folder = TestFolder::new();
        let mut cursor = Cursor::open(folder.path()).unwrap();
        for n in 1..100 {
            push(&mut cursor, block(n));
        }
        cursor.cut(block(50).seq).unwrap();
        push(&mut cursor, block(60));
        drop(cursor);
        let cursor = Cursor::open(folder.path()).unwrap();
        let seqs: Vec<_> = cursor.all().iter().rev().take(2).map(|block| block.seq).collect();
        assert_eq!(seqs, [block(60).seq, block(50).seq]);
        assert_eq!(cursor.upto(Seq::new(block(60).seq.get() - 1)), Some(block(50)));
        assert_eq!(cursor.upto(Seq::ZERO), None);
    }
}
