//! Bytes to server-sent events and back: the `text/event-stream` format, no I/O.

#![no_std]

extern crate alloc;

pub mod encode;
mod error;
mod event;
mod event_id;
mod event_type;

pub use error::InvalidField;
pub use event::Event;
pub use event_id::EventId;
pub use event_type::EventType;
