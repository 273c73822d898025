use std::fmt;

use tidings_codec::EventId;

use crate::epoch::Epoch;

/// A record's place in the log of the whole hub.
///
/// Positions start at 1 and grow strictly; there is one order for all topics, so one position is a
/// cursor for any set of them. [`Position::ZERO`] is the place before the first record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// The place before the first record.
    pub const ZERO: Self = Self(0);

    /// The `n`th place in the log, counted from 1.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next place.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The place before; [`Position::ZERO`] stays where it is.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The event id under which subscribers know this place: `<epoch>:<position>`.
    pub fn event_id(self, epoch: Epoch) -> EventId {
        EventId::new(format!("{epoch}:{}", self.0)).expect("letters, digits and a colon")
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The form of a client's event id, as seen by one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventIdForm {
    /// `<epoch>:<position>` of this very log.
    Ours(Position),
    /// The same form with the epoch of another log: this log was wiped, replaced or restored.
    OtherEpoch(Epoch, Position),
    /// Not an id that a log makes; perhaps a publisher's own.
    Foreign,
}

impl EventIdForm {
    /// The form of `id` as seen by the log named `epoch`.
    pub fn of(id: &str, epoch: Epoch) -> Self {
        let Some((head, digits)) = id.split_once(':') else {
            return Self::Foreign;
        };
        let Ok(named) = Epoch::parse(head) else {
            return Self::Foreign;
        };
        // One spelling per position: no sign, no leading zero.
        let canonical = digits.bytes().all(|b| b.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        match digits.parse() {
            Ok(number) if canonical && named == epoch => Self::Ours(Position(number)),
            Ok(number) if canonical => Self::OtherEpoch(named, Position(number)),
            _ => Self::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_reads_back_as_its_position() {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        for number in [0, 1, 42, u64::MAX] {
            let id = Position::new(number).event_id(epoch);
            assert_eq!(EventIdForm::of(id.as_str(), epoch), EventIdForm::Ours(Position(number)));
        }
    }

    #[test]
    fn an_id_of_another_log_is_distinguished_from_a_publishers_own() {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let other = Epoch::parse("zzzzzz").expect("a valid epoch");
        let expected = EventIdForm::OtherEpoch(other, Position::new(42));
        assert_eq!(EventIdForm::of("zzzzzz:42", epoch), expected);
        for foreign in ["", "42", "k7q2ma", "k7q2ma:", "k7q2ma:042", "k7q2ma:+1", "urn:uuid:1"] {
            assert_eq!(EventIdForm::of(foreign, epoch), EventIdForm::Foreign, "{foreign:?}");
        }
    }
}
