//! Bytes to server-sent events and back: the `text/event-stream` format, no I/O.

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
