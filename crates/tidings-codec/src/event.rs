//! `Event`: everything one event can say.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{EventId, EventType, encode};

/// One event, owned: to be encoded, or kept after it was decoded.
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
    /// The name under which the event can be asked for again.
    pub id: Option<EventId>,
    /// What kind of event it is; none means [`message`](EventType::DEFAULT).
    pub event_type: Option<EventType>,
    /// How long, in milliseconds, clients shall wait from now on before they reconnect. Not a
    /// `Duration`, because the wire knows whole milliseconds only.
    pub retry_ms: Option<u64>,
    /// The payload: any text. CR and CRLF arrive as LF (see [`encode::event`]).
    pub data: String,
}

impl Event {
    /// An event that is nothing but its payload.
    #[must_use]
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// Appends the event as it goes on the wire. See [`encode::event`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::event(out, self.id.as_ref(), self.event_type.as_ref(), self.retry_ms, &self.data);
    }
}
