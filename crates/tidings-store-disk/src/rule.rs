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
    /// Maximum age of an event. `None`: a rule that keeps the last ones drops all others; any other
    /// has that of [`DiskConfig`](crate::DiskConfig::retention_age).
    pub age: Option<Duration>,
    /// Bytes that its events may occupy. `None`: those of
    /// [`DiskConfig`](crate::DiskConfig::retention_bytes).
    pub bytes: Option<u64>,
    /// Number of events of each topic that neither age nor bytes drop.
    pub keep_last: Option<NonZeroU32>,
}
