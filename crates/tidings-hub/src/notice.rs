use std::sync::Arc;

use tidings_codec::{EventId, encode};

use crate::draft::Draft;
use crate::epoch::Epoch;
use crate::position::Position;

/// An event that is in no log: it goes to those who are subscribed now, and nobody ever reads it
/// again.
///
/// It has no position, and moves nobody's. So that a subscriber who breaks off behind it resumes
/// where it was, its id is the position that the subscriber has reached, a `+`, and the notice's
/// [tag](Self::tag): `k7q2ma:42+x7`. Whoever made the notice can read the tag out of what comes
/// back.
#[derive(Debug)]
pub struct Notice {
    /// Topics, type, payload, and who may have it. Its id and kind mean nothing.
    pub draft: Draft,
    /// Recipients, among the subscribers that asked for it and may have it.
    pub audience: Audience,
    /// What its ids end with.
    pub tag: Box<str>,
}

/// A kind of subscriber that notices are made for. What the number means is the business of whoever
/// makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Audience(pub u8);

/// What stands between the position and the tag.
const SEPARATOR: char = '+';

impl Notice {
    /// Appends the notice as an event for a subscriber who has everything up to `position`.
    pub fn encode(&self, out: &mut Vec<u8>, position: Position, epoch: Epoch) {
        let text = format!("{}{SEPARATOR}{}", position.event_id(epoch), self.tag);
        let id = EventId::new(&text).ok();
        let Draft { event_type, retry_ms, data, .. } = &self.draft;
        encode::event(out, id.as_ref(), event_type.as_ref(), *retry_ms, data);
    }

    /// Divides the id of a notice into the id of a position and the tag.
    pub fn divide(id: &str) -> Option<(&str, &str)> {
        id.rsplit_once(SEPARATOR)
    }

    /// What it costs to keep, in bytes.
    pub fn cost(&self) -> usize {
        size_of::<Self>() + self.draft.cost() + self.tag.len()
    }
}

/// Notices that a subscriber cannot be given in the middle of an event, or while it reads history.
pub(crate) type Pending = Vec<Arc<Notice>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topic;

    #[test]
    fn the_id_of_a_notice_is_a_place_in_the_log_and_a_tag() {
        let draft = Draft::new(Topic::new("a").expect("a valid topic"), "x");
        let notice = Notice { draft, audience: Audience(0), tag: "i-7".into() };
        let mut bytes = Vec::new();
        let epoch = Epoch::parse("k7q2ma").expect("valid");
        notice.encode(&mut bytes, Position::new(42), epoch);
        assert_eq!(bytes, b"id: k7q2ma:42+i-7\ndata: x\n\n");
        assert_eq!(Notice::divide("k7q2ma:42+i-7"), Some(("k7q2ma:42", "i-7")));
        assert_eq!(Notice::divide("k7q2ma:42"), None);
    }
}
