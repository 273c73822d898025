use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A histogram of durations. Written by many threads, read seldom.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One more than there are bounds: the last counts durations longer than all of them.
    counts: [AtomicU64; Histogram::BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

/// A snapshot of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Durations {
    /// For each bound, the number of durations up to it; the last entry counts all.
    pub cumulative: Vec<(Option<Duration>, u64)>,
    /// Sum of all durations.
    pub sum: Duration,
}

impl Histogram {
    /// From a tenth of a millisecond, a write on a good disk, to a wait at which people give up.
    const BOUNDS: [Duration; 16] = {
        let us = Duration::from_micros;
        let ms = Duration::from_millis;
        [
            us(100),
            us(250),
            us(500),
            ms(1),
            us(2500),
            ms(5),
            ms(10),
            ms(25),
            ms(50),
            ms(100),
            ms(250),
            ms(500),
            ms(1000),
            ms(2500),
            ms(5000),
            ms(10_000),
        ]
    };

    /// Counts a `duration`.
    pub(crate) fn observe(&self, duration: Duration) {
        let place = Self::BOUNDS.partition_point(|bound| *bound < duration);
        self.counts[place].fetch_add(1, Relaxed);
        let ns = duration.as_nanos().try_into().unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    pub(crate) fn durations(&self) -> Durations {
        let bounds = Self::BOUNDS.into_iter().map(Some).chain([None]);
        let mut all = 0;
        let cumulative = bounds.zip(&self.counts).map(|(bound, count)| {
            all += count.load(Relaxed);
            (bound, all)
        });
        let cumulative = cumulative.collect();
        Durations { cumulative, sum: Duration::from_nanos(self.sum_ns.load(Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_for_every_bound_it_does_not_exceed() {
        let histogram = Histogram::default();
        for ms in [1, 2, 20_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let Durations { cumulative, sum } = histogram.durations();
        let count = |bound| cumulative.iter().find(|(b, _)| *b == bound).map(|(_, count)| *count);
        assert_eq!(count(Some(Duration::from_micros(500))), Some(0));
        assert_eq!(count(Some(Duration::from_millis(1))), Some(1));
        assert_eq!(count(Some(Duration::from_micros(2500))), Some(2));
        assert_eq!(count(Some(Duration::from_secs(10))), Some(2));
        assert_eq!(count(None), Some(3));
        assert_eq!(sum, Duration::from_millis(20_003));
    }
}
