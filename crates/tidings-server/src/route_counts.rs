//! Counts of answered requests, by route and class of status.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;

/// Counters of answered requests.
#[derive(Debug)]
pub(crate) struct RouteCounts {
    routes: Vec<(&'static str, [AtomicU64; CLASSES.len()])>,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl RouteCounts {
    /// For routes with these names; a route's number is its place among them.
    pub(crate) fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { routes: names.into_iter().map(|name| (name, Default::default())).collect() }
    }

    /// The name of the route with this number.
    pub(crate) fn name(&self, route: usize) -> &'static str {
        self.routes[route].0
    }

    /// Counts an answered request for the route with this number.
    pub(crate) fn answered(&self, route: usize, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.routes[route].1[class].fetch_add(1, Relaxed);
    }

    /// Route, class of status and number of requests, where there were any.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.routes
            .iter()
            .flat_map(|(name, classes)| {
                let classes = CLASSES.iter().zip(classes);
                classes.map(|(class, count)| (*name, *class, count.load(Relaxed)))
            })
            .filter(|(.., count)| *count > 0)
    }
}
