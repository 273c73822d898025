//! Everything ever published, and what became of it: what readers are judged by.

use tidings_codec::encode;
use tidings_hub::limits::END_RETRY_MS;
use tidings_hub::{Epoch, Interest, Kind, Position, Record};

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    /// Dropped, and a reader that wanted it must be told.
    Lost,
    /// Dropped when its time was over, which is no loss.
    Expired,
}

pub(crate) struct Event {
    pub(crate) record: Record,
    pub(crate) fate: Fate,
    /// Payloads that took the place of the first one.
    pub(crate) rewritten: Vec<String>,
}

impl Event {
    /// Whether the payload is one that the record had at some time: whole, not a part of one and a
    /// part of another.
    pub(crate) fn had(&self, data: &str) -> bool {
        *self.record.data == *data || self.rewritten.iter().any(|version| version == data)
    }

    /// The bytes that the record may have in a stream, to the last one: of each payload that it had
    /// at some time, and with a day's wait where its topic's end is that of the stream.
    pub(crate) fn encodings(&self, epoch: Epoch) -> Vec<Vec<u8>> {
        let record = &self.record;
        let payloads =
            std::iter::once(&*record.data).chain(self.rewritten.iter().map(|data| &**data));
        let waits = match record.kind {
            Kind::End => &[record.retry_ms, Some(END_RETRY_MS)][..],
            _ => &[record.retry_ms],
        };
        let mut encodings = Vec::new();
        for data in payloads {
            for wait in waits {
                let mut bytes = Vec::new();
                let id = record.event_id(epoch);
                encode::event(&mut bytes, Some(&id), record.event_type.as_ref(), *wait, data);
                encodings.push(bytes);
            }
        }
        encodings
    }
}

pub(crate) struct Truth {
    events: Vec<Event>,
    /// Whether the store remembers the topics of what it dropped. Otherwise a reader may be told of
    /// a loss that does not concern it.
    knows_lost_topics: bool,
}

impl Truth {
    pub(crate) fn new(knows_lost_topics: bool) -> Self {
        Self { events: Vec::new(), knows_lost_topics }
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn push(&mut self, record: Record) {
        assert_eq!(record.position().get(), self.events.len() as u64 + 1);
        self.events.push(Event { record, fate: Fate::Kept, rewritten: Vec::new() });
    }

    pub(crate) fn event(&self, position: Position) -> &Event {
        &self.events[position.get() as usize - 1]
    }

    pub(crate) fn event_mut(&mut self, position: Position) -> &mut Event {
        &mut self.events[position.get() as usize - 1]
    }

    /// The oldest records were dropped: `first` is the oldest that is kept.
    pub(crate) fn drop_before(&mut self, first: Position) {
        let dropped = &mut self.events[..first.previous().get() as usize];
        for event in dropped.iter_mut().rev().take_while(|event| event.fate == Fate::Kept) {
            event.fate = Fate::Lost;
        }
    }

    /// What `interest` admits after `after` and up to `upto`.
    pub(crate) fn admitted<'a>(
        &'a self,
        interest: &'a Interest,
        after: Position,
        upto: Position,
    ) -> impl DoubleEndedIterator<Item = &'a Event> {
        let events = self.events.get(after.get() as usize..upto.get() as usize);
        events.unwrap_or_default().iter().filter(|event| interest.admits(&event.record))
    }

    /// Whether a reader with `interest` may be told that it lost something after `after` and up to
    /// `upto`, and must be told so.
    pub(crate) fn has_lost(&self, interest: &Interest, after: Position, upto: Position) -> bool {
        let everything = Interest::everything();
        let interest = if self.knows_lost_topics { interest } else { &everything };
        self.admitted(interest, after, upto).any(|event| event.fate == Fate::Lost)
    }

    /// The place of the record that a publisher gave this id to.
    pub(crate) fn with_id(&self, id: &str) -> Option<Position> {
        let has = |record: &Record| record.id.as_ref().is_some_and(|own| own.as_str() == id);
        self.events
            .iter()
            .map(|event| &event.record)
            .find(|record| has(record))
            .map(Record::position)
    }
}
