use std::num::NonZeroU32;
use std::ops::Range;

use tidings_codec::{EventId, EventType};

use crate::key::{Expected, Key};
use crate::piece::Piece;
use crate::pointer::{NoString, Pointer};
use crate::timestamp::Timestamp;
use crate::topic::Topic;
use crate::visibility::Visibility;

/// An event that a publisher offers; with a position it becomes a [`Record`](crate::Record).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The topic the event is about.
    pub topic: Topic,
    /// Further topics under which the same event is found. Nearly always empty.
    pub alternates: Vec<Topic>,
    /// The type that `addEventListener` will see; `None` is the format's `message`.
    pub event_type: Option<EventType>,
    /// The publisher's own id; `None` lets the log make one.
    pub id: Option<EventId>,
    /// If an event with the same [`id`](Self::id) on the same topic is still in the log, publish
    /// nothing: answer with that one if it [says the same](Self::says_the_same), and reject this
    /// one otherwise. This is what makes a publisher's retry safe.
    pub once: bool,
    /// The reconnection time to send with it, in milliseconds.
    pub retry_ms: Option<u64>,
    /// Time to live in seconds: how long history has the event, counted from when the store
    /// accepted it. Subscribers that are there get it in any case.
    pub ttl_s: Option<NonZeroU32>,
    /// The key for which the event stands from now on in the state of its topic.
    pub key: Option<Key>,
    /// If the event is a piece that is added to the value of the key: where. Rare, so boxed to one
    /// pointer.
    pub piece: Option<Box<Piece>>,
    /// What its publisher expects of the key, or of the topic. It is checked before the event is
    /// stored, and not stored with it. Rare, so boxed to one pointer.
    pub expected: Option<Box<Expected>>,
    /// Whether it is stored only if none of its topics has events, or has ended. That, too, is
    /// checked before it is stored, and not stored with it.
    pub begins: bool,
    /// The payload.
    pub data: Box<str>,
    /// Which readers may have it.
    pub visibility: Visibility,
    /// What the event does besides being delivered.
    pub kind: Kind,
}

impl Draft {
    /// An event with nothing but a payload, for readers of its topic.
    pub fn new(topic: Topic, data: impl Into<Box<str>>) -> Self {
        Self {
            topic,
            alternates: Vec::new(),
            event_type: None,
            id: None,
            once: false,
            retry_ms: None,
            ttl_s: None,
            key: None,
            piece: None,
            expected: None,
            begins: false,
            data: data.into(),
            visibility: Visibility::ByTopic,
            kind: Kind::Event,
        }
    }

    /// All topics, the canonical one first.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        std::iter::once(&self.topic).chain(&self.alternates)
    }

    /// The text in the data that can be added to: all of it, or the content of the JSON string at
    /// `at`, with escapes as they are.
    ///
    /// # Errors
    ///
    /// [`NoString`] if there is none.
    pub fn text_at(&self, at: Option<&Pointer>) -> Result<Range<usize>, NoString> {
        match at {
            None => Ok(0..self.data.len()),
            Some(at) => at.find(&self.data),
        }
    }

    /// Whether the data is all of what its key stands for from now on: a piece is, if the value
    /// begins with it.
    pub fn is_whole(&self) -> bool {
        self.piece.as_ref().is_none_or(|piece| piece.from == 0)
    }

    /// Whether `other` would reach the same subscribers as the same event: everything is equal
    /// except how each was published.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self {
            topic,
            alternates,
            event_type,
            id,
            once: _,
            retry_ms,
            ttl_s,
            key,
            piece,
            expected: _,
            begins: _,
            data,
            visibility,
            kind,
        } = self;
        *topic == other.topic
            && *alternates == other.alternates
            && *event_type == other.event_type
            && *id == other.id
            && *retry_ms == other.retry_ms
            && *ttl_s == other.ttl_s
            && *key == other.key
            && piece.as_ref().map(|piece| &piece.at) == other.piece.as_ref().map(|piece| &piece.at)
            && *data == other.data
            && *visibility == other.visibility
            && *kind == other.kind
    }

    /// Whether its time to live is over at `now`, if the store accepted it at `time`: then it is no
    /// part of history.
    pub fn is_over(&self, time: Timestamp, now: Timestamp) -> bool {
        let age_ms = now.as_millis().saturating_sub(time.as_millis());
        self.ttl_s.is_some_and(|ttl_s| age_ms >= u64::from(ttl_s.get()) * 1000)
    }

    /// What the draft costs a queue or a cache, in bytes.
    pub fn cost(&self) -> usize {
        let texts = self.topics().map(|topic| topic.as_str().len()).sum::<usize>()
            + self.event_type.as_ref().map_or(0, |t| t.as_str().len())
            + self.id.as_ref().map_or(0, |id| id.as_str().len())
            + self.key.as_ref().map_or(0, |key| key.as_str().len())
            + self.piece.as_ref().map_or(0, |piece| piece.cost())
            + self.data.len();
        size_of::<Self>() + texts
    }
}

/// What a record does besides being delivered.
///
/// A record that ends its topic closes the subscribers to nothing else once they have it; later
/// ones are rejected, until the next event on the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    #[default]
    Event,
    /// The publisher's own last event of its topic, which ends the topic.
    LastEvent,
    /// Ends its topic with an event of the hub, which subscribers that want only publishers' events
    /// do not get.
    End,
    /// Ends its topic without an event: no reader gets it.
    SilentEnd,
    /// Removes its key from the state of its topic, with an event of the hub.
    Removal,
    /// The same on a topic that has ended, which stays ended.
    LateRemoval,
    /// Everything before it on its topic was erased: subscribers get a reset, and forget what they
    /// have.
    Erasure,
    /// What is left of an erased record: nothing but its place. It is on the [topic of
    /// notes](Topic::of_notes), and no reader gets it.
    Erased,
    /// A note of the hub to itself, on [its own topic](Topic::of_notes): no reader gets it.
    Note,
}

impl Kind {
    /// Whether the record ends its topic.
    pub const fn ends_topic(self) -> bool {
        matches!(self, Self::LastEvent | Self::End | Self::SilentEnd | Self::LateRemoval)
    }

    /// Whether the record removes its key.
    pub const fn is_removal(self) -> bool {
        matches!(self, Self::Removal | Self::LateRemoval)
    }

    /// Whether it is an event to be delivered.
    pub const fn is_event(self) -> bool {
        !matches!(self, Self::SilentEnd | Self::Note | Self::Erased)
    }
}
