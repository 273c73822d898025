//! `Backoff`: the wait before a retry, from the server's `retry`, growth and jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, RECONNECTION_TIME_DEFAULT};
use crate::{Lost, RetryPolicy};

/// Waits that double with every failed attempt, and differ from client to client.
///
/// ```text
/// base = the server's retry:, or else our own; at least the floor
/// wait = base · 2^retries, at most the cap; plus up to `jitter` times as much
/// ```
///
/// Jitter makes a wait longer and never shorter, so the client always waits as long as the server
/// has asked (HTML §9.2.3, "reestablish the connection", step 2). The cap includes the jitter, but
/// a server that asks for more than the cap is obeyed, up to 24 hours
/// ([`RECONNECTION_TIME_MAX`](crate::limits::RECONNECTION_TIME_MAX)). If base and floor are both
/// zero, so is every wait that the server does not set.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    floor: Duration,
    cap: Duration,
    jitter: f64,
    retries_max: Option<u32>,
    temporary: Vec<StatusCode>,
    dice: Dice,
}

impl Backoff {
    /// Waits from 3 seconds to 30, with up to half as much jitter, for ever.
    #[must_use]
    pub fn new() -> Self {
        Self::with_seed(RandomState::new().hash_one(0))
    }

    /// The same, but with predictable jitter, for tests.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self {
            base: RECONNECTION_TIME_DEFAULT,
            floor: BACKOFF_MIN,
            cap: BACKOFF_MAX,
            jitter: 0.5,
            retries_max: None,
            temporary: Vec::new(),
            dice: Dice(seed),
        }
    }

    /// Always the same wait, unless the server sets another. As in every policy it is at least
    /// [`BACKOFF_MIN`], unless a shorter [`floor`](Self::floor) is set.
    #[must_use]
    pub fn constant(wait: Duration) -> Self {
        Self::new().base(wait).cap(wait).jitter(0.0)
    }

    /// The first wait, until the server sets another.
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base.min(LONGEST);
        self
    }

    /// The shortest wait, whatever the server says: [`BACKOFF_MIN`] unless set. Even with a shorter
    /// floor, a wait set by the server counts as at least 100 milliseconds
    /// ([`RECONNECTION_TIME_MIN`](crate::limits::RECONNECTION_TIME_MIN)).
    #[must_use]
    pub fn floor(mut self, floor: Duration) -> Self {
        self.floor = floor.min(LONGEST);
        self
    }

    /// The longest wait, unless the server asks for a longer one.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap.min(LONGEST);
        self
    }

    /// Maximum random extension of a wait, as a fraction of it: 0 to 1.
    #[must_use]
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = fraction.clamp(0.0, 1.0);
        self
    }

    /// Gives up after this many failed attempts in a row. A healthy connection resets the count.
    #[must_use]
    pub fn retries_max(mut self, retries: u32) -> Self {
        self.retries_max = Some(retries);
        self
    }

    /// Also treats as temporary the statuses that proxies send while the server behind them is down
    /// or overloaded: 408, 429, 502 to 504, 520 to 524, 529 and 530. By the standard the source
    /// would give up.
    #[must_use]
    pub fn temporary_gateways(self) -> Self {
        let statuses = GATEWAY_STATUSES.into_iter().filter_map(|code| code.try_into().ok());
        statuses.fold(self, Self::temporary)
    }

    /// Also treats answers with this status as temporary.
    #[must_use]
    pub fn temporary(mut self, status: StatusCode) -> Self {
        self.temporary.push(status);
        self
    }
}

/// Statuses that proxies send while the server behind them is down or overloaded: 408, 429, 502,
/// 503 and 504; 520 to 524 and 530, which Cloudflare adds; and 529, which several add.
const GATEWAY_STATUSES: [u16; 12] = [408, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529, 530];

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryPolicy for Backoff {
    fn wait(&mut self, lost: &Lost<'_>) -> Option<Duration> {
        if self.retries_max.is_some_and(|max| lost.retries >= max) {
            return None;
        }
        let base = lost.reconnection_time.unwrap_or(self.base).max(self.floor);
        let grown = base.saturating_mul(2u32.saturating_pow(lost.retries));
        // This leaves room for jitter below the cap: even at the cap, clients must not synchronise.
        let plain = grown.min(self.cap.div_f64(1.0 + self.jitter)).max(base);
        Some(plain.saturating_add(plain.mul_f64(self.jitter * self.dice.roll())))
    }

    fn is_temporary(&self, status: StatusCode, _headers: &HeaderMap) -> bool {
        self.temporary.contains(&status)
    }
}

/// Random numbers (SplitMix64), good enough to spread clients over time and for nothing else.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    /// From 0 up to 1, without 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        // 53 bits are what an f64 holds exactly.
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// More than a century: practically for ever, but a number that can be doubled and multiplied.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Cause;

    fn wait(policy: &mut Backoff, retries: u32, retry_ms: Option<u64>) -> Option<u128> {
        policy
            .wait(&Lost {
                cause: &Cause::Ended,
                retries,
                reconnection_time: retry_ms.map(Duration::from_millis),
            })
            .map(|wait| wait.as_millis())
    }

    #[test]
    fn waits_double_from_the_base_up_to_the_cap() {
        let mut policy = Backoff::new().jitter(0.0);
        let waits: Vec<_> =
            (0..6).map(|retries| wait(&mut policy, retries, None).unwrap()).collect();
        assert_eq!(waits, [3000, 6000, 12_000, 24_000, 30_000, 30_000]);
    }

    #[test]
    fn the_servers_retry_is_the_base_even_above_the_cap() {
        let mut policy = Backoff::new().jitter(0.0);
        assert_eq!(wait(&mut policy, 0, Some(500)), Some(500));
        assert_eq!(wait(&mut policy, 2, Some(500)), Some(2000));
        assert_eq!(wait(&mut policy, 0, Some(60_000)), Some(60_000));
        assert_eq!(wait(&mut policy, 5, Some(60_000)), Some(60_000));
    }

    #[test]
    fn the_floor_holds_against_a_retry_of_zero() {
        assert_eq!(wait(&mut Backoff::new().jitter(0.0), 0, Some(0)), Some(100));
    }

    #[test]
    fn a_constant_wait_has_the_same_floor_unless_a_shorter_one_is_set() {
        let mut policy = Backoff::constant(Duration::ZERO);
        assert_eq!(wait(&mut policy, 0, None), Some(100));
        assert_eq!(wait(&mut policy, 0, Some(0)), Some(100));
        assert_eq!(wait(&mut policy.floor(Duration::ZERO), 9, None), Some(0));
        let mut policy = Backoff::constant(Duration::from_secs(2));
        assert_eq!(wait(&mut policy, 9, None), Some(2000));
        assert_eq!(wait(&mut policy, 9, Some(5000)), Some(5000));
    }

    #[test]
    fn a_base_and_floor_of_zero_mean_no_wait_ever() {
        let mut policy = Backoff::new().base(Duration::ZERO).floor(Duration::ZERO);
        assert_eq!(wait(&mut policy, 40, None), Some(0));
    }

    #[test]
    fn jitter_only_adds_and_stays_below_the_cap() {
        let mut policy = Backoff::with_seed(7);
        let mut seen = Vec::new();
        for _ in 0..1000 {
            let first = wait(&mut policy, 0, None).unwrap();
            assert!((3000..4500).contains(&first), "{first}");
            let last = wait(&mut policy, 30, None).unwrap();
            assert!((20_000..=30_000).contains(&last), "{last}");
            seen.push(first);
        }
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 400, "{} different waits", seen.len());
    }

    #[test]
    fn no_number_of_retries_overflows() {
        assert!(wait(&mut Backoff::new(), u32::MAX, Some(3_600_000)).is_some());
        let mut endless = Backoff::new().cap(Duration::MAX);
        assert!(wait(&mut endless, u32::MAX, None).is_some());
    }

    #[test]
    fn it_gives_up_when_told_how_often_to_try() {
        let mut policy = Backoff::new().retries_max(2);
        assert!(wait(&mut policy, 1, None).is_some());
        assert_eq!(wait(&mut policy, 2, None), None);
    }

    #[test]
    fn two_clients_do_not_wait_alike() {
        let waits = |mut policy: Backoff| -> Vec<_> {
            (0..4).map(|n| wait(&mut policy, n, None)).collect()
        };
        assert_ne!(waits(Backoff::new()), waits(Backoff::new()));
    }
}
