//! The blocks that a hub has followed: how it finds its place again, and where a log that lost its
//! end parted from the cache.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tidings_hub::{Epoch, Position, Timestamp};

use crate::chain::Chain;
use crate::hash::BlockHash;
use crate::journal::Seq;
use crate::limits::{CURSOR_BLOCKS, CURSOR_MARK_EVERY, CURSOR_MARKS_MAX};
use crate::mistake::Mistake;
use crate::whole_file;

/// The name of the file.
const FILE: &str = "cursor";

/// Bytes of one block in the file: sequence, hash, epoch, first and next position, time, CRC-32.
const ENTRY_BYTES: usize = 8 + BlockHash::BYTES + Epoch::LENGTH + 8 + 8 + 8 + 4;

/// Blocks in the file after which it is rewritten.
const FILE_BLOCKS_MAX: usize = 4 * CURSOR_BLOCKS + CURSOR_MARKS_MAX;

/// A valid block that was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) seq: Seq,
    /// The end of the chain with it.
    pub(crate) chain: Chain,
    /// Position of its first record.
    pub(crate) first: Position,
}

/// The followed blocks, oldest first, in memory and in a file.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Some of the older ones.
    marks: Vec<Followed>,
    /// All of the newest ones.
    newest: VecDeque<Followed>,
    path: PathBuf,
    file: File,
    /// Blocks in the file that are whole.
    written: usize,
    /// Blocks that a failed write left out.
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
        let mut cursor = Self {
            marks: Vec::new(),
            newest: VecDeque::new(),
            path,
            file,
            written: 0,
            unwritten: Vec::new(),
        };
        // A process that was killed can leave half an entry, a power cut any bytes.
        for entry in bytes.chunks_exact(ENTRY_BYTES).map_while(Followed::decode) {
            if cursor.last().is_some_and(|last| !last.precedes(&entry)) {
                break;
            }
            cursor.remember(entry);
            cursor.written += 1;
        }
        Ok(cursor)
    }

    /// The newest block.
    pub(crate) fn last(&self) -> Option<&Followed> {
        self.newest.back().or(self.marks.last())
    }

    /// All that are remembered, oldest first.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Followed> {
        self.marks.iter().chain(&self.newest)
    }

    /// The newest block whose sequence is at most `seq`.
    pub(crate) fn upto(&self, seq: Seq) -> Option<&Followed> {
        self.all().rev().find(|block| block.seq <= seq)
    }

    /// The newest remembered block of which no record is after `position`.
    pub(crate) fn before(&self, position: Position) -> Option<&Followed> {
        self.all().rev().find(|block| block.first <= position)
    }

    /// The newest block of a cache whose newest record is at `head`; not one without records,
    /// because whether that was followed when the cache was as it is now cannot be seen: it is
    /// followed again.
    pub(crate) fn of_cache(&self, head: Position) -> Option<&Followed> {
        let mut blocks = self.all().rev().skip_while(|block| block.next() > head.next());
        let newest = blocks.next()?;
        if newest.first < newest.next() || Mistake::TailTrusted.is_planted() {
            return Some(newest);
        }
        let mut oldest = newest;
        for block in blocks {
            oldest = block;
            if block.first < block.next() {
                break;
            }
        }
        Some(oldest)
    }

    /// Adds the next block. A block that cannot be written is written with the next one: a cursor
    /// that is behind the cache only makes it follow some blocks again.
    pub(crate) fn push(&mut self, block: Followed) {
        self.remember(block);
        block.encode(&mut self.unwritten);
        if let Err(error) = self.write() {
            tracing::warn!(%error, path = %self.path.display(), "the cursor cannot be written");
        }
    }

    /// Forgets the blocks after `seq`.
    pub(crate) fn cut(&mut self, seq: Seq) -> io::Result<()> {
        self.newest.retain(|block| block.seq <= seq);
        self.marks.retain(|block| block.seq <= seq);
        self.rewrite()
    }

    fn remember(&mut self, block: Followed) {
        self.newest.push_back(block);
        if self.newest.len() <= CURSOR_BLOCKS {
            return;
        }
        let Some(old) = self.newest.pop_front() else { return };
        let distance = |mark: &Followed| old.seq.get() - mark.seq.get();
        if self.marks.last().is_none_or(|mark| distance(mark) >= CURSOR_MARK_EVERY) {
            self.marks.push(old);
            if self.marks.len() > CURSOR_MARKS_MAX {
                let mut number = 0;
                self.marks.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.written >= FILE_BLOCKS_MAX {
            return self.rewrite();
        }
        self.file.seek(SeekFrom::Start((self.written * ENTRY_BYTES) as u64))?;
        self.file.write_all(&self.unwritten)?;
        self.written += self.unwritten.len() / ENTRY_BYTES;
        self.unwritten.clear();
        Ok(())
    }

    /// Replaces the file by one with what is remembered.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut bytes = Vec::with_capacity((self.marks.len() + self.newest.len()) * ENTRY_BYTES);
        self.all().for_each(|block| block.encode(&mut bytes));
        // A power cut must not bring back blocks that were forgotten: what they erased would not
        // be erased from a cache that was fetched since.
        whole_file::replace(&self.path, &bytes)?;
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.written = bytes.len() / ENTRY_BYTES;
        self.unwritten.clear();
        Ok(())
    }
}

impl Followed {
    /// The position after its last record.
    pub(crate) fn next(&self) -> Position {
        self.chain.next
    }

    fn precedes(&self, later: &Self) -> bool {
        self.seq < later.seq && self.next() <= later.first && later.first <= later.next()
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let Self { seq, chain: Chain { epoch, hash, next, time }, first } = self;
        bytes.extend_from_slice(&seq.get().to_le_bytes());
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(epoch.as_str().as_bytes());
        for number in [first.get(), next.get(), time.as_millis()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[start..]);
        bytes.extend_from_slice(&crc.to_le_bytes());
    }

    /// `None` if `bytes`, as many as an entry has, are not one.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (seq, rest) = content.split_first_chunk::<8>()?;
        let (hash, rest) = rest.split_first_chunk::<{ BlockHash::BYTES }>()?;
        let (epoch, rest) = rest.split_at_checked(Epoch::LENGTH)?;
        let number = |n: usize| {
            let bytes = rest.get(n * 8..n * 8 + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
        };
        let chain = Chain {
            epoch: Epoch::parse(std::str::from_utf8(epoch).ok()?).ok()?,
            hash: BlockHash::from_bytes(*hash),
            next: Position::new(number(1)?),
            time: Timestamp::from_millis(number(2)?),
        };
        let (seq, first) = (Seq::new(u64::from_le_bytes(*seq)), Position::new(number(0)?));
        Some(Self { seq, chain, first })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
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

    #[test]
    fn a_cursor_is_the_same_when_it_is_opened_again() {
        let folder = TestFolder::new();
        let mut cursor = Cursor::open(folder.path()).unwrap();
        assert_eq!(cursor.last(), None);
        for n in 1..20_000 {
            cursor.push(block(n));
        }
        let opened = Cursor::open(folder.path()).unwrap();
        assert_eq!(opened.last(), Some(&block(19_999)));
        assert_eq!(opened.newest, cursor.newest);
        assert_eq!(opened.newest.len(), CURSOR_BLOCKS);
        assert_eq!(opened.marks, cursor.marks);
        // Older blocks are remembered too, if only some.
        let oldest = opened.all().next().unwrap();
        assert_eq!(oldest, &block(1));
        let of = |position| opened.before(Position::new(position)).unwrap();
        assert_eq!(of(59_000).first, Position::new(58_999));
        assert!(of(900).first <= Position::new(900) && of(900).first > Position::new(500));
    }

    #[test]
    fn half_an_entry_and_foreign_bytes_at_the_end_are_not_taken_for_blocks() {
        let folder = TestFolder::new();
        let mut cursor = Cursor::open(folder.path()).unwrap();
        for n in 1..10 {
            cursor.push(block(n));
        }
        drop(cursor);
        let path = folder.path().join(FILE);
        let bytes = fs::read(&path).unwrap();
        for tail in [&bytes[..ENTRY_BYTES - 1], &[7; 200], &bytes[..3 * ENTRY_BYTES]] {
            fs::write(&path, [&bytes[..], tail].concat()).unwrap();
            let mut cursor = Cursor::open(folder.path()).unwrap();
            assert_eq!(cursor.last(), Some(&block(9)));
            // The next block overwrites it.
            cursor.push(block(10));
            drop(cursor);
            assert_eq!(Cursor::open(folder.path()).unwrap().last(), Some(&block(10)));
        }
    }

    #[test]
    fn a_cursor_is_cut_for_good() {
        let folder = TestFolder::new();
        let mut cursor = Cursor::open(folder.path()).unwrap();
        for n in 1..100 {
            cursor.push(block(n));
        }
        cursor.cut(block(50).seq).unwrap();
        cursor.push(block(60));
        drop(cursor);
        let cursor = Cursor::open(folder.path()).unwrap();
        let seqs: Vec<_> = cursor.all().rev().take(2).map(|block| block.seq).collect();
        assert_eq!(seqs, [block(60).seq, block(50).seq]);
        assert_eq!(cursor.upto(Seq::new(block(60).seq.get() - 1)), Some(&block(50)));
        assert_eq!(cursor.upto(Seq::ZERO), None);
    }
}
