use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::counts::ReceiverCounts;
use super::fact::Fact;
use super::queue::{Batch, Queue};
use super::receiver::NotifyReceiver;

/// A receiver, with what it is yet to be told.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) receiver: NotifyReceiver,
    pub(super) counts: ReceiverCounts,
    queue: Mutex<Queue>,
    /// Rung by every fact, and by the end.
    bell: Notify,
}

impl Outbox {
    pub(super) fn new(receiver: NotifyReceiver) -> Self {
        let queue = Mutex::new(Queue::new());
        Self { receiver, counts: ReceiverCounts::default(), queue, bell: Notify::new() }
    }

    /// Adds a fact. Short: it also runs on the threads that serve subscribers.
    pub(super) fn push(&self, fact: Fact) {
        if self.counts.is_off() {
            return;
        }
        let lost = self.queue().push(fact);
        if lost > 0 && self.counts.lost.fetch_add(lost, Ordering::Relaxed) == 0 {
            let receiver = self.receiver.place();
            tracing::error!(
                receiver,
                "the receiver is too slow or away: the oldest of what it was to be told is lost"
            );
        }
        self.bell.notify_one();
    }

    /// What is to be told next, if anything.
    pub(super) fn next(&self) -> Option<Batch> {
        self.queue().next()
    }

    /// Waits until something may have been added.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    pub(super) fn accepted(&self) {
        self.queue().accepted();
    }

    pub(super) fn dropped(&self, batch: &Batch) {
        let lost = self.queue().dropped(batch);
        self.counts.lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// Tells nothing any more.
    pub(super) fn turn_off(&self) {
        self.counts.is_off.store(true, Ordering::Relaxed);
        self.queue().clear();
    }

    /// Number of facts that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue().len()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
