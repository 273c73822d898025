//! `MessageEvent`: an event as it arrives.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tidings_codec::{Event, EventId, EventRef, EventType};

/// An event as it arrives: what a browser's `MessageEvent` has (HTML §9.2.6, dispatch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEvent {
    pub(crate) data: String,
    pub(crate) event_type: Option<EventType>,
    pub(crate) last_event_id: Option<EventId>,
    pub(crate) origin: Arc<str>,
    /// Whether the event itself has the last event id.
    pub(crate) has_id: bool,
    pub(crate) retry_ms: Option<u64>,
}

impl MessageEvent {
    /// The payload.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The payload, without a copy.
    #[must_use]
    pub fn into_data(self) -> String {
        self.data
    }

    /// The payload, read as JSON.
    ///
    /// # Errors
    ///
    /// [`JsonError`] if it is not JSON, or not of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_str(&self.data)
            .map_err(|cause| JsonError { event_type: self.event_type().to_owned(), cause })
    }

    /// The type; [`message`](EventType::DEFAULT) if the sender named none.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.event_type.as_ref().map_or(EventType::DEFAULT, EventType::as_str)
    }

    /// The last event id when the event was dispatched: its own, or else the last one before it.
    /// `None` if there was none or the server has reset it; a browser then has `""`.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&EventId> {
        self.last_event_id.as_ref()
    }

    /// Scheme, host and port of the URL that sent it, after redirects.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The event as it was sent, to be passed on: only with its own id and reconnection time.
    #[must_use]
    pub fn into_sent(self) -> Event {
        Event {
            id: self.last_event_id.filter(|_| self.has_id),
            event_type: self.event_type,
            retry_ms: self.retry_ms,
            data: self.data,
        }
    }
}

/// The event as an owned value, with as few allocations as possible: an id or a type that is the
/// same as last time is shared.
#[inline]
pub(crate) fn own(
    event: EventRef<'_>,
    last_event_id: &mut Option<EventId>,
    last_event_type: &mut Option<EventType>,
    origin: &Arc<str>,
) -> MessageEvent {
    refresh(last_event_id, event.last_event_id());
    let event_type = match event.event_type() {
        EventType::DEFAULT => None,
        text => {
            if last_event_type.as_ref().is_none_or(|last| last.as_str() != text) {
                *last_event_type = EventType::new(text)
                    .ok()
                    // It has U+0000, for which the codec has a way.
                    .or_else(|| event.to_owned().event_type);
            }
            last_event_type.clone()
        }
    };
    MessageEvent {
        data: event.data().to_owned(),
        event_type,
        last_event_id: last_event_id.clone(),
        origin: origin.clone(),
        has_id: event.id().is_some(),
        retry_ms: event.retry_ms(),
    }
}

/// Updates `kept` to `text`.
#[inline]
pub(crate) fn refresh(kept: &mut Option<EventId>, text: &str) {
    if kept.as_ref().map_or("", EventId::as_str) != text {
        *kept = EventId::new(text).ok();
    }
}

/// Why the payload of an event could not be read as JSON. The sender is to blame, or the requested
/// type.
#[derive(Debug)]
pub struct JsonError {
    event_type: String,
    cause: serde_json::Error,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the data of a {:?} event is not the json expected", self.event_type)
    }
}

impl Error for JsonError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}
