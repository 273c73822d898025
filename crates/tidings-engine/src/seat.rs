use tidings_hub::{Position, SubscriberId};

use crate::connection::Began;
use crate::counters::Permit;
use crate::hook::SubscriberHook;
use crate::sink::Sink;

/// Per-connection details for operators; 24 bytes of each subscriber's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    /// The number in its connection id.
    pub(crate) number: u64,
    /// The position after which it started.
    pub(crate) started: Position,
    /// Time of arrival, in seconds since the engine started.
    pub(crate) since_s: u32,
    pub(crate) began: Began,
}

/// A subscriber as its worker knows it.
pub(crate) struct Seat {
    pub(crate) id: SubscriberId,
    pub(crate) sink: Sink,
    pub(crate) info: ConnectionInfo,
    pub(crate) _permit: Permit,
    /// Dropped with the seat.
    pub(crate) _hook: Option<Box<dyn SubscriberHook>>,
}
