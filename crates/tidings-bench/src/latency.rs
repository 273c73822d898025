use std::time::Duration;

use hdrhistogram::Histogram;

use crate::clock::nanos;
use crate::limits::LATENCY_MAX;

/// Times from intended sending to arrival: microseconds to minutes, with three significant digits.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    nanos: Histogram<u64>,
}

impl Latency {
    pub(crate) fn new() -> Self {
        let nanos = Histogram::new_with_bounds(1_000, nanos(LATENCY_MAX), 3);
        Self { nanos: nanos.expect("constant bounds that a histogram takes") }
    }

    pub(crate) fn record_ns(&mut self, latency_ns: u64) {
        self.nanos.saturating_record(latency_ns);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.nanos.add(&other.nanos).expect("all histograms have the same bounds");
    }

    pub(crate) fn count(&self) -> u64 {
        self.nanos.len()
    }

    /// The time that `percent` of all samples stayed below.
    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.nanos.value_at_percentile(percent))
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.nanos.max())
    }
}
