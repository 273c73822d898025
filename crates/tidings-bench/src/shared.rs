use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::Clock;

/// State shared by the threads of a run. Everything is a counter or a flag: no thread waits here.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// Distinguishes this run's events from those of others.
    pub(crate) run: u32,
    /// Set when subscribers should end.
    pub(crate) stop: AtomicBool,
    /// Set when publishers should end: no further request is begun.
    pub(crate) stop_publishing: AtomicBool,
    /// Beginning and end of the measured time.
    window_from_ns: AtomicU64,
    window_to_ns: AtomicU64,
    /// Subscribers connected now.
    pub(crate) connected: AtomicUsize,
    /// Events that reached a subscriber for the first time, from the beginning of the run.
    pub(crate) received: AtomicU64,
    /// Events acknowledged to the publisher, from the beginning of the run.
    pub(crate) published: AtomicU64,
    /// Message of the last failure.
    last_failure: Mutex<Option<String>>,
}

impl Shared {
    pub(crate) fn new(run: u32) -> Self {
        Self {
            clock: Clock::start(),
            run,
            stop: AtomicBool::new(false),
            stop_publishing: AtomicBool::new(false),
            window_from_ns: AtomicU64::new(u64::MAX),
            window_to_ns: AtomicU64::new(u64::MAX),
            connected: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            published: AtomicU64::new(0),
            last_failure: Mutex::new(None),
        }
    }

    /// Set before the publishers start.
    pub(crate) fn set_window(&self, from_ns: u64, to_ns: u64) {
        self.window_from_ns.store(from_ns, Ordering::Relaxed);
        self.window_to_ns.store(to_ns, Ordering::Relaxed);
    }

    /// Whether `now_ns` is in the measured time.
    pub(crate) fn measured(&self, now_ns: u64) -> bool {
        now_ns >= self.window_from_ns.load(Ordering::Relaxed)
            && now_ns < self.window_to_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn note_failure(&self, text: impl FnOnce() -> String) {
        let mut last = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(text());
    }

    pub(crate) fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
