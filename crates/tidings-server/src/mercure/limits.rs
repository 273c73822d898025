//! Bounds of the Mercure face: each with its reason, its cost, and what happens at the edge. (What
//! the protocol itself bounds stands in [`dialect`](super::dialect).)

use std::time::Duration;

/// The program of one part of a URL pattern, in bytes. A pattern has eight parts, nearly all of
/// them without a program. At the edge: the pattern is refused.
pub(super) const PATTERN_PROGRAM_BYTES_MAX: usize = 128 << 10;

/// URL patterns that are kept compiled for those who come with the same. Each costs a few KiB. At
/// the edge: all are forgotten; those in use stay with their subscribers.
pub(super) const PATTERNS_KEPT_MAX: usize = 1024;

/// How long a good token is good without another look: the time after which a key that was taken
/// back is of no more use.
pub(super) const TOKEN_KEPT: Duration = Duration::from_secs(60);
