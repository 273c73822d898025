use std::collections::VecDeque;

use tidings_hub::{Check, Position, Timestamp};

use crate::followed::Followed;
use crate::journal::Seq;
use crate::limits::{CURSOR_BLOCKS, CURSOR_MARK_EVERY, CURSOR_MARKS_MAX};
use crate::mistake::Mistake;

/// The blocks that a hub remembers, oldest first: all of the newest ones, and some of the older.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// Some of the older ones.
    marks: Vec<Followed>,
    /// All of the newest ones.
    newest: VecDeque<Followed>,
}

impl Blocks {
    /// Adds the next block.
    pub(crate) fn push(&mut self, block: Followed) {
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

    /// Forgets the blocks after `seq`.
    pub(crate) fn cut(&mut self, seq: Seq) {
        self.newest.retain(|block| block.seq <= seq);
        self.marks.retain(|block| block.seq <= seq);
    }

    /// Number of blocks.
    pub(crate) fn len(&self) -> usize {
        self.marks.len() + self.newest.len()
    }

    /// All of them, oldest first.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Followed> {
        self.marks.iter().chain(&self.newest)
    }

    /// Those that are remembered without any between them missing, oldest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Followed> {
        self.newest.iter()
    }

    /// The newest block.
    pub(crate) fn last(&self) -> Option<&Followed> {
        self.newest.back().or(self.marks.last())
    }

    /// The newest block whose sequence is at most `seq`.
    pub(crate) fn upto(&self, seq: Seq) -> Option<&Followed> {
        self.newest_that(|block| block.seq <= seq)
    }

    /// The newest block of which no record is after `position`.
    pub(crate) fn before(&self, position: Position) -> Option<&Followed> {
        self.newest_that(|block| block.first <= position)
    }

    /// The newest block that is no younger than `time`.
    pub(crate) fn older_than(&self, time: Timestamp) -> Option<&Followed> {
        self.newest_that(|block| block.chain.time <= time)
    }

    /// The newest block with records that is no younger than `time`. Blocks without records have
    /// the time of the one before: they can be younger than they say.
    pub(crate) fn records_older_than(&self, time: Timestamp) -> Option<&Followed> {
        let is_old = |block: &Followed| block.chain.time <= time;
        let newest = self.newest.range(..self.newest.partition_point(is_old));
        let marks = &self.marks[..self.marks.partition_point(is_old)];
        let mut old = newest.rev().chain(marks.iter().rev());
        old.find(|block| block.first < block.next())
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

    /// The check of the record at `position`, if its block is remembered.
    pub(crate) fn check(&self, position: Position) -> Option<Check> {
        // Blocks without records are at the place of the next one that has some.
        let block = self.newest_that(|block| block.first <= position)?;
        let place = position.get() - block.first.get();
        let is_in = position < block.next();
        is_in.then(|| block.chain.hash.check(place as u32))
    }

    /// The newest block that is `old`, as all before it are.
    fn newest_that(&self, old: impl Fn(&Followed) -> bool) -> Option<&Followed> {
        match self.newest.partition_point(&old) {
            0 => self.marks.partition_point(&old).checked_sub(1).map(|place| &self.marks[place]),
            count => self.newest.get(count - 1),
        }
    }
}
