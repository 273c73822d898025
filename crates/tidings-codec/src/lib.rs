//! Bytes to server-sent events and back: the `text/event-stream` format, without I/O.
//!
//! An event stream is UTF-8 text that never ends. A line is a field: a name, a colon, a value. A
//! blank line ends the event whose fields are above it:
//!
//! ```text
//! event: score          the type of event; "message" if not given
//! id: 42                the id after which a client that lost its connection resumes
//! data: {"home": 2,     the payload; several lines of data are one payload
//! data:  "away": 1}
//!
//! : ping                a comment, which keeps the connection alive
//! ```
//!
//! The rules are exactly those of the HTML Living Standard, §9.2 "Server-sent events":
//! `tests/vectors` has the cases from its test suite and others, and a literal transcription of its
//! algorithm checks the decoder on random streams.
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
//! Chunks go in as they arrive, cut anywhere; events are lent out as soon as their last byte is
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
//! # What it does not know
//!
//! No socket, no clock, no thread, no file, no runtime: it is `no_std` with `alloc`, and its
//! `clippy.toml` keeps it so. Which responses open a stream, and how long to wait before the next
//! attempt, is up to the client; what is in the data is up to the application. The feature `std`,
//! on by default, only lets dependencies detect the processor's features.

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
pub mod gzip;
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

/// Compiles the README's examples as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
