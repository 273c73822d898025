use std::fmt::Write as _;

use tidings_codec::EventId;

use crate::check::Check;
use crate::epoch::Epoch;
use crate::position::Position;

/// A position, and the check of the record there if its log has checks: what an event id says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The place in the log.
    pub position: Position,
    /// The check of the record there.
    pub check: Option<Check>,
}

impl Mark {
    /// The event id under which subscribers know this place: `<epoch>:<position>`, and `.<check>`
    /// behind it if there is one.
    pub fn event_id(self, epoch: Epoch) -> EventId {
        let Self { position, check } = self;
        // Each event that is published gets one: room for the longest, so that it never grows.
        let mut text = String::with_capacity(32);
        text.push_str(epoch.as_str());
        text.push(':');
        text.push_str(itoa::Buffer::new().format(position.get()));
        if let Some(check) = check {
            let _ = write!(text, ".{check}");
        }
        EventId::new(text).expect("letters, digits, a colon and a dot")
    }
}

/// A place without a check: in a log that has none, or before the first record.
impl From<Position> for Mark {
    fn from(position: Position) -> Self {
        Self { position, check: None }
    }
}

impl Position {
    /// The event id under which subscribers know this place, without a check: see
    /// [`Mark::event_id`].
    pub fn event_id(self, epoch: Epoch) -> EventId {
        Mark::from(self).event_id(epoch)
    }
}
