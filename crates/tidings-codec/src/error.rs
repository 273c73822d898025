//! Errors in a field to be sent, and in a stream being read.

use core::error::Error;
use core::fmt;

/// Why a string cannot be an [`EventId`](crate::EventId) or an [`EventType`](crate::EventType).
///
/// The caller is to blame, or the source of the caller's string. A hub that let one of these pass
/// would let its publishers forge fields, and whole events, in other people's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidField {
    /// The string is empty. On the wire an empty id or type means "forget the last one", which is
    /// not the id or type of an event: leave the field out instead.
    Empty,
    /// The string has a CR or LF, which would end the line and begin a field of its author's
    /// choice.
    LineBreak {
        /// Its position, in bytes from the start.
        at: usize,
    },
    /// The string has a U+0000. Clients ignore an id that has one (HTML §9.2.6, field `id`).
    Nul {
        /// Its position, in bytes from the start.
        at: usize,
    },
}

impl InvalidField {
    /// Looks for the first character that is not allowed in an id or a type.
    pub(crate) fn check(value: &str) -> Result<(), Self> {
        if value.is_empty() {
            return Err(Self::Empty);
        }
        match memchr::memchr3(b'\r', b'\n', b'\0', value.as_bytes()) {
            None => Ok(()),
            Some(at) if value.as_bytes()[at] == b'\0' => Err(Self::Nul { at }),
            Some(at) => Err(Self::LineBreak { at }),
        }
    }
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::LineBreak { at } => write!(f, "has a line break at byte {at}"),
            Self::Nul { at } => write!(f, "has a NUL character at byte {at}"),
        }
    }
}

impl Error for InvalidField {}

/// Why a stream could not be decoded.
///
/// Little can go wrong, because the standard gives every sequence of bytes a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// An event is larger than this decoder may keep. The peer is to blame, or the limit: see
    /// [`limits::EVENT_BYTES_MAX`](crate::limits::EVENT_BYTES_MAX).
    ///
    /// The event is lost and this is its only report, but the decoder is still usable: call it
    /// again and it continues after the event. The event's id still becomes the last event id, so
    /// that a client that reconnects does not request the same event again, for ever.
    EventTooLarge {
        /// The limit that it broke, in bytes.
        bytes_max: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EventTooLarge { bytes_max } => {
                write!(f, "event is larger than {bytes_max} bytes")
            }
        }
    }
}

impl Error for DecodeError {}
