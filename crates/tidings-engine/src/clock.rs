use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidings_hub::Timestamp;

/// The real clock, in the milliseconds that shards count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
    began_wall: Timestamp,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), began_wall: wall_clock() }
    }

    /// Lets `duration` pass at once.
    #[cfg(test)]
    pub(crate) fn advance(&mut self, duration: Duration) {
        self.began = self.began.checked_sub(duration).expect("the machine is older than that");
    }

    /// Milliseconds since the engine began; they only grow.
    pub(crate) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }

    /// Nanoseconds since the engine began.
    pub(crate) fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
    }

    /// The wall-clock time at which [`now_ms`](Self::now_ms) was `ms`.
    pub(crate) fn wall(&self, ms: u64) -> Timestamp {
        Timestamp::from_millis(self.began_wall.as_millis().saturating_add(ms))
    }

    /// [`now_ms`](Self::now_ms) at a moment in wall-clock time; a moment in the past is now.
    pub(crate) fn at(&self, moment: Timestamp) -> u64 {
        self.now_ms() + moment.as_millis().saturating_sub(wall_clock().as_millis())
    }
}

/// Wall-clock time; a clock before 1970 counts as 1970.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(since.as_millis().try_into().unwrap_or(u64::MAX))
}
