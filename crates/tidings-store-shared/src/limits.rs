//! Every bound in the shared store: its default, the reason, the cost, and what happens at the
//! edge.

use std::time::Duration;

/// Time that one request to the journal may take.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(2);
