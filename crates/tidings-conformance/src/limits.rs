//! Bounds of a run: each with its reason, and what happens at the edge.

use std::time::Duration;

/// How long something that must come is waited for. At the edge: the check fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long something that must not come is waited for. Where it is possible, another event that
/// must come is waited for instead, which needs no time.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);

/// Bytes of an answer, or of a stream that hold no event. At the edge: the check fails.
pub(crate) const BYTES_MAX: usize = 4 << 20;
