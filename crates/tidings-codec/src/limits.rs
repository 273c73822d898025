//! Every bound in the codec: its default, why, what it costs, and what happens at the edge.
//!
//! The encoder needs none: it writes what it is given, once, into a buffer that is the caller's.

/// The most bytes the decoder keeps for one event, unless told otherwise: 16 MiB.
///
/// *What counts*: the event's data with its line breaks, its type and its id, as bytes on the wire.
/// *Why*: no event anyone sends on purpose comes near it, and the tests clients are judged by send
/// events of several MiB. *Cost*: memory is taken as bytes arrive, never in advance; the worst a
/// peer can make one decoder hold is this for the event, as much for the last event id and the one
/// before it, and three times this while something that is not UTF-8 is lent out, mended (one byte
/// can become three). *At the edge*:
/// [`DecodeError::EventTooLarge`](crate::DecodeError::EventTooLarge), once; the rest of that event
/// is skipped as it arrives, and decoding goes on behind it.
///
/// A comment longer than this is skipped like one that nobody asked to see. Comments nobody asked
/// for, and unknown fields, may be of any length: they are never kept.
pub const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most memory the decoder's buffers keep between events: 128 KiB each.
///
/// *Why*: a buffer that is kept need not grow again for the next event cut by the end of a chunk,
/// but one huge event must not make an idle connection expensive for ever. *At the edge*: a larger
/// buffer is given back after the event.
pub(crate) const BUFFER_BYTES_KEPT_MAX: usize = 128 * 1024;
