//! The records of a block, one after the other.

use tidings_hub::{Position, Timestamp, Topic};

use crate::block::{Block, SPARSE};
use crate::error::Fault;
use crate::record::{self, View, read_number};
use crate::segment::SegmentLog;

#[cfg(test)]
thread_local! {
    /// Number of records of blocks that this thread has decoded.
    pub(crate) static DECODED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// A record in a block.
pub(crate) struct Entry<'b> {
    pub(crate) position: Position,
    pub(crate) time: Timestamp,
    pub(crate) view: View<'b>,
    /// The record as it is stored.
    pub(crate) raw: &'b [u8],
}

impl Entry<'_> {
    /// Whether it is on one of `topics`.
    pub(crate) fn is_on(&self, topics: &[&Topic]) -> bool {
        self.view.topics().any(|on| topics.iter().any(|topic| topic.as_str() == on))
    }
}

/// Goes through the records of a block. In a block of a [run](crate::run), each record is preceded
/// by two numbers: how far its position and its time are from those of the record before.
pub(crate) struct Records<'b> {
    rest: &'b [u8],
    left: u32,
    next: Position,
    time: Timestamp,
    is_sparse: bool,
}

impl<'b> Records<'b> {
    pub(crate) fn of(block: &Block<'b>) -> Self {
        Self {
            rest: block.body,
            left: block.header.count,
            next: block.header.first,
            time: block.header.time,
            is_sparse: block.header.is(SPARSE),
        }
    }

    /// A position that the next record is not before.
    pub(crate) fn next_position(&self) -> Position {
        self.next
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self, log: &SegmentLog) -> Result<Option<Entry<'b>>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        let entry = self.decode().ok_or_else(|| log.unreadable(self.next))?;
        #[cfg(test)]
        DECODED.set(DECODED.get() + 1);
        self.left -= 1;
        Ok(Some(entry))
    }

    fn decode(&mut self) -> Option<Entry<'b>> {
        let mut rest = self.rest;
        if self.is_sparse {
            let (distance, ms) = (read_number(&mut rest)?, read_number(&mut rest)?);
            self.next = Position::new(self.next.get().checked_add(distance)?);
            self.time = Timestamp::from_millis(self.time.as_millis().checked_add(ms)?);
        }
        let (view, behind) = record::split(rest)?;
        let raw = &rest[..rest.len() - behind.len()];
        self.rest = behind;
        let entry = Entry { position: self.next, time: self.time, view, raw };
        if !self.is_sparse {
            self.next = self.next.next();
        }
        Some(entry)
    }
}
