//! How it goes with certificates that are ordered from an authority, for metrics and probes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Counts of orders for certificates since the start. Whoever orders them writes here.
#[derive(Debug, Default)]
pub struct Renewals {
    issued: AtomicU64,
    failed: AtomicU64,
    /// Seconds since 1970; 0 is never.
    last_issued: AtomicU64,
    last_failed: AtomicU64,
}

impl Renewals {
    /// A certificate was issued.
    pub fn note_issued(&self, now: SystemTime) {
        self.issued.fetch_add(1, Ordering::Relaxed);
        self.last_issued.store(seconds(now), Ordering::Relaxed);
    }

    /// An attempt failed.
    pub fn note_failed(&self, now: SystemTime) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.last_failed.store(seconds(now), Ordering::Relaxed);
    }

    /// Certificates that were issued, and when the last one was.
    pub fn issued(&self) -> (u64, Option<SystemTime>) {
        read(&self.issued, &self.last_issued)
    }

    /// Attempts that failed, and when the last one did.
    pub fn failed(&self) -> (u64, Option<SystemTime>) {
        read(&self.failed, &self.last_failed)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn read(count: &AtomicU64, last: &AtomicU64) -> (u64, Option<SystemTime>) {
    let last = last.load(Ordering::Relaxed);
    let last = (last > 0).then(|| UNIX_EPOCH + Duration::from_secs(last));
    (count.load(Ordering::Relaxed), last)
}
