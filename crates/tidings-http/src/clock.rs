//! Wall-clock time, and waits that are not all the same.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidings_hub::Timestamp;

use crate::limits::EXPIRY_LOOK;

/// Milliseconds around `base`, half of it up or down: what came at once shall not come back at
/// once.
pub fn jittered_ms(base: Duration) -> u64 {
    let base = u64::try_from(base.as_millis()).unwrap_or(u64::MAX / 4).max(1);
    // Fresh keys make a fresh number; nothing here is a secret.
    let random = RandomState::new().hash_one(base);
    base / 2 + random % base.saturating_add(1)
}

/// Wall-clock time; a clock before 1970 counts as 1970.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(since.as_millis().try_into().unwrap_or(u64::MAX))
}

/// Waits until the wall clock is at `end`. The clock is looked at again after every
/// [`EXPIRY_LOOK`], for it may be set meanwhile.
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
