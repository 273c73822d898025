//! Bounds of a run, each with its reason and what happens at the edge.

use std::time::Duration;

/// Time to wait for something that must come. At the edge: the check fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Time to wait for something that must not come. Where possible, a check waits for a later event
/// that must come instead, which takes no extra time.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);

/// Bytes of an answer, or of a stream without a complete event. At the edge: the check fails.
pub(crate) const BYTES_MAX: usize = 4 << 20;
