use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tidings_hub::Matcher;

/// What is kept of the events on some topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Name in metrics, in `GET /topics` and in the log.
    pub name: Arc<str>,
    /// Topics it is for.
    pub topics: Vec<Matcher>,
    /// Maximum age of an event. `None`: a rule that promises the last ones drops all others; any
    /// other has that of [`DiskConfig`](crate::DiskConfig::retention_age).
    pub age: Option<Duration>,
    /// Bytes that its events may occupy. `None`: those of
    /// [`DiskConfig`](crate::DiskConfig::retention_bytes).
    pub bytes: Option<u64>,
    /// Which of its events neither age nor bytes drop.
    pub promise: Option<Promise>,
}

/// Events that a rule keeps, however old they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The newest ones of each topic, at least this many.
    Last(NonZeroU32),
    /// The newest event of each key until the key is removed, with all of the pieces that its value
    /// has; and the newest event without a key of each topic.
    State,
}
