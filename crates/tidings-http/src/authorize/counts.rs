use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::outcome::Unavailable;

/// What became of the requests that a rule is about.
#[derive(Debug, Default)]
pub struct RuleCounts {
    granted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    kept: AtomicU64,
    joined: AtomicU64,
    streams: AtomicUsize,
    unavailable: [AtomicU64; Unavailable::ALL.len()],
}

impl RuleCounts {
    /// Questions that were asked, by what the backend answered.
    pub fn questions(&self) -> [(&'static str, u64); 3] {
        let counts = [&self.granted, &self.refused, &self.failed];
        let names = ["granted", "refused", "failed"];
        std::array::from_fn(|place| (names[place], counts[place].load(Ordering::Relaxed)))
    }

    /// Requests that needed no question of their own: an answer was kept, or one was under way.
    pub fn saved(&self) -> [(&'static str, u64); 2] {
        [("kept", &self.kept), ("joined", &self.joined)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    /// Requests without an answer, by the reason.
    pub fn unavailable(&self) -> [(&'static str, u64); 3] {
        Unavailable::ALL
            .map(|why| (why.name(), self.unavailable[why as usize].load(Ordering::Relaxed)))
    }

    /// Streams that run now and are asked about again.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    pub(super) fn stream_kept(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stream_left(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn granted(&self) {
        self.granted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn kept(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn joined(&self) {
        self.joined.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn without_answer(&self, why: Unavailable) {
        self.unavailable[why as usize].fetch_add(1, Ordering::Relaxed);
    }
}
