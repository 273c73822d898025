use std::io::{self, ErrorKind};
use std::net::SocketAddr;
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
    /// Whether all subscribers have been connected. What fails later is part of the measurement.
    pub(crate) all_connected: AtomicBool,
    /// Why waiting any longer would change nothing.
    dead_end: Mutex<Option<DeadEnd>>,
}

/// Why a run cannot begin. The first reason counts.
#[derive(Clone, Debug)]
pub(crate) enum DeadEnd {
    /// Nobody listens at the address.
    Unreached(String),
    /// The server's answer will not change.
    Rejected(String),
}

impl DeadEnd {
    /// A connection that could not be made, if trying again at once would fail again.
    pub(crate) fn of_connect(address: SocketAddr, error: &io::Error) -> Option<Self> {
        let lasts = matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
        );
        lasts.then(|| Self::Unreached(format!("{address}: {error}")))
    }

    /// An answer with this status, if the next request would get it again.
    pub(crate) fn of_status(request: &str, status: u16) -> Option<Self> {
        let passes = matches!(status, 408 | 425 | 429 | 500..);
        (!passes).then(|| Self::Rejected(format!("{request} is answered with {status}")))
    }
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
            all_connected: AtomicBool::new(false),
            dead_end: Mutex::new(None),
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

    /// Whether the server has ever let a subscriber in.
    pub(crate) fn any_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed) > 0 || self.all_connected.load(Ordering::Relaxed)
    }

    /// Ends the run, if it has not begun to measure.
    pub(crate) fn give_up(&self, why: Option<DeadEnd>) {
        let mut dead_end = self.dead_end.lock().unwrap_or_else(PoisonError::into_inner);
        *dead_end = dead_end.take().or(why);
    }

    pub(crate) fn dead_end(&self) -> Option<DeadEnd> {
        self.dead_end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
