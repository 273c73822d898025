use crate::position::Position;

/// The part that a subscriber has of one record, after the last one it has in full.
///
/// The bytes that are missing may be sent only if they are the rest of the same bytes: of the
/// record at the same [place](Self::record), in a form in which it is always encoded alike.
/// Counting bytes is not enough: the record can be gone by the time the rest can be sent, and then
/// the next one is another event.
///
/// Two numbers of four bytes each, because every subscriber has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HalfSent {
    bytes: u32,
    /// Number of places between the record and the last one sent in full; zero if its rest cannot
    /// be found again.
    ahead: u32,
}

impl HalfSent {
    /// `bytes` bytes of the next record after the one at `after`. That record is at `record`, or
    /// `None` if it may have other bytes when it is encoded again.
    pub(crate) fn new(bytes: usize, after: Position, record: Option<Position>) -> Self {
        if bytes == 0 {
            return Self::default();
        }
        let ahead = record.and_then(|record| record.get().checked_sub(after.get()));
        let ahead = ahead.and_then(|ahead| u32::try_from(ahead).ok()).unwrap_or(0);
        Self { bytes: bytes as u32, ahead }
    }

    /// Whether there is a part: the stream is in the middle of an event.
    pub(crate) fn is_some(self) -> bool {
        self.bytes > 0
    }

    /// Bytes that were sent.
    pub(crate) fn bytes(self) -> usize {
        self.bytes as usize
    }

    /// The place of the record, given that the last one sent in full is at `after`; `None` if its
    /// rest cannot be found again.
    pub(crate) fn record(self, after: Position) -> Option<Position> {
        (self.ahead > 0).then(|| Position::new(after.get() + u64::from(self.ahead)))
    }

    /// Whether the stream can go on with `next`, a record whose bytes are steady, or `None` for any
    /// other: either nothing is half sent, or it is this record.
    pub(crate) fn fits(self, after: Position, next: Option<Position>) -> bool {
        !self.is_some() || (next.is_some() && self.record(after) == next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_record_is_found_again_unless_its_bytes_may_differ() {
        let after = Position::new(7);
        for (record, expected) in [(8, Some(8)), (1000, Some(1000)), (7 + (1 << 40), None)] {
            let half = HalfSent::new(3, after, Some(Position::new(record)));
            assert_eq!((half.bytes(), half.is_some()), (3, true));
            assert_eq!(half.record(after), expected.map(Position::new), "{record}");
        }
        assert_eq!(HalfSent::new(3, after, None).record(after), None);
        assert!(HalfSent::new(3, after, None).is_some(), "the stream is within an event");
        let nothing = HalfSent::new(0, after, Some(Position::new(8)));
        assert_eq!(nothing, HalfSent::default());
        assert!(!nothing.is_some());
    }

    #[test]
    fn a_part_fits_the_rest_of_the_same_record_only() {
        let (after, record) = (Position::new(7), Position::new(9));
        let half = HalfSent::new(3, after, Some(record));
        assert!(half.fits(after, Some(record)));
        assert!(!half.fits(after, Some(record.next())));
        assert!(!half.fits(after, None), "the record may have other bytes now");
        let unsteady = HalfSent::new(3, after, None);
        assert!(!unsteady.fits(after, Some(record)) && !unsteady.fits(after, None));
        let nothing = HalfSent::default();
        assert!(nothing.fits(after, Some(record)) && nothing.fits(after, None));
    }
}
