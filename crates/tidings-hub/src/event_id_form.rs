use crate::check::Check;
use crate::epoch::Epoch;
use crate::mark::Mark;
use crate::position::Position;

/// The form of a client's event id, as seen by one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventIdForm {
    /// `<epoch>:<position>` of this very log, with or without `.<check>`.
    Ours(Mark),
    /// The same form with the epoch of another log: this log was wiped, replaced or restored.
    OtherEpoch(Epoch, Mark),
    /// Not an id that a log makes; perhaps a publisher's own.
    Foreign,
}

impl EventIdForm {
    /// The form of `id` as seen by the log named `epoch`.
    pub fn of(id: &str, epoch: Epoch) -> Self {
        match parse(id) {
            Some((named, mark)) if named == epoch => Self::Ours(mark),
            Some((named, mark)) => Self::OtherEpoch(named, mark),
            None => Self::Foreign,
        }
    }
}

/// Reads `<epoch>:<position>` or `<epoch>:<position>.<check>`.
fn parse(id: &str) -> Option<(Epoch, Mark)> {
    let (head, place) = id.split_once(':')?;
    let named = Epoch::parse(head).ok()?;
    let (digits, check) = match place.split_once('.') {
        None => (place, None),
        Some((digits, check)) => (digits, Some(Check::parse(check)?)),
    };
    // One spelling per position: no sign, no leading zero.
    let canonical =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    let position = Position::new(digits.parse().ok().filter(|_| canonical)?);
    Some((named, Mark { position, check }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_reads_back_as_its_position() {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        for number in [0, 1, 42, u64::MAX] {
            for check in [None, Some(Check::new(0)), Some(Check::new(0xa_bcde))] {
                let mark = Mark { position: Position::new(number), check };
                let id = mark.event_id(epoch);
                assert_eq!(EventIdForm::of(id.as_str(), epoch), EventIdForm::Ours(mark), "{id}");
            }
        }
    }

    #[test]
    fn an_id_of_another_log_is_distinguished_from_a_publishers_own() {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let other = Epoch::parse("zzzzzz").expect("a valid epoch");
        for (id, check) in [("zzzzzz:42", None), ("zzzzzz:42.aaab", Some(Check::new(1)))] {
            let mark = Mark { position: Position::new(42), check };
            assert_eq!(EventIdForm::of(id, epoch), EventIdForm::OtherEpoch(other, mark));
        }
        let places = ["", ":", ":042", ":+1", ":42.", ":42.abc", ":42.abcde", ":42.ABCD", ":.abcd"];
        let ours = places.map(|place| format!("k7q2ma{place}"));
        for foreign in ours.iter().map(String::as_str).chain(["", "42", "urn:uuid:1"]) {
            assert_eq!(EventIdForm::of(foreign, epoch), EventIdForm::Foreign, "{foreign:?}");
        }
    }
}
