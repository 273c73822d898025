use tidings_hub::{Position, SubscriberId};

use crate::connection::Began;
use crate::counters::Permit;
use crate::hook::Companion;
use crate::sink::Sink;

/// What is told of a subscriber when somebody asks; 24 bytes of its memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    /// Of its connection id.
    pub(crate) number: u64,
    /// It gets what comes after this position.
    pub(crate) started: Position,
    /// When it came, in seconds since the engine began.
    pub(crate) since_s: u32,
    pub(crate) began: Began,
}

/// A subscriber as its worker knows it.
pub(crate) struct Seat {
    pub(crate) id: SubscriberId,
    pub(crate) sink: Sink,
    pub(crate) story: Story,
    pub(crate) _permit: Permit,
    /// Dropped with the seat.
    pub(crate) _companion: Option<Box<dyn Companion>>,
}
