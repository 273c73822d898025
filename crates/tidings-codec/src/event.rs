//! `Event`: all fields of one event.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{EventId, EventType, encode};

/// One event, owned: to be encoded, or to be kept after decoding.
///
/// ```
/// use tidings_codec::{Event, EventId, EventType};
///
/// let mut event = Event::new("2:1");
/// event.id = Some(EventId::new("42")?);
/// event.event_type = Some(EventType::new("score")?);
///
/// let mut wire = Vec::new();
/// event.encode(&mut wire);
/// assert_eq!(wire, b"event: score\nid: 42\ndata: 2:1\n\n");
/// # Ok::<(), tidings_codec::InvalidField>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Event {
    /// The id after which a client can resume.
    pub id: Option<EventId>,
    /// Type of the event; `None` means [`message`](EventType::DEFAULT).
    pub event_type: Option<EventType>,
    /// Time in milliseconds that clients wait from now on before they reconnect. Not a `Duration`,
    /// because the wire format has only whole milliseconds.
    pub retry_ms: Option<u64>,
    /// Payload: any text. CR and CRLF arrive as LF (see [`encode::event`]).
    pub data: String,
}

impl Event {
    /// An event with only a payload.
    #[must_use]
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// Appends the event in its wire format. See [`encode::event`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::event(out, self.id.as_ref(), self.event_type.as_ref(), self.retry_ms, &self.data);
    }
}
