//! Wall-clock time, and waits with jitter.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidings_hub::Timestamp;

use crate::limits::EXPIRY_LOOK;

/// `base` in milliseconds, ±50 % jitter: clients that left together should not return together.
pub fn jittered_ms(base: Duration) -> u64 {
    let base = u64::try_from(base.as_millis()).unwrap_or(u64::MAX / 4).max(1);
    // Fresh hash keys give a random number; nothing here is secret.
    let random = RandomState::new().hash_one(base);
    base / 2 + random % base.saturating_add(1)
}

/// Wall-clock time; a clock before 1970 counts as 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(since.as_millis().try_into().unwrap_or(u64::MAX))
}

/// Waits until the wall clock reaches `end`. Checks the clock again after every [`EXPIRY_LOOK`],
/// because it may be set in the meantime.
pub async fn reached(end: Timestamp) {
    loop {
        let left = end.as_millis().saturating_sub(now().as_millis());
        if left == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(left).min(EXPIRY_LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_half_and_is_not_always_the_same() {
        let values: Vec<_> = (0..100).map(|_| jittered_ms(Duration::from_secs(2))).collect();
        assert!(values.iter().all(|ms| (1000..=3000).contains(ms)));
        assert!(values.iter().any(|ms| *ms != values[0]));
    }
}
