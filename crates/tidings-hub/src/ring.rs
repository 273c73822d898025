//! The recent frames of one group, as the bytes that are sent.
//!
//! Every member of a group gets the same bytes in the same order, so the group keeps one copy of
//! them and each member is an *offset* into it: a number that counts the group's bytes from its
//! beginning. The bytes that a member has yet to get are then one slice, however many frames it
//! spans, and one `write` sends them.
//!
//! The ring forgets from the front: when all members have everything, or when it is full. A member
//! whose offset lies before [`Ring::base`] has been *overtaken*: it must read the log instead, by
//! position. The ring therefore knows where each frame ends, and can tell for any offset which
//! frame it lies in ([`Ring::locate`]) and for any position where to continue
//! ([`Ring::offset_after`]).
//!
//! The *floor* is what makes joining safe: every frame of the group after the floor is in the ring.

use std::collections::VecDeque;

use tidings_codec::gzip::Checksum;

use crate::check::Check;
use crate::half_sent::HalfSent;
use crate::mark::Mark;
use crate::position::Position;

#[derive(Debug)]
pub(crate) struct Ring {
    /// The bytes held, after `forgotten` bytes that are not yet freed.
    bytes: Vec<u8>,
    forgotten: usize,
    /// Offset of the first byte held.
    base: u64,
    frames: VecDeque<FrameEnd>,
    floor: Mark,
    /// Checksums of the text, where the members' streams end with one.
    sums: Option<Box<Sums>>,
}

/// Checksums of all the text that a ring ever held.
#[derive(Debug, Default)]
struct Sums {
    /// Up to the first frame held.
    base: Checksum,
    /// Up to the end of each frame.
    ends: VecDeque<Checksum>,
}

impl Sums {
    fn last(&self) -> Checksum {
        self.ends.back().copied().unwrap_or(self.base)
    }
}

#[derive(Clone, Copy, Debug)]
struct FrameEnd {
    /// The record's place and check: a [`Mark`], but without the gap behind it.
    position: Position,
    check: Option<Check>,
    /// Whether the record has these bytes wherever it is encoded.
    is_steady: bool,
    /// Offset of the byte after the frame.
    end: u64,
}

impl FrameEnd {
    fn mark(&self) -> Mark {
        Mark { position: self.position, check: self.check }
    }

    fn steady(&self) -> Option<Position> {
        self.is_steady.then_some(self.position)
    }
}

/// A place in the log, to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last record that is wholly delivered.
    pub(crate) mark: Mark,
    /// The part of the next one that is delivered too.
    pub(crate) half: HalfSent,
}

impl Ring {
    /// An empty ring; every frame of the group after `floor` is yet to come.
    pub(crate) fn new(floor: Mark) -> Self {
        let (bytes, frames) = (Vec::new(), VecDeque::new());
        Self { bytes, forgotten: 0, base: 0, frames, floor, sums: None }
    }

    /// The same for streams whose ends have checksums; then every frame is
    /// [pushed with one](Self::push_summed).
    pub(crate) fn summing(floor: Mark) -> Self {
        Self { sums: Some(Box::default()), ..Self::new(floor) }
    }

    /// Adds the group's next frame, whose text has the checksum `sum`.
    pub(crate) fn push_summed(&mut self, mark: Mark, frame: &[u8], is_steady: bool, sum: Checksum) {
        self.push(mark, frame, is_steady);
        if let Some(sums) = &mut self.sums {
            sums.ends.push_back(sums.last().then(sum));
        }
    }

    /// The checksum of the text of all frames that a member at `offset` has in full.
    pub(crate) fn sum_at(&self, offset: u64) -> Checksum {
        let Some(sums) = &self.sums else { return Checksum::default() };
        match self.frames.partition_point(|frame| frame.end <= offset) {
            0 => sums.base,
            n => sums.ends[n - 1],
        }
    }

    /// Adds the group's next frame. It is steady if its record has the same bytes wherever it is
    /// encoded.
    pub(crate) fn push(&mut self, mark: Mark, frame: &[u8], is_steady: bool) {
        self.bytes.extend_from_slice(frame);
        let Mark { position, check } = mark;
        self.frames.push_back(FrameEnd { position, check, is_steady, end: self.head() });
    }

    /// The offset before which [`trim`](Self::trim) would forget everything.
    pub(crate) fn trim_point(&self, bytes_max: usize) -> u64 {
        let excess = self.len().saturating_sub(bytes_max) as u64;
        if excess == 0 {
            return self.base;
        }
        // The first frame whose end lies at or beyond the excess: with it, enough is forgotten.
        let last_forgotten = self.frames.partition_point(|frame| frame.end < self.base + excess);
        // But `trim` keeps the newest frame, even one that is larger than the whole ring.
        match last_forgotten.min(self.frames.len().saturating_sub(2)) {
            n if n + 1 < self.frames.len() => self.frames[n].end,
            _ => self.base,
        }
    }

    /// Forgets the oldest frames while it holds more than `bytes_max`, but never the newest.
    pub(crate) fn trim(&mut self, bytes_max: usize) {
        while self.len() > bytes_max && self.frames.len() > 1 {
            let oldest = self.frames.pop_front().expect("there are at least two");
            self.forgotten += (oldest.end - self.base) as usize;
            // The floor follows: a subscriber that has this record in full can still join.
            self.base = oldest.end;
            self.floor = oldest.mark();
            if let Some(sums) = &mut self.sums {
                sums.base = sums.ends.pop_front().unwrap_or(sums.base);
            }
        }
        // Moving the rest down only once it is the smaller half moves each byte at most once.
        if self.forgotten > self.bytes.len() / 2 {
            self.bytes.copy_within(self.forgotten.., 0);
            self.bytes.truncate(self.bytes.len() - self.forgotten);
            self.forgotten = 0;
        }
    }

    /// Passes over a frame that no member of the group waits for.
    pub(crate) fn pass(&mut self, mark: Mark) {
        self.forget_all();
        self.floor = mark;
    }

    /// Passes over frames it never saw: every member, even one at the newest offset, has been
    /// overtaken.
    pub(crate) fn break_off(&mut self, upto: Mark) {
        self.pass(upto);
        // An offset that nobody has: even a member with all bytes so far is now before the base.
        self.base += 1;
    }

    /// Forgets the frames of records up to `upto`, and frees their memory.
    pub(crate) fn forget_upto(&mut self, upto: Position) {
        match self.offset_after(upto) {
            Some(behind) if behind == self.head() => self.forget_all(),
            Some(behind) if behind > self.base => {
                self.trim((self.head() - behind) as usize);
                self.bytes.drain(..self.forgotten);
                self.forgotten = 0;
            }
            _ => {}
        }
    }

    /// Forgets everything held, and frees the memory.
    pub(crate) fn forget_all(&mut self) {
        if let Some(last) = self.frames.back() {
            self.base = last.end;
            self.floor = last.mark();
        }
        if let Some(sums) = &mut self.sums {
            **sums = Sums { base: sums.last(), ends: VecDeque::new() };
        }
        self.bytes = Vec::new();
        self.forgotten = 0;
        self.frames = VecDeque::new();
    }

    /// Offset of the first byte held.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Offset after the last byte held: where the next frame will begin.
    pub(crate) fn head(&self) -> u64 {
        self.base + self.len() as u64
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.forgotten
    }

    /// The bytes that a member at `offset` has yet to get; `None` if it has been overtaken.
    pub(crate) fn since(&self, offset: u64) -> Option<&[u8]> {
        let skip = offset.checked_sub(self.base)?;
        Some(&self.bytes[self.forgotten + skip as usize..])
    }

    /// Where a reader of the log that has everything up to `position` continues; `None` if frames
    /// it needs are no longer here.
    pub(crate) fn offset_after(&self, position: Position) -> Option<u64> {
        if position < self.floor.position {
            return None;
        }
        // `position` may lie between two frames: the group does not want every record.
        let delivered = self.frames.partition_point(|frame| frame.position <= position);
        Some(match delivered {
            0 => self.base,
            n => self.frames[n - 1].end,
        })
    }

    /// Position of the record of the frame that begins at `offset`, if the frame is steady: then
    /// the rest of it fits a part of it that was sent before.
    pub(crate) fn begins_with(&self, offset: u64) -> Option<Position> {
        let delivered = self.frames.partition_point(|frame| frame.end <= offset);
        self.frames.get(delivered).and_then(FrameEnd::steady)
    }

    /// If `offset` is within a frame that is not steady: where the frame ends, and the position
    /// before it.
    pub(crate) fn unsteady_rest(&self, offset: u64) -> Option<(u64, Position)> {
        let place = self.locate(offset);
        let delivered = self.frames.partition_point(|frame| frame.end <= offset);
        let cut = self.frames.get(delivered).filter(|frame| !frame.is_steady)?;
        place.half.is_some().then_some((cut.end, place.mark.position))
    }

    /// The newest frame that it has seen.
    pub(crate) fn last_mark(&self) -> Mark {
        self.frames.back().map_or(self.floor, FrameEnd::mark)
    }

    /// Number of frames that a member at `offset` does not have in full.
    pub(crate) fn frames_after(&self, offset: u64) -> u64 {
        // The usual case, without a search.
        if offset == self.head() {
            return 0;
        }
        let delivered = self.frames.partition_point(|frame| frame.end <= offset);
        (self.frames.len() - delivered) as u64
    }

    /// The place in the log that `offset` stands for.
    pub(crate) fn locate(&self, offset: u64) -> Cursor {
        debug_assert!((self.base..=self.head()).contains(&offset), "not overtaken");
        let delivered = self.frames.partition_point(|frame| frame.end <= offset);
        let (mark, start) = match delivered {
            // Within the oldest frame: every record up to the floor is delivered.
            0 => (self.floor, self.base),
            n => (self.frames[n - 1].mark(), self.frames[n - 1].end),
        };
        let next = self.frames.get(delivered).and_then(FrameEnd::steady);
        Cursor { mark, half: HalfSent::new((offset - start) as usize, mark.position, next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(frames: &[(u64, &str)], bytes_max: usize) -> Ring {
        let mut ring = Ring::new(Position::new(10).into());
        for (position, bytes) in frames {
            ring.push(Position::new(*position).into(), bytes.as_bytes(), true);
            ring.trim(bytes_max);
        }
        ring
    }

    #[test]
    fn a_member_gets_everything_after_its_offset_as_one_slice() {
        let ring = ring(&[(11, "abc"), (15, "de")], 100);
        assert_eq!(ring.since(0), Some(&b"abcde"[..]));
        assert_eq!(ring.since(4), Some(&b"e"[..]));
        assert_eq!(ring.since(ring.head()), Some(&b""[..]));
    }

    #[test]
    fn a_full_ring_forgets_whole_frames_and_knows_which_members_were_overtaken() {
        let ring = ring(&[(11, "abc"), (15, "de"), (16, "fgh")], 5);
        assert_eq!((ring.base(), ring.head(), ring.len()), (3, 8, 5));
        assert_eq!(ring.since(2), None);
        assert_eq!(ring.since(3), Some(&b"defgh"[..]));
        assert_eq!(ring.offset_after(Position::new(10)), None);
        assert_eq!(ring.offset_after(Position::new(11)), Some(3));
        assert_eq!(ring.offset_after(Position::new(14)), Some(3));
        assert_eq!(ring.offset_after(Position::new(15)), Some(5));
        assert_eq!(ring.offset_after(Position::new(99)), Some(8));
    }

    #[test]
    fn a_frame_larger_than_the_ring_is_kept_until_the_next() {
        let mut ring = ring(&[(11, "abcdefgh")], 4);
        assert_eq!(ring.since(0), Some(&b"abcdefgh"[..]));
        ring.push(Position::new(12).into(), b"x", true);
        ring.trim(4);
        assert_eq!((ring.since(0), ring.since(8)), (None, Some(&b"x"[..])));
    }

    #[test]
    fn any_offset_is_a_place_in_the_log() {
        let ring = ring(&[(11, "abc"), (15, "de")], 100);
        let places: Vec<_> = (0..=5).map(|offset| ring.locate(offset)).collect();
        let place = |after, bytes, of| {
            let after = Position::new(after);
            Cursor { mark: after.into(), half: HalfSent::new(bytes, after, of) }
        };
        let (first, second) = (Some(Position::new(11)), Some(Position::new(15)));
        let expected = [
            place(10, 0, first),
            place(10, 1, first),
            place(10, 2, first),
            place(11, 0, second),
            place(11, 1, second),
            place(15, 0, None),
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn an_emptied_ring_continues_where_it_was() {
        let mut ring = ring(&[(11, "abc")], 100);
        ring.forget_all();
        assert_eq!((ring.base(), ring.head()), (3, 3));
        assert_eq!(ring.offset_after(Position::new(10)), None);
        assert_eq!(ring.offset_after(Position::new(11)), Some(3));
        ring.push(Position::new(20).into(), b"z", true);
        assert_eq!(ring.since(3), Some(&b"z"[..]));
        ring.pass(Position::new(30).into());
        assert_eq!(ring.offset_after(Position::new(29)), None);
    }

    #[test]
    fn a_small_ring_keeps_its_bytes_right_over_a_long_life() {
        let mut ring = Ring::new(Mark::default());
        let mut all = Vec::new();
        for n in 1..=1000_u64 {
            let frame = format!("<{n}>");
            all.extend_from_slice(frame.as_bytes());
            ring.push(Position::new(n).into(), frame.as_bytes(), true);
            let point = ring.trim_point(64);
            ring.trim(64);
            assert_eq!(ring.base(), point);
            let base = ring.base() as usize;
            assert_eq!(ring.since(ring.base()), Some(&all[base..]));
            assert!(ring.bytes.len() <= 2 * 64 + frame.len(), "forgotten bytes are freed");
        }
    }
}
