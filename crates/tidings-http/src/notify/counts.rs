use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What became of what a receiver was to be told.
#[derive(Debug, Default)]
pub struct ReceiverCounts {
    pub(super) accepted: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) is_off: AtomicBool,
}

impl ReceiverCounts {
    /// Messages that were accepted and given up, and attempts that failed.
    pub fn messages(&self) -> [(&'static str, u64); 3] {
        [("accepted", &self.accepted), ("failed", &self.failed), ("dropped", &self.dropped)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    /// Facts that were never told.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether the receiver has said that it is gone for good.
    pub fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
