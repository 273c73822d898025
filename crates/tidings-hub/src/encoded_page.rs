use std::sync::Arc;

use crate::epoch::Epoch;
use crate::error::ReadError;
use crate::frame::Frame;
use crate::half_sent::HalfSent;
use crate::interest::Interest;
use crate::position::Position;
use crate::store::{Log, Page};
use crate::stream_form::StreamForm;
use crate::topic::Topic;

/// Records of the log, as the bytes that a subscriber gets.
#[derive(Debug, Default)]
pub struct EncodedPage {
    /// The frames, one after the other, in the form of the subscriber's stream.
    pub bytes: Vec<u8>,
    /// Where each ends in `bytes`.
    pub ends: Vec<(Position, usize)>,
    /// How far the read came; see [`Page::reached`](crate::Page).
    pub reached: Position,
    /// Topics of the interest whose newest record, when the page was read, was an end no later than
    /// `reached`. A topic may end after a subscriber asked for it and before a shard has registered
    /// the subscriber: then only the topic's history shows it.
    pub ended: Vec<Topic>,
    /// Positions of records that are not [steady](Frame::is_steady), ascending; nearly always none.
    unsteady: Vec<Position>,
    /// Whether one of the records is the end of a topic.
    has_end: bool,
    /// The last frame, if it is the end of a topic.
    last_end: Option<Frame>,
    /// Whether the stream ends with the page: everything that its reader wants had ended.
    pub(crate) is_last: bool,
}

impl EncodedPage {
    /// The bytes of `page`, of the log named `epoch`, in `form`: record for record the same bytes
    /// that a [`Frame`] of each would hold.
    pub fn encode(page: &Page, form: StreamForm, epoch: Epoch) -> Self {
        let mut encoded = Self { reached: page.reached, ..Self::default() };
        for record in &page.records {
            let frame = Frame::encode(Arc::clone(record), epoch);
            encoded.bytes.extend_from_slice(frame.bytes(form));
            let ends_topic = record.kind.ends_topic();
            encoded.has_end |= ends_topic;
            encoded.ends.push((record.position(), encoded.bytes.len()));
            if !frame.is_steady(form) {
                encoded.unsteady.push(record.position());
            }
            encoded.last_end = ends_topic.then_some(frame);
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
        form: StreamForm,
        upto: Position,
    ) -> Result<Self, ReadError> {
        if !self.has_end && self.reached < upto {
            return Ok(self);
        }
        let ended = interest.ended_topics(store)?.into_iter();
        self.ended = ended.filter(|(_, at)| *at <= self.reached).map(|(topic, _)| topic).collect();
        if self.ended.len() == interest.wanted().len()
            && let Some(last) = self.last_end.take()
        {
            self.is_last = true;
            self.ends.pop();
            self.bytes.truncate(self.ends.last().map_or(0, |(_, end)| *end));
            self.bytes.extend_from_slice(&last.last_bytes(form));
            self.ends.push((last.position(), self.bytes.len()));
        }
        Ok(self)
    }

    /// Position of the first record with bytes, if it is [steady](Frame::is_steady): then the rest
    /// of it fits a part of it that was sent before.
    pub(crate) fn begins_with(&self) -> Option<Position> {
        let first = self.ends.iter().find(|(_, end)| *end > 0);
        first.and_then(|(position, _)| self.steady(*position))
    }

    /// The place in the log after the first `sent` bytes of the page, which begins after `after`:
    /// the number of records sent in full, the last of them, and the part of the next one.
    pub(crate) fn place_after(&self, sent: usize, after: Position) -> (usize, Position, HalfSent) {
        let whole = self.ends.partition_point(|(_, end)| *end <= sent);
        let (after, start) = whole.checked_sub(1).map_or((after, 0), |last| self.ends[last]);
        let next = self.ends.get(whole).and_then(|(position, _)| self.steady(*position));
        (whole, after, HalfSent::new(sent - start, after, next))
    }

    fn steady(&self, position: Position) -> Option<Position> {
        Some(position).filter(|position| self.unsteady.binary_search(position).is_err())
    }
}
