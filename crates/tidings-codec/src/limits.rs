//! Every bound in the codec: its default, the reason, the cost, and what happens at the edge.
//!
//! The encoder needs none: it writes what it is given, once, into the caller's buffer.

/// Bytes that the decoder keeps for one event, unless configured otherwise: 16 MiB.
///
/// *What counts*: the event's data with its line breaks, its type and its id, as bytes on the wire.
/// *Why*: no event sent on purpose comes near it, and test suites for clients send events of
/// several MiB. *Cost*: memory is allocated as bytes arrive, never in advance; at worst a peer can
/// make one decoder hold this much for the event, as much for the last event id and the one before
/// it, and three times this while text that is not UTF-8 is lent out in repaired form (one byte can
/// become three). *At the edge*: [`DecodeError::EventTooLarge`](crate::DecodeError::EventTooLarge),
/// once; the rest of that event is skipped as it arrives, and decoding continues after it.
///
/// A comment longer than this is skipped. Comments that the caller does not want, and unknown
/// fields, may be of any length: they are never kept.
pub const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Memory that each of the decoder's buffers keeps between events: 128 KiB.
///
/// *Why*: a buffer that is kept need not grow again for the next event that is cut by the end of a
/// chunk, but one huge event must not make an idle connection expensive for ever. *At the edge*: a
/// larger buffer is freed after the event.
pub(crate) const BUFFER_BYTES_KEPT_MAX: usize = 128 * 1024;
