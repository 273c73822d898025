use std::ops::Deref;

use tidings_codec::{EventId, EventType};

use crate::draft::Draft;
use crate::epoch::Epoch;
use crate::position::Position;
use crate::timestamp::Timestamp;

/// A draft that the store has accepted: it has a position in the log and a time, and never changes
/// again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    position: Position,
    time: Timestamp,
    draft: Draft,
}

impl Record {
    /// `draft`, accepted at `position` and `time`. Only a [`Log`](crate::Log) has a reason to call
    /// this.
    pub fn new(draft: Draft, position: Position, time: Timestamp) -> Self {
        Self { position, time, draft }
    }

    /// Its place in the log.
    pub fn position(&self) -> Position {
        self.position
    }

    /// When the store accepted it.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The type that subscribers see: what no publisher named is a `message`.
    pub fn event_type_or_default(&self) -> &str {
        self.draft.event_type.as_ref().map_or(EventType::DEFAULT, EventType::as_str)
    }

    /// The id that subscribers see: the publisher's own, or else one made from the position.
    pub fn event_id(&self, epoch: Epoch) -> EventId {
        match &self.draft.id {
            Some(id) => id.clone(),
            None => self.position.event_id(epoch),
        }
    }
}

/// Code that only reads can treat a record as a draft.
impl Deref for Record {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.draft
    }
}
