use std::time::{Duration, Instant};

/// The one clock of a run: nanoseconds since it began, on the monotonic clock.
///
/// Publisher and subscribers live in one process, so a time written into a payload can be compared
/// with the time of its arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { base: Instant::now() }
    }

    /// Nanoseconds since the run began.
    pub(crate) fn now_ns(self) -> u64 {
        nanos(self.base.elapsed())
    }

    /// Time until `ns`; zero if it is past.
    pub(crate) fn until(self, ns: u64) -> Duration {
        Duration::from_nanos(ns.saturating_sub(self.now_ns()))
    }
}

/// `duration` in nanoseconds; 584 years are enough.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
