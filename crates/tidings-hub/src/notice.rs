use std::sync::Arc;

use tidings_codec::{EventId, encode};

use crate::draft::Draft;
use crate::epoch::Epoch;
use crate::mark::Mark;

/// An event that is in no log: it goes to current subscribers and can never be read again.
///
/// It has no position, and does not move a subscriber's. So that a subscriber that disconnects
/// after it resumes where it was, its id is the position that the subscriber has reached, a `+`,
/// and the notice's [tag](Self::tag): `k7q2ma:42+x7`. The maker of the notice can read the tag back
/// from the id that the subscriber returns with.
#[derive(Debug)]
pub struct Notice {
    /// Topics, type, payload and visibility. Its id and kind mean nothing.
    pub draft: Draft,
    /// Which of the subscribers that asked for it and may have it will get it.
    pub audience: Audience,
    /// The suffix of its ids.
    pub tag: Box<str>,
}

/// A kind of subscriber that notices are made for. The maker of the notices decides what the number
/// means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Audience(pub u8);

/// Separates the position from the tag.
const SEPARATOR: char = '+';

impl Notice {
    /// Appends the notice as an event for a subscriber that has everything up to `mark`.
    pub fn encode(&self, out: &mut Vec<u8>, mark: Mark, epoch: Epoch) {
        let text = format!("{}{SEPARATOR}{}", mark.event_id(epoch), self.tag);
        let id = EventId::new(&text).ok();
        let Draft { event_type, retry_ms, data, .. } = &self.draft;
        encode::event(out, id.as_ref(), event_type.as_ref(), *retry_ms, data);
    }

    /// Splits a notice's id into the id of a position and the tag.
    pub fn divide(id: &str) -> Option<(&str, &str)> {
        id.rsplit_once(SEPARATOR)
    }

    /// Memory it takes, in bytes.
    pub fn cost(&self) -> usize {
        size_of::<Self>() + self.draft.cost() + self.tag.len()
    }
}

/// What is kept for a subscriber that is in the middle of an event or reads history.
#[derive(Debug)]
pub(crate) enum Pending {
    Notice(Arc<Notice>),
    /// A block about the stream itself.
    Block(Box<[u8]>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Position, Topic};

    #[test]
    fn the_id_of_a_notice_is_a_place_in_the_log_and_a_tag() {
        let draft = Draft::new(Topic::new("a").expect("a valid topic"), "x");
        let notice = Notice { draft, audience: Audience(0), tag: "i-7".into() };
        let mut bytes = Vec::new();
        let epoch = Epoch::parse("k7q2ma").expect("valid");
        notice.encode(&mut bytes, Position::new(42).into(), epoch);
        assert_eq!(bytes, b"id: k7q2ma:42+i-7\ndata: x\n\n");
        assert_eq!(Notice::divide("k7q2ma:42+i-7"), Some(("k7q2ma:42", "i-7")));
        assert_eq!(Notice::divide("k7q2ma:42"), None);
    }
}
