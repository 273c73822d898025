//! The labels of requests in the metrics.

use crate::route::PATHS;

/// The labels of requests in the metrics: the paths of the API, and these behind them.
pub(crate) const LABELS: usize = PATHS.len() + OTHER_LABELS.len();

const OTHER_LABELS: [&str; 3] = ["mercure", "page", "none"];
pub(crate) const MERCURE: usize = PATHS.len();
pub(crate) const PAGE: usize = MERCURE + 1;
pub(crate) const NONE: usize = MERCURE + 2;

/// The label with this number.
pub(crate) fn label_name(label: usize) -> &'static str {
    PATHS.get(label).map_or_else(|| OTHER_LABELS[label - PATHS.len()], |(path, _)| path)
}
