//! The `retry` of an event, which sets the reconnection time of all its subscribers.

use crate::limits::EVENT_RETRY;

/// The reconnection time `ms`, in milliseconds, clamped to [`EVENT_RETRY`].
pub fn bounded(ms: u64) -> u64 {
    let millis =
        |duration: std::time::Duration| duration.as_millis().try_into().unwrap_or(u64::MAX);
    ms.clamp(millis(*EVENT_RETRY.start()), millis(*EVENT_RETRY.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconnection_time_has_a_floor_and_a_ceiling() {
        for (given, sent) in [
            (0, 100),
            (99, 100),
            (100, 100),
            (2000, 2000),
            (86_400_000, 86_400_000),
            (u64::MAX, 86_400_000),
        ] {
            assert_eq!(bounded(given), sent);
        }
    }
}
