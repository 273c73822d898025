//! Bounds of the Mercure face: each with its reason, its cost, and what happens at the edge. (What
//! the protocol itself bounds stands in [`dialect`](super::dialect).)

/// The program of one part of a URL pattern, in bytes. A pattern has eight parts, nearly all of
/// them without a program. At the edge: the pattern is refused.
pub(crate) const PATTERN_PROGRAM_BYTES_MAX: usize = 128 << 10;

/// Subscription events that are kept for those who come back. At the edge: the oldest are
/// forgotten, and who comes back for them is told that something may be lost.
pub(crate) const NOTICES_KEPT_MAX: usize = 4096;

/// Bytes of these. At the edge: the same.
pub(crate) const NOTICES_KEPT_BYTES_MAX: usize = 2 << 20;

/// URL patterns that are kept compiled for those who come with the same. Each costs a few KiB. At
/// the edge: all are forgotten; those in use stay with their subscribers.
pub(crate) const PATTERNS_KEPT_MAX: usize = 1024;
