//! Bytes to server-sent events and back: the `text/event-stream` format, no I/O.
//!
//! An event stream is UTF-8 text that never ends. A line is a field: a name, a colon, a value. A
//! blank line ends the event whose fields stand before it:
//!
//! ```text
//! event: score          what kind of event; "message" if not given
//! id: 42                what a client that was cut off asks to be resumed from
//! data: {"home": 2,     the payload; several lines of data are one payload
//! data:  "away": 1}
//!
//! : ping                a comment, which keeps the connection alive
//! ```
//!
//! The rules are those of the HTML Living Standard, §9.2 "Server-sent events", to the letter: what
//! its tests and others hold a client to is in `tests/vectors`, and a transliteration of its
//! algorithm judges the decoder on random streams.
//!
//! # Encode one
//!
//! Ids and types are values that cannot break out of their line; data may be any text.
//!
//! ```
//! use tidings_codec::{EventId, EventType, encode};
//!
//! let id = EventId::new("42")?;
//! let score = EventType::new("score")?;
//!
//! let mut wire = Vec::new();
//! encode::event(&mut wire, Some(&id), Some(&score), None, "2:1\nsecond half");
//! encode::comment(&mut wire, "ping");
//!
//! assert_eq!(wire, b"event: score\nid: 42\ndata: 2:1\ndata: second half\n\n: ping\n\n");
//! # Ok::<(), tidings_codec::InvalidField>(())
//! ```
//!
//! # Decode one
//!
//! Chunks go in as they come, cut anywhere; events are lent out as soon as their last byte is
//! there.
//!
//! ```
//! use tidings_codec::{Decoder, Item};
//!
//! let mut decoder = Decoder::new();
//! for chunk in [&b"event: score\nid: 42\nda"[..], b"ta: 2:1\n\n"] {
//!     let mut input = chunk;
//!     while let Some(item) = decoder.next(&mut input)? {
//!         if let Item::Event(event) = item {
//!             assert_eq!((event.event_type(), event.data()), ("score", "2:1"));
//!         }
//!     }
//! }
//! assert_eq!(decoder.last_event_id(), "42");
//! # Ok::<(), tidings_codec::DecodeError>(())
//! ```
//!
//! # What it refuses to know
//!
//! No socket, no clock, no thread, no file, no runtime: it is `no_std` with `alloc`, and its
//! `clippy.toml` keeps it so. Which answers open a stream, and how long to wait before the next
//! attempt, is the client's business; what is in the data, everybody else's. The feature `std`, on
//! by default, only lets the dependencies ask the processor what it can do.

#![no_std]

extern crate alloc;

mod block;
mod copy;
mod decode;
pub mod encode;
mod error;
mod event;
mod event_id;
mod event_type;
mod field;
mod head;
mod item;
pub mod limits;
mod line;

pub use decode::Decoder;
pub use error::{DecodeError, InvalidField};
pub use event::Event;
pub use event_id::EventId;
pub use event_type::EventType;
pub use item::{EventRef, Item};

/// The examples in the README are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
