use std::ops::Deref;

use tidings_codec::{EventId, EventType};

use crate::check::Check;
use crate::draft::{Draft, Kind};
use crate::epoch::Epoch;
use crate::mark::Mark;
use crate::position::Position;
use crate::timestamp::Timestamp;

/// A draft that the store has accepted: it has a position in the log and a time, and never changes
/// again, unless a store [rewrites](Self::rewritten) it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    position: Position,
    time: Timestamp,
    check: Option<Check>,
    rewritten: bool,
    draft: Draft,
}

impl Record {
    /// `draft`, accepted at `position` and `time`. Only a [`Log`](crate::Log) has a reason to call
    /// this.
    pub fn new(draft: Draft, position: Position, time: Timestamp) -> Self {
        Self { position, time, check: None, rewritten: false, draft }
    }

    /// The same with its check, if its log has them.
    #[must_use]
    pub fn with_check(self, check: Option<Check>) -> Self {
        Self { check, ..self }
    }

    /// The same, in place of another record that was at the same position: a store that replaces a
    /// record by a shorter account of it says so, because a subscriber that has half of one must
    /// not get the other half of the other.
    #[must_use]
    pub fn rewritten(self) -> Self {
        Self { rewritten: true, ..self }
    }

    /// The same place, time and check with another draft.
    pub(crate) fn with_draft(&self, draft: Draft) -> Self {
        Self { draft, ..*self }
    }

    /// The same with the whole value of its key, `data`, in place of a piece of it.
    pub(crate) fn with_whole(&self, data: Box<str>) -> Self {
        let event_type = self.draft.event_type.clone();
        let retry_ms = self.draft.retry_ms;
        let draft = Draft { event_type, retry_ms, data, ..self.without_data() };
        self.with_draft(draft)
    }

    /// In place of a piece of a value that is no longer whole: its key is removed.
    pub(crate) fn as_removal(&self) -> Self {
        let draft = Draft { kind: Kind::Removal, ..self.without_data() };
        self.with_draft(draft).rewritten()
    }

    /// An event with the same key, for the same readers.
    fn without_data(&self) -> Draft {
        let Draft { topic, alternates, id, key, visibility, .. } = &self.draft;
        Draft {
            alternates: alternates.clone(),
            id: id.clone(),
            once: self.draft.once,
            key: key.clone(),
            visibility: *visibility,
            ..Draft::new(topic.clone(), "")
        }
    }

    /// Whether it is in place of another record that was at the same position.
    pub fn is_rewritten(&self) -> bool {
        self.rewritten
    }

    /// Its place in the log.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Its place in the log, with its check if the log has them.
    pub fn mark(&self) -> Mark {
        Mark { position: self.position, check: self.check }
    }

    /// When the store accepted it.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Whether its time to live is over at `now`: then it is no part of history.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.draft.is_over(self.time, now)
    }

    /// The type that subscribers see: what no publisher named is a `message`.
    pub fn event_type_or_default(&self) -> &str {
        self.draft.event_type.as_ref().map_or(EventType::DEFAULT, EventType::as_str)
    }

    /// The id that subscribers see: the publisher's own, or else one made from its place.
    pub fn event_id(&self, epoch: Epoch) -> EventId {
        match &self.draft.id {
            Some(id) => id.clone(),
            None => self.mark().event_id(epoch),
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
