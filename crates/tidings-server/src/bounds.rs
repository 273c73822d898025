use std::time::Duration;

/// The bounds of the native API that an operator can change: see
/// [`Config`](crate::Config), which has the same names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) wait_max: Duration,
    pub(crate) ingest_pause_max: Duration,
    pub(crate) matchers_max: usize,
}
