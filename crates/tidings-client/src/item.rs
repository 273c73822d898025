//! `Item`: the output of a source.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tidings_codec::{DecodeError, EventId};

use crate::{Cause, MessageEvent};

/// Something that happened to an event source that continues. Its end is not an item but the error,
/// or the end, of the stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item {
    /// A connection is open: the server answered with an event stream (HTML §9.2.3, "announce the
    /// connection").
    Open(Box<Opened>),
    /// An event.
    Event(MessageEvent),
    /// A comment, as soon as its line has ended, without its colon and one space after it. Only
    /// from a source [with comments](crate::EventSourceBuilder::comments).
    Comment(String),
    /// An event was left out because it is larger than the
    /// [limit](crate::EventSourceBuilder::event_bytes_max). The source continues after it.
    Skipped(DecodeError),
    /// The connection was lost, or could not be made, and will be retried (HTML §9.2.3,
    /// "reestablish the connection").
    Reconnecting(Box<Reconnecting>),
}

impl Item {
    /// The event, if this is one.
    #[must_use]
    pub fn into_event(self) -> Option<MessageEvent> {
        match self {
            Self::Event(event) => Some(event),
            _ => None,
        }
    }
}

/// Details of a connection that was just made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opened {
    /// The URL that answered, after redirects.
    pub url: String,
    /// The headers of its answer.
    pub headers: HeaderMap,
    /// The place from which it was asked to resume.
    pub resume: Resume,
}

/// Whether a request said how far the source had got.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// There was no last event id.
    None,
    /// The request had this id as its `Last-Event-ID`.
    From(EventId),
    /// There was a last event id, but it has control characters, which no header can carry. So the
    /// request had none, and the server does not know how far the source had got.
    Impossible(EventId),
}

/// Why the source reconnects, and when.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reconnecting {
    /// Why the last connection ended.
    pub cause: Cause,
    /// Time until the next attempt.
    pub wait: Duration,
    /// Number of failed retries in a row so far.
    pub retries: u32,
}

/// An attempt to connect that is about to be made, as passed to a
/// [hook](crate::EventSourceBuilder::on_attempt).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// Number of failed retries in a row so far.
    pub retries: u32,
    /// Status of the last answer, if it was a rejection: 401 may mean that a new token is needed.
    pub refused: Option<StatusCode>,
    /// The last event id that will be sent.
    pub last_event_id: Option<EventId>,
}
