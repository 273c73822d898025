//! The files `checks` and `checks.old`: hashes of blocks that were followed, from which the checks
//! of their records can be told after a rule of retention has dropped the records.
//!
//! The id of a subscriber is that of the newest event, whatever its topic: its heartbeats say so. A
//! rule may drop that event while nothing of the subscriber's own topics is missing. Hubs remember
//! only the newest blocks in memory, which on a busy log are those of a minute, so the older ones
//! are here.
//!
//! Each entry: position of the block's first record (8 bytes), number of its records (4), hash
//! (16). Blocks without records have none. When `checks` is full, it becomes `checks.old`.
//!
//! Nothing is synced: what a power cut takes away or damages makes ids unknown, and their readers
//! get a reset. But an entry of a block that the log has lost would make a lost id a right one. So
//! when a store is opened, the files are used only if they join the blocks of the cursor, which
//! has lost what the log lost, and what is behind that place is written anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tidings_hub::{Check, Position};

use crate::blocks::Blocks;
use crate::followed::Followed;
use crate::hash::BlockHash;

/// The name of the file.
pub(crate) const FILE: &str = "checks";

/// The name of the older file.
pub(crate) const OLD_FILE: &str = "checks.old";

/// The files.
#[derive(Debug)]
pub(crate) struct Checks {
    folder: PathBuf,
    newer: Table,
    older: Option<Table>,
    /// Entries in one file after which another is begun.
    entries_max: u64,
    unwritten: Vec<u8>,
}

/// One file of entries, in the order of their positions.
#[derive(Debug)]
struct Table {
    file: File,
    entries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    first: Position,
    count: u32,
    hash: BlockHash,
}

impl Checks {
    /// The files in `folder`, which join `blocks`; new ones if they do not.
    pub(crate) fn open(folder: &Path, blocks: &Blocks, entries_max: u64) -> io::Result<Self> {
        let newest = || blocks.newest().filter_map(Entry::of);
        let mut tables = [FILE, OLD_FILE].map(|name| Table::open(&folder.join(name)).ok());
        let place = newest().next().and_then(|anchor| {
            let find = |table: &mut Option<Table>| table.as_mut()?.place_of(&anchor);
            let found = tables.iter_mut().map(find).collect::<Vec<_>>();
            found.into_iter().enumerate().find_map(|(number, place)| Some((number, place?)))
        });
        let [newer, older] = tables;
        let (newer, older) = match (place, newer, older) {
            (Some((0, place)), Some(newer), older) => (newer.cut(place)?, older),
            (Some((1, place)), _, Some(older)) => {
                let older = older.cut(place)?;
                (Table::begin(&folder.join(FILE))?, Some(older))
            }
            _ => {
                remove(&folder.join(OLD_FILE))?;
                (Table::begin(&folder.join(FILE))?, None)
            }
        };
        let folder = folder.to_owned();
        let mut checks = Self { folder, newer, older, entries_max, unwritten: Vec::new() };
        newest().for_each(|entry| entry.encode(&mut checks.unwritten));
        checks.try_write()?;
        Ok(checks)
    }

    /// Removes the files in `folder`.
    pub(crate) fn remove(folder: &Path) -> io::Result<()> {
        [FILE, OLD_FILE].iter().try_for_each(|name| remove(&folder.join(name)))
    }

    /// Adds the next block. It is in the file once that was [written](Self::write).
    pub(crate) fn push(&mut self, block: &Followed) {
        if let Some(entry) = Entry::of(block) {
            entry.encode(&mut self.unwritten);
        }
    }

    /// Writes the blocks that were added. What cannot be written is written with the next ones.
    pub(crate) fn write(&mut self) {
        if let Err(error) = self.try_write() {
            let path = self.folder.join(FILE);
            tracing::warn!(%error, path = %path.display(), "a file cannot be written");
        }
    }

    /// The check of the record at `position`, if its block is in the files.
    pub(crate) fn check(&mut self, position: Position) -> Option<Check> {
        let tables = [Some(&mut self.newer), self.older.as_mut()].into_iter().flatten();
        // What cannot be read is not known.
        let entry = tables.filter_map(|table| table.of(position).ok()?).next()?;
        let place = position.get().checked_sub(entry.first.get())?;
        let place = u32::try_from(place).ok().filter(|place| *place < entry.count)?;
        Some(entry.hash.check(place))
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let Table { file, entries } = &mut self.newer;
        file.seek(SeekFrom::Start(*entries * Entry::BYTES as u64))?;
        file.write_all(&self.unwritten)?;
        *entries += (self.unwritten.len() / Entry::BYTES) as u64;
        self.unwritten.clear();
        if *entries >= self.entries_max {
            let (newer, older) = (self.folder.join(FILE), self.folder.join(OLD_FILE));
            fs::rename(&newer, older)?;
            self.older = Some(std::mem::replace(&mut self.newer, Table::begin(&newer)?));
        }
        Ok(())
    }
}

impl Table {
    /// An empty file.
    fn begin(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path)?;
        // A power cut must not bring back what was in it.
        file.sync_all()?;
        Ok(Self { file, entries: 0 })
    }

    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let entries = file.metadata()?.len() / Entry::BYTES as u64;
        Ok(Self { file, entries })
    }

    /// Number of the entries before `anchor`, if that is in the file.
    fn place_of(&mut self, anchor: &Entry) -> Option<u64> {
        let place = self.count_upto(anchor.first).ok()?.checked_sub(1)?;
        (self.entry(place).ok()? == *anchor).then_some(place)
    }

    /// Drops the entries from number `place` on.
    fn cut(mut self, place: u64) -> io::Result<Self> {
        self.file.set_len(place * Entry::BYTES as u64)?;
        // A power cut must not bring them back.
        self.file.sync_all()?;
        self.entries = place;
        Ok(self)
    }

    /// The entry of the block with the record at `position`, or before it.
    fn of(&mut self, position: Position) -> io::Result<Option<Entry>> {
        match self.count_upto(position)? {
            0 => Ok(None),
            count => self.entry(count - 1).map(Some),
        }
    }

    /// Number of entries whose first position is at most `position`.
    fn count_upto(&mut self, position: Position) -> io::Result<u64> {
        let (mut from, mut to) = (0, self.entries);
        while from < to {
            let middle = from.midpoint(to);
            if self.entry(middle)?.first <= position {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    fn entry(&mut self, number: u64) -> io::Result<Entry> {
        let mut bytes = [0; Entry::BYTES];
        self.file.seek(SeekFrom::Start(number * Entry::BYTES as u64))?;
        self.file.read_exact(&mut bytes)?;
        Ok(Entry::decode(&bytes))
    }
}

impl Entry {
    const BYTES: usize = 8 + 4 + BlockHash::BYTES;

    /// `None` for a block without records.
    fn of(block: &Followed) -> Option<Self> {
        let count = u32::try_from(block.next().get() - block.first.get()).ok()?;
        (count > 0).then_some(Self { first: block.first, count, hash: block.chain.hash })
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.first.get().to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(self.hash.as_bytes());
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let (first, rest) = bytes.split_first_chunk::<8>().expect("there are 28 bytes");
        let (count, rest) = rest.split_first_chunk::<4>().expect("there are 20 bytes");
        let hash = rest.try_into().expect("there are 16 bytes");
        Self {
            first: Position::new(u64::from_le_bytes(*first)),
            count: u32::from_le_bytes(*count),
            hash: BlockHash::from_bytes(hash),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::{Epoch, Timestamp};

    use super::*;
    use crate::chain::Chain;
    use crate::journal::Seq;
    use crate::limits::CURSOR_BLOCKS;
    use crate::test_folder::TestFolder;

    const MAX: u64 = 6_000;

    /// Block `n` of a branch: three records, every tenth none.
    fn block(n: u64, branch: u64) -> Followed {
        let first = n * 3 - (n / 10) * 3;
        let count = if n.is_multiple_of(10) { 0 } else { 3 };
        let chain = Chain {
            epoch: Epoch::from_random(1),
            hash: BlockHash::of(&(n + (branch << 40)).to_le_bytes()),
            next: Position::new(first + count),
            time: Timestamp::from_millis(n),
        };
        Followed { seq: Seq::new(n), chain, first: Position::new(first) }
    }

    struct World {
        folder: TestFolder,
        blocks: Blocks,
    }

    impl World {
        fn open(&self) -> Checks {
            Checks::open(self.folder.path(), &self.blocks, MAX).unwrap()
        }

        fn push(&mut self, checks: &mut Checks, blocks: std::ops::Range<u64>, branch: u64) {
            for n in blocks {
                let block = block(n, branch);
                checks.push(&block);
                self.blocks.push(block);
                if n.is_multiple_of(7) {
                    checks.write();
                }
            }
            checks.write();
        }
    }

    fn knows(checks: &mut Checks, n: u64, branch: u64) -> bool {
        let block = block(n, branch);
        let first = block.first.get();
        let known = (0..3).map(|at| checks.check(Position::new(first + at)));
        known.eq((0..3).map(|place| Some(block.chain.hash.check(place))))
    }

    #[test]
    fn the_checks_of_many_blocks_are_known_also_after_a_restart() {
        let mut world = World { folder: TestFolder::new(), blocks: Blocks::default() };
        let mut checks = world.open();
        assert_eq!(checks.check(Position::new(1)), None);
        world.push(&mut checks, 1..10_000, 0);
        for _ in 0..2 {
            for n in [1, 2, 11, 5_001, 6_001, 9_999] {
                assert!(knows(&mut checks, n, 0), "{n}");
            }
            assert_eq!(checks.check(Position::ZERO), None);
            assert_eq!(checks.check(block(9_999, 0).next()), None);
            drop(checks);
            checks = world.open();
        }
        // At the edge, what is in the older file is forgotten.
        world.push(&mut checks, 10_000..20_000, 0);
        assert!(!knows(&mut checks, 11, 0));
        for n in 14_000..20_000 {
            assert!(n % 10 == 0 || knows(&mut checks, n, 0), "{n}");
        }
        let bytes = |name| fs::metadata(world.folder.path().join(name)).unwrap().len();
        assert!(bytes(FILE) + bytes(OLD_FILE) <= 2 * (MAX + 7) * Entry::BYTES as u64);
    }

    #[test]
    fn what_the_log_lost_is_not_known_any_more() {
        let mut world = World { folder: TestFolder::new(), blocks: Blocks::default() };
        let mut checks = world.open();
        world.push(&mut checks, 1..9_000, 0);
        drop(checks);
        world.blocks.cut(Seq::new(8_500));
        let mut checks = world.open();
        assert!(knows(&mut checks, 8_499, 0) && knows(&mut checks, 1, 0));
        assert!(!knows(&mut checks, 8_501, 0));
        world.push(&mut checks, 8_501..8_600, 1);
        let mut checks = world.open();
        assert!(knows(&mut checks, 8_501, 1) && knows(&mut checks, 8_499, 0));
        assert!(!knows(&mut checks, 8_601, 0));
        // Further than all of the newest blocks: whether the files join it cannot be seen.
        world.blocks.cut(Seq::new(8_600 - CURSOR_BLOCKS as u64 - 100));
        let mut checks = world.open();
        assert!(!knows(&mut checks, 1, 0) && !knows(&mut checks, 8_501, 1));
    }

    /// As after a time in which a program wrote the cursor that does not know the files.
    #[test]
    fn files_that_do_not_join_the_cursor_are_begun_anew() {
        for branch in [0, 1] {
            let mut world = World { folder: TestFolder::new(), blocks: Blocks::default() };
            let mut checks = world.open();
            world.push(&mut checks, 1..3_000, 0);
            world.blocks = Blocks::default();
            for n in 1_000..1_000 + 2 * CURSOR_BLOCKS as u64 {
                world.blocks.push(block(n, branch));
            }
            let mut checks = world.open();
            assert!(!knows(&mut checks, 1, 0));
            assert!(knows(&mut checks, 999 + 2 * CURSOR_BLOCKS as u64, branch));
        }
    }

    #[test]
    fn files_with_any_bytes_are_read_and_begun_anew() {
        let mut world = World { folder: TestFolder::new(), blocks: Blocks::default() };
        let mut checks = world.open();
        world.push(&mut checks, 1..1_000, 0);
        for bytes in [vec![0; 100_000], vec![255; 30_001], Vec::new()] {
            fs::write(world.folder.path().join(FILE), &bytes).unwrap();
            fs::write(world.folder.path().join(OLD_FILE), &bytes).unwrap();
            assert!(knows(&mut world.open(), 999, 0));
        }
    }
}
