//! Whether questions are asked at all.

use std::time::{Duration, Instant};

use crate::limits::{AUTHORIZE_FAILURES_MAX, AUTHORIZE_PROBE_PAUSE};

/// Stops questions to a backend that fails, but for one in a while.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Failures in a row.
    failures: u32,
    /// Until when nothing is asked, if it is open.
    until: Option<Instant>,
    pause: Duration,
}

impl Breaker {
    /// Whether a question would be asked now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether this question may be asked now. If the breaker is open, it is the only one for
    /// `patience`, by when it has an answer or has failed.
    pub(super) fn admit(&mut self, now: Instant, patience: Duration) -> bool {
        match self.until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.until = Some(now + patience);
                true
            }
        }
    }

    /// A question was answered. Returns whether that closed the breaker.
    pub(super) fn succeeded(&mut self) -> bool {
        std::mem::take(self).until.is_some()
    }

    /// A question failed. Returns what an operator should hear of it.
    pub(super) fn failed(&mut self, now: Instant) -> News {
        self.failures = self.failures.saturating_add(1);
        if self.failures < AUTHORIZE_FAILURES_MAX {
            return if self.failures == 1 { News::First } else { News::Nothing };
        }
        let was_open = self.until.is_some();
        let (shortest, longest) = AUTHORIZE_PROBE_PAUSE;
        self.pause = if was_open { (self.pause * 2).min(longest) } else { shortest };
        self.until = Some(now + self.pause);
        if was_open { News::Nothing } else { News::Opened }
    }
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// The first in a row.
    First,
    /// It opened the breaker.
    Opened,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_one_question_at_a_time_is_asked_ever_more_rarely() {
        let mut breaker = Breaker::default();
        let (mut now, patience) = (Instant::now(), Duration::from_secs(2));
        for number in 1..AUTHORIZE_FAILURES_MAX {
            assert!(breaker.admit(now, patience));
            let news = if number == 1 { News::First } else { News::Nothing };
            assert_eq!(breaker.failed(now), news);
        }
        assert_eq!(breaker.failed(now), News::Opened);
        for pause in [1, 2, 4, 8, 10, 10] {
            assert!(!breaker.admit(now, patience) && breaker.is_open(now));
            now += Duration::from_secs(pause) - Duration::from_millis(1);
            assert!(!breaker.admit(now, patience));
            now += Duration::from_millis(1);
            assert!(breaker.admit(now, patience));
            assert!(!breaker.admit(now, patience), "only one probes");
            assert_eq!(breaker.failed(now), News::Nothing);
        }
        assert!(breaker.succeeded());
        assert!(breaker.admit(now, patience) && !breaker.succeeded());
    }

    #[test]
    fn a_success_ends_the_row_and_a_probe_that_vanishes_does_not_block_the_next() {
        let mut breaker = Breaker::default();
        let (now, patience) = (Instant::now(), Duration::from_secs(2));
        for _ in 0..10 * AUTHORIZE_FAILURES_MAX {
            breaker.failed(now);
            breaker.succeeded();
        }
        assert!(!breaker.is_open(now));
        for _ in 0..AUTHORIZE_FAILURES_MAX {
            breaker.failed(now);
        }
        let later = now + Duration::from_secs(1);
        assert!(breaker.admit(later, patience));
        assert!(breaker.admit(later + patience, patience));
    }
}
