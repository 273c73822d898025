//! `Item`: what a source yields.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tidings_codec::{DecodeError, EventId};

use crate::{Cause, MessageEvent};

/// Something that happened to an event source that lives on. Its end is no item but the error, or
/// the end, of the stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item {
    /// A connection stands: the server answered with an event stream (HTML §9.2.3, "announce the
    /// connection").
    Open(Box<Opened>),
    /// An event.
    Event(MessageEvent),
    /// A comment, as soon as its line has ended, without its colon and one space after it. Only
    /// from a source that was [asked for comments](crate::EventSourceBuilder::comments).
    Comment(String),
    /// An event was left out because it is larger than the
    /// [limit](crate::EventSourceBuilder::event_bytes_max). The source goes on behind it.
    Skipped(DecodeError),
    /// The connection is lost, or was not made, and will be tried again (HTML §9.2.3, "reestablish
    /// the connection").
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

/// What is known of a connection that was just made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Opened {
    /// The URL that answered, after redirects.
    pub url: String,
    /// The headers of its answer.
    pub headers: HeaderMap,
    /// From where it was asked to resume.
    pub resume: Resume,
}

/// Whether a request said how far the source had come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// There was no last event id.
    None,
    /// The request had this id as its `Last-Event-ID`.
    From(EventId),
    /// There was a last event id, but it has control characters, which no header can carry. So the
    /// request had none, and the server does not know how far the source had come.
    Impossible(EventId),
}

/// Why a connection is to be made again, and when.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reconnecting {
    /// Why the last one is over.
    pub cause: Cause,
    /// How long until the next attempt.
    pub wait: Duration,
    /// How often in a row it has been tried again in vain so far.
    pub retries: u32,
}

/// An attempt to connect that is about to be made: what a
/// [hook](crate::EventSourceBuilder::on_attempt) may want to know.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// How often in a row it has been tried again in vain so far.
    pub retries: u32,
    /// The status of the answer to the last attempt, if that was a refusal: 401 may mean that it is
    /// time for a fresh token.
    pub refused: Option<StatusCode>,
    /// The last event id that will be sent.
    pub last_event_id: Option<EventId>,
}
