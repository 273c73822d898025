//! A limit on the rate of something, for each client.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::RATES_MAX;
use crate::quota_key::{Key, SHARED};

/// An allowance of events or bytes for each key, which refills at a steady rate up to one second's
/// worth.
///
/// By the generic cell rate algorithm (ITU-T I.371): one number per key, the moment at which its
/// allowance would be full again. One request may overdraw it; the next waits until that is paid
/// back. Memory is bounded: there is an entry for each key that was charged in the last second, up
/// to [`RATES_MAX`].
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_second: u64,
    started: Instant,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    full_at_ns: HashMap<Key, u64>,
    /// When a full table last forgot the keys with a full allowance: at most once a second.
    swept_at_ns: Option<u64>,
}

const SECOND_NS: u64 = 1_000_000_000;

impl RateLimiter {
    pub(crate) fn new(per_second: impl Into<NonZeroU64>) -> Self {
        let per_second = per_second.into().get();
        Self { per_second, started: Instant::now(), table: Mutex::default() }
    }

    /// The full allowance: one second's worth.
    pub(crate) fn per_second(&self) -> usize {
        usize::try_from(self.per_second).unwrap_or(usize::MAX)
    }

    /// Takes `count` from the allowance of `key` now. Returns the time until there is room for one
    /// more.
    pub(crate) fn charge_now(&self, key: Key, count: usize) -> Duration {
        self.charge(key, count, self.started.elapsed().as_nanos().try_into().unwrap_or(u64::MAX))
    }

    /// Takes `count` from the allowance of `key` at `now_ns`. Returns the time until there is
    /// room for one more.
    fn charge(&self, key: Key, count: usize, now_ns: u64) -> Duration {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { full_at_ns: moments, swept_at_ns } = &mut *table;
        let has_room =
            |moments: &HashMap<_, _>| moments.len() < RATES_MAX || moments.contains_key(&key);
        if !has_room(moments) && swept_at_ns.is_none_or(|at_ns| now_ns >= at_ns + SECOND_NS) {
            *swept_at_ns = Some(now_ns);
            moments.retain(|_, full_at_ns| *full_at_ns > now_ns);
        }
        let key = if has_room(moments) { key } else { SHARED };
        let interval_ns = SECOND_NS / self.per_second;
        let cost_ns = count as u128 * u128::from(SECOND_NS) / u128::from(self.per_second);
        let cost_ns = u64::try_from(cost_ns).unwrap_or(u64::MAX);
        let full_at_ns = moments.get(&key).copied().unwrap_or(0).max(now_ns);
        let full_at_ns = full_at_ns.saturating_add(cost_ns);
        if count > 0 {
            moments.insert(key, full_at_ns);
        }
        let room_at_ns =
            full_at_ns.saturating_add(interval_ns).saturating_sub(SECOND_NS.max(interval_ns));
        Duration::from_nanos(room_at_ns.saturating_sub(now_ns))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_second_s_worth_may_come_at_once_and_then_the_rate() {
        let rates = RateLimiter::new(NonZeroU32::new(10).unwrap());
        let admitted = |now_ns| {
            std::iter::from_fn(|| {
                rates.charge(1, 0, now_ns).is_zero().then(|| rates.charge(1, 1, now_ns))
            })
            .count()
        };
        assert_eq!(admitted(0), 10);
        assert_eq!(rates.charge(1, 0, 0), Duration::from_millis(100));
        assert_eq!(admitted(SECOND_NS / 10 - 1), 0);
        assert_eq!(admitted(SECOND_NS / 2), 5);
        assert_eq!(admitted(100 * SECOND_NS), 10, "a long pause saves up no more");
    }

    #[test]
    fn a_rate_of_more_than_one_in_a_nanosecond_is_kept_to() {
        let rates = RateLimiter::new(NonZeroU64::new(4_000_000_000).unwrap());
        assert!(rates.charge(1, 4_000_000_000, 0).is_zero(), "the next one is due at once");
        assert_eq!(rates.charge(1, 4_000_000_000, 0), Duration::from_secs(1));
        assert!(rates.charge(1, usize::MAX, SECOND_NS) > Duration::from_secs(1_000_000_000));
    }

    #[test]
    fn an_allowance_that_a_batch_has_overdrawn_is_paid_back() {
        let rates = RateLimiter::new(NonZeroU32::new(10).unwrap());
        assert_eq!(rates.charge(1, 30, 0), Duration::from_millis(2100));
        assert!(rates.charge(2, 0, 0).is_zero(), "another key is not affected");
        assert!(!rates.charge(1, 0, 2 * SECOND_NS).is_zero());
        assert!(rates.charge(1, 0, 2 * SECOND_NS + SECOND_NS / 10).is_zero());
    }

    #[test]
    fn a_rate_of_one_lets_one_in_each_second() {
        let rates = RateLimiter::new(NonZeroU32::new(1).unwrap());
        assert!(rates.charge(1, 0, 0).is_zero());
        assert_eq!(rates.charge(1, 1, 0), Duration::from_secs(1));
        assert!(rates.charge(1, 0, SECOND_NS).is_zero());
    }

    #[test]
    fn the_table_of_rates_does_not_grow_forever() {
        let rates = RateLimiter::new(NonZeroU32::new(1).unwrap());
        for key in 1..=2 * RATES_MAX as u64 {
            rates.charge(key, 1, 0);
        }
        let late = 2 * RATES_MAX as u64 + 1;
        assert!(
            !rates.charge(late, 0, 0).is_zero(),
            "a key that comes too late shares with the others"
        );
        assert!(rates.table.lock().unwrap().full_at_ns.len() <= RATES_MAX + 1);
        assert!(rates.charge(late, 1, SECOND_NS) == Duration::from_secs(1));
        assert!(
            rates.table.lock().unwrap().full_at_ns.len() <= 2,
            "a key with a full allowance is forgotten"
        );
    }
}
