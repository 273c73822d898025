//! What a connection is doing, so that one timer can tell the idle from the slow.
//!
//! The HTTP library has a timer for request heads, but it also runs while no request is in
//! progress, and every request creates a new one. Here no timer is set per request: requests record
//! when they began and ended, and one timer per connection reads these records every few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::limits::LINGER_MAX;

/// The records of one connection, written by its parts, read by the task that drives it.
#[derive(Debug)]
pub(crate) struct Activity {
    started: Instant,
    /// Requests whose answers are not complete.
    busy: AtomicUsize,
    /// When the last request ended or the first byte of the next one arrived, in milliseconds since
    /// the start.
    since_ms: AtomicU64,
    /// A request head has begun to arrive and is not complete.
    in_head: AtomicBool,
    /// The peer has sent its last byte.
    at_end: AtomicBool,
    /// A request was answered although not all of it had been read: milliseconds for which the rest
    /// of it is read; 0 if there was none.
    linger_ms: AtomicU64,
    /// The last write was incomplete: part of an answer waits in a buffer.
    write_waits: AtomicBool,
}

/// What a connection has been doing, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// At least one request is being answered.
    Request,
    /// A request head has begun to arrive.
    Head(Duration),
    /// Nothing.
    Idle(Duration),
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            busy: AtomicUsize::new(0),
            since_ms: AtomicU64::new(0),
            in_head: AtomicBool::new(false),
            at_end: AtomicBool::new(false),
            linger_ms: AtomicU64::new(0),
            write_waits: AtomicBool::new(false),
        })
    }

    /// A request's head is complete. The request is in progress until the returned guard is
    /// dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Relaxed);
        self.in_head.store(false, Relaxed);
        Busy(Arc::clone(self))
    }

    /// Records that `bytes` bytes were read; zero is the end.
    pub(crate) fn note_read(&self, bytes: usize) {
        if bytes == 0 {
            self.at_end.store(true, Relaxed);
        } else if self.busy.load(Relaxed) == 0 && !self.in_head.swap(true, Relaxed) {
            self.note_time();
        }
    }

    pub(crate) fn note_write(&self, waits: bool) {
        self.write_waits.store(waits, Relaxed);
    }

    /// A request was answered although not all of it had been read; the rest is read for `linger`.
    pub(crate) fn note_unread(&self, linger: Duration) {
        let linger_ms = linger.as_millis().try_into().unwrap_or(u64::MAX);
        self.linger_ms.store(linger_ms, Relaxed);
    }

    /// How long to read what the peer may still be sending; `None` if it sends nothing.
    pub(crate) fn linger(&self) -> Option<Duration> {
        if self.at_end.load(Relaxed) {
            return None;
        }
        match self.linger_ms.load(Relaxed) {
            0 => self.in_head.load(Relaxed).then_some(LINGER_MAX),
            linger_ms => Some(Duration::from_millis(linger_ms)),
        }
    }

    pub(crate) fn write_waits(&self) -> bool {
        self.write_waits.load(Relaxed)
    }

    pub(crate) fn doing(&self) -> Doing {
        if self.busy.load(Relaxed) > 0 {
            return Doing::Request;
        }
        let since = Duration::from_millis(self.since_ms.load(Relaxed));
        let length = self.started.elapsed().saturating_sub(since);
        if self.in_head.load(Relaxed) { Doing::Head(length) } else { Doing::Idle(length) }
    }

    fn note_time(&self) {
        let millis = self.started.elapsed().as_millis();
        self.since_ms.store(millis.try_into().unwrap_or(u64::MAX), Relaxed);
    }
}

/// A request in progress, for as long as this exists.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.busy.fetch_sub(1, Relaxed) == 1 {
            self.0.note_time();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STOP_LINGER_MAX;

    #[test]
    fn a_connection_is_idle_then_in_a_head_then_in_a_request_then_idle() {
        let activity = Activity::new();
        assert!(matches!(activity.doing(), Doing::Idle(_)));
        activity.note_read(5);
        assert!(matches!(activity.doing(), Doing::Head(_)));
        let busy = activity.begin();
        activity.note_read(5); // of the body
        assert_eq!(activity.doing(), Doing::Request);
        drop(busy);
        assert!(matches!(activity.doing(), Doing::Idle(_)));
    }

    #[test]
    fn a_peer_may_be_sending_until_it_has_ended() {
        let activity = Activity::new();
        assert_eq!(activity.linger(), None);
        activity.note_unread(STOP_LINGER_MAX);
        assert_eq!(activity.linger(), Some(STOP_LINGER_MAX));
        activity.note_read(0);
        assert_eq!(activity.linger(), None);
    }
}
