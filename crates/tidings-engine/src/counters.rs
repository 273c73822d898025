//! Counters of the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tidings_hub::{CloseReason, ResetReason};
use tokio::sync::Notify;

use crate::rejection::Rejection;
use crate::search::Label;
use crate::timings::Timings;

/// Shared by all workers. Written by a worker once per write at most.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    subscribers: AtomicUsize,
    /// Those that workers serve: sockets, bodies.
    sinks: [AtomicUsize; 2],
    draining: AtomicBool,
    /// The last subscriber left.
    emptied: Notify,
    bytes_written: AtomicU64,
    writes: AtomicU64,
    deliveries: AtomicU64,
    pub(crate) timings: Timings,
    closed: [AtomicU64; CloseReason::ALL.len()],
    erased: AtomicU64,
    resets: [AtomicU64; ResetReason::ALL.len()],
}

impl Counters {
    /// Counts a subscriber in, if there is room for it.
    pub(crate) fn admit(self: &Arc<Self>, subscribers_max: usize) -> Result<Permit, Rejection> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Rejection::Draining);
        }
        let admitted =
            self.subscribers.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count < subscribers_max).then_some(count + 1)
            });
        match admitted {
            Ok(_) => Ok(Permit { counters: Arc::clone(self), kept: None }),
            Err(_) => Err(Rejection::AtCapacity),
        }
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Acquire)
    }

    /// A worker serves one more, by its socket if `direct`.
    pub(crate) fn attached(&self, direct: bool) {
        self.sinks[usize::from(!direct)].fetch_add(1, Ordering::Relaxed);
    }

    /// A worker serves one less.
    pub(crate) fn left(&self, direct: bool) {
        self.sinks[usize::from(!direct)].fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn sinks(&self) -> [usize; 2] {
        self.sinks.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Returns when nobody is subscribed.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.subscribers() == 0 {
                return;
            }
            emptied.await;
        }
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts events that a worker's subscribers got.
    pub(crate) fn delivered(&self, events: u64) {
        self.deliveries.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries.load(Ordering::Relaxed)
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    pub(crate) fn closed(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// This many events were erased.
    pub(crate) fn erased(&self, events: u64) {
        self.erased.fetch_add(events, Ordering::Relaxed);
    }

    /// How many were.
    pub(crate) fn erased_events(&self) -> u64 {
        self.erased.load(Ordering::Relaxed)
    }

    /// A subscriber could not continue where it asked to.
    pub(crate) fn was_reset(&self, reason: ResetReason) {
        self.resets[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many could not, for each reason.
    pub(crate) fn resets(&self) -> [(ResetReason, u64); ResetReason::ALL.len()] {
        ResetReason::ALL
            .map(|reason| (reason, self.resets[reason as usize].load(Ordering::Relaxed)))
    }

    /// How many subscribers were closed for each reason.
    pub(crate) fn closes(&self) -> Vec<(CloseReason, u64)> {
        let count = |reason: CloseReason| self.closed[reason as usize].load(Ordering::Relaxed);
        CloseReason::ALL.into_iter().map(|reason| (reason, count(reason))).collect()
    }
}

/// A subscriber's place; dropping it makes room for another.
pub(crate) struct Permit {
    counters: Arc<Counters>,
    /// What the subscription's opener wants kept as long as the subscriber is there; not every
    /// subscriber has any, so it is boxed to one pointer.
    kept: Option<Box<Kept>>,
}

#[derive(Default)]
struct Kept {
    guards: Vec<Box<dyn Send>>,
    label: Option<Arc<dyn Label>>,
}

impl Permit {
    pub(crate) fn hold(&mut self, guard: impl Send + 'static) {
        self.kept.get_or_insert_default().guards.push(Box::new(guard));
    }

    pub(crate) fn set_label(&mut self, label: Arc<dyn Label>) {
        self.kept.get_or_insert_default().label = Some(label);
    }

    pub(crate) fn label(&self) -> Option<&Arc<dyn Label>> {
        self.kept.as_ref()?.label.as_ref()
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.counters.subscribers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.counters.emptied.notify_waiters();
        }
    }
}
