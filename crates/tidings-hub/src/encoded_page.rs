use std::sync::Arc;

use crate::epoch::Epoch;
use crate::error::ReadError;
use crate::frame::{Frame, Framing};
use crate::interest::Interest;
use crate::position::Position;
use crate::store::{Log, Page};
use crate::topic::Topic;

/// Records of the log, as the bytes that a subscriber gets.
#[derive(Debug, Default)]
pub struct EncodedPage {
    /// The frames, one after the other, in the subscriber's framing.
    pub bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    pub ends: Vec<(Position, usize)>,
    /// How far the read came; see [`Page::reached`](crate::Page).
    pub reached: Position,
    /// Topics of the interest whose newest record, when the page was read, was an end no later than
    /// `reached`. A topic may end after a subscriber asked for it and before a shard has registered
    /// the subscriber: then only the topic's history shows it.
    pub ended: Vec<Topic>,
    /// Whether one of the records is the end of a topic.
    has_end: bool,
}

impl EncodedPage {
    /// The bytes of `page`, of the log named `epoch`, for a subscriber that gets `framing`: record
    /// for record the same bytes that a [`Frame`] of each would hold.
    pub fn encode(page: &Page, framing: Framing, epoch: Epoch) -> Self {
        let mut encoded = Self { reached: page.reached, ..Self::default() };
        for record in &page.records {
            let frame = Frame::encode(Arc::clone(record), epoch);
            encoded.bytes.extend_from_slice(frame.bytes(framing));
            encoded.has_end |= record.kind.ends_topic();
            encoded.ends.push((record.position(), encoded.bytes.len()));
        }
        encoded
    }

    /// Adds the topics of `interest` that have ended, if the page, which was to be read up to
    /// `upto`, can be the last one before its reader is live: asking the store takes as long as
    /// reading a short page.
    ///
    /// # Errors
    ///
    /// [`ReadError`](crate::ReadError) if the store cannot be read.
    pub fn with_ended(
        mut self,
        store: &dyn Log,
        interest: &Interest,
        upto: Position,
    ) -> Result<Self, ReadError> {
        if !self.has_end && self.reached < upto {
            return Ok(self);
        }
        let ended = interest.ended_topics(store)?.into_iter();
        self.ended = ended.filter(|(_, at)| *at <= self.reached).map(|(topic, _)| topic).collect();
        Ok(self)
    }
}
