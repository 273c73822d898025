use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keeps errors of every request from filling the log: at most one line per interval.
#[derive(Debug)]
pub(crate) struct LogLimit {
    pause: Duration,
    last: Mutex<Option<Instant>>,
}

impl LogLimit {
    /// At most one line in each `pause`.
    pub(crate) const fn new(pause: Duration) -> Self {
        Self { pause, last: Mutex::new(None) }
    }

    /// Whether a line may be written now.
    pub(crate) fn admits(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let admits = last.is_none_or(|last| last.elapsed() >= self.pause);
        if admits {
            *last = Some(Instant::now());
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_line_is_written_per_interval() {
        let limit = LogLimit::new(Duration::MAX);
        assert!(limit.admits());
        assert!(!limit.admits());
        let none = LogLimit::new(Duration::ZERO);
        assert!(none.admits() && none.admits());
    }
}
