//! Scenarios: a worker whose poller, clock and sinks are in the hands of the test.

#![allow(clippy::unwrap_used)]

mod arrivals;
mod bodies;
mod scene;
mod sinks;
mod sleep;
mod stops;

use super::*;
