//! `Item`: the output of the decoder.

use core::fmt;

use crate::copy;
use crate::head::Head;
use crate::{Event, EventId, EventType};

/// An event or comment from the stream, lent until the decoder is called again.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A complete event.
    Event(EventRef<'a>),
    /// A comment, without its colon and the one space that may follow it. Only from a decoder [with
    /// comments](crate::Decoder::with_comments).
    Comment(&'a str),
}

/// A decoded event, lent until the decoder is called again.
///
/// It distinguishes what the event *is* to a client ([`last_event_id`](Self::last_event_id),
/// [`to_owned`](Self::to_owned)) from what its sender *wrote*, for programs that pass events on
/// ([`id`](Self::id), [`retry_ms`](Self::retry_ms), [`to_sent`](Self::to_sent)).
#[derive(Clone, Copy)]
pub struct EventRef<'a> {
    data: &'a str,
    head: &'a Head,
}

impl<'a> EventRef<'a> {
    pub(crate) fn new(data: &'a str, head: &'a Head) -> Self {
        Self { data, head }
    }

    /// The payload: the values of the `data` fields, joined by LF.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &'a str {
        self.data
    }

    /// The type; [`message`](EventType::DEFAULT) if the sender named none. By the standard it may
    /// contain U+0000.
    #[must_use]
    pub fn event_type(&self) -> &'a str {
        match self.head.event_type.as_str() {
            "" => EventType::DEFAULT,
            event_type => event_type,
        }
    }

    /// The last event id when the event was dispatched: its own, or else the last one before it.
    /// Empty if there was none, or if an empty one has reset it.
    #[must_use]
    pub fn last_event_id(&self) -> &'a str {
        self.head.last_event_id()
    }

    /// The id in the event itself, if any. It may be empty.
    #[must_use]
    pub fn id(&self) -> Option<&'a str> {
        self.head.has_id.then(|| self.head.last_event_id())
    }

    /// The reconnection time in the event itself, if any, in milliseconds.
    #[must_use]
    pub fn retry_ms(&self) -> Option<u64> {
        self.head.retry_ms
    }

    /// The event as a client sees it: its id is the last event id, and the reconnection time, which
    /// concerns the connection, is left out.
    ///
    /// U+0000 in the type, which an [`EventType`] cannot contain, becomes U+FFFD.
    #[must_use]
    pub fn to_owned(&self) -> Event {
        Event {
            id: EventId::from_decoded(self.last_event_id()),
            event_type: EventType::from_decoded(&self.head.event_type),
            retry_ms: None,
            data: copy::to_string(self.data),
        }
    }

    /// The event as it was sent: only with its own id and reconnection time. This is the form to
    /// publish again. An empty id counts as none; U+0000 in the type becomes U+FFFD.
    #[must_use]
    pub fn to_sent(&self) -> Event {
        Event {
            id: self.id().and_then(EventId::from_decoded),
            retry_ms: self.retry_ms(),
            ..self.to_owned()
        }
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRef")
            .field("event_type", &self.event_type())
            .field("last_event_id", &self.last_event_id())
            .field("id", &self.id())
            .field("retry_ms", &self.retry_ms())
            .field("data", &self.data())
            .finish()
    }
}
