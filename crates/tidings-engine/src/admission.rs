//! The rate at which subscribers are admitted.
//!
//! When a hub restarts, all its subscribers reconnect at once. Admitting them at a steady rate, and
//! asking the others to come back in a moment (a rejection with a jittered `retry:`), keeps the
//! admitted ones served meanwhile.
//!
//! The rule is the generic cell rate algorithm (ITU-T I.371): one number, the moment at which the
//! allowance would be full again, moves on by one interval with each admission, and may be at most
//! a burst ahead of now.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// An allowance that refills at a steady rate, up to one second's worth.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Nanoseconds per admission; 0 admits all.
    interval_ns: u64,
    /// Time at which the allowance is full again, in nanoseconds of the clock passed to
    /// [`admit`](Self::admit).
    full_at_ns: AtomicU64,
}

const SECOND_NS: u64 = 1_000_000_000;

impl Admission {
    /// Admits this many a second; `None` is no limit.
    pub(crate) fn new(per_second: Option<NonZeroU32>) -> Self {
        let interval_ns = per_second.map_or(0, |rate| SECOND_NS / u64::from(rate.get()));
        Self { interval_ns, full_at_ns: AtomicU64::new(0) }
    }

    /// Whether one more is admitted at `now_ns`.
    pub(crate) fn admit(&self, now_ns: u64) -> bool {
        let next = |full_at_ns: u64| {
            let full_at_ns = full_at_ns.max(now_ns) + self.interval_ns;
            (full_at_ns <= now_ns + SECOND_NS).then_some(full_at_ns)
        };
        self.interval_ns == 0
            || self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_comes_in_at_once_and_then_the_rate() {
        let admission = Admission::new(NonZeroU32::new(10));
        let admitted =
            |now_ns| std::iter::from_fn(|| admission.admit(now_ns).then_some(())).count();
        assert_eq!(admitted(0), 10);
        assert_eq!(admitted(SECOND_NS / 10 - 1), 0);
        assert_eq!(admitted(SECOND_NS / 2), 5);
        assert_eq!(admitted(100 * SECOND_NS), 10, "a long pause saves up no more than a second's");
    }

    #[test]
    fn without_a_rate_everybody_comes_in() {
        let admission = Admission::new(None);
        assert!((0..100_000).all(|_| admission.admit(0)));
    }
}
