//! Follows the store's tail, encodes each record once, and posts it to every worker.
//!
//! This is the only way an event reaches subscribers, even if it was published a moment ago on the
//! same machine: so there is one order everywhere, and nothing is delivered that is not in the log.
//!
//! Without subscribers and polls there is nothing to read or encode, and waking threads for each
//! batch would only slow down publishers. Then the fan-out checks the log from time to time, and
//! tells the workers how far it got. A subscriber that arrives between two checks finds a gap where
//! these records were, and reads the log.
//!
//! # Who takes a step
//!
//! Handing each commit to another thread costs two switches of threads, and the worker wakes up
//! later. So where only the committer appends, it takes the step itself, once its publishers
//! have their answers ([`Fanout::lead`]). The thread sees that it is led, and rests. It takes the
//! steps that the committer leaves to it: large ones, those that wait for a worker whose mailbox is
//! full, all of a log that hubs share, and whatever was left over when it looks again
//! ([`LED_NAP`]). Each step holds the lock of the tail; a committer that finds it taken sets a flag
//! that the thread looks at after it has let go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::Duration;

use tidings_hub::{Log, Mark, Position, ReadError, with_causes};
use tokio::sync::watch;

use crate::counters::Counters;
use crate::forgetting::Forgetting;
use crate::frames::next_batch;
use crate::limits::{LED_NAP, LED_RECORDS_MAX, MAILBOX_PATIENCE, TAIL_PATIENCE, UNHEARD_NAP};
use crate::mailbox::Mailbox;
use crate::recent::Recent;

/// What is read, and where it goes.
pub(crate) struct Ends<'a> {
    pub(crate) store: &'a dyn Log,
    pub(crate) mailboxes: &'a [Arc<Mailbox>],
    pub(crate) recent: &'a Recent,
    pub(crate) forgetting: &'a Forgetting,
    pub(crate) head: &'a watch::Sender<Position>,
    pub(crate) counters: &'a Counters,
    pub(crate) stopping: &'a AtomicBool,
}

/// How far the log was fanned out.
pub(crate) struct Fanout {
    tail: Mutex<Tail>,
    /// The committer has taken a step since the thread last looked.
    is_led: AtomicBool,
    /// A step was left to the thread.
    is_left: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

struct Tail {
    after: Position,
    /// Workers whose mailboxes were full: the next batches are offered to them without waiting,
    /// until there is room.
    left_behind: Vec<bool>,
    is_failing: bool,
}

impl Fanout {
    pub(crate) fn new(after: Position, workers: usize) -> Self {
        let tail = Tail { after, left_behind: vec![false; workers], is_failing: false };
        Self {
            tail: Mutex::new(tail),
            is_led: AtomicBool::new(false),
            is_left: AtomicBool::new(false),
            thread: Mutex::default(),
        }
    }

    /// Fans out what the committer has just appended, if that can be done without waiting; else
    /// leaves it to the thread.
    pub(crate) fn lead(&self, on: &Ends<'_>) {
        if !on.is_heard() || on.store.shared().is_some() {
            return;
        }
        let tail = self.try_lock().or_else(|| {
            // Whoever holds it looks at the flag afterwards, unless it has let go by now.
            self.is_left.store(true, Ordering::SeqCst);
            self.try_lock()
        });
        let Some(mut tail) = tail else { return };
        let is_small = on.store.bounds().head.get() <= tail.after.get() + LED_RECORDS_MAX;
        if is_small && on.mailboxes.iter().all(|mailbox| mailbox.is_roomy()) {
            self.is_led.store(true, Ordering::Relaxed);
            tail.step(on, Duration::ZERO);
        } else {
            self.is_left.store(true, Ordering::SeqCst);
            if let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner) {
                thread.unpark();
            }
        }
    }

    /// The thread: follows the tail of the store until it is stopped.
    pub(crate) fn run(&self, on: &Ends<'_>) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current());
        while !on.stopping.load(Ordering::Acquire) {
            let after = self.lock().after;
            on.forgetting.passed(after, on.recent, on.mailboxes);
            if on.store.wait(after, TAIL_PATIENCE) <= after {
                continue;
            }
            if !on.is_heard() {
                std::thread::sleep(UNHEARD_NAP);
                self.lock().pass_unheard(on);
                continue;
            }
            let is_led = self.is_led.swap(false, Ordering::Relaxed);
            if is_led && !self.is_left.swap(false, Ordering::SeqCst) {
                std::thread::park_timeout(LED_NAP);
                // If the committer has got further, it is at it still.
                if !self.is_left.swap(false, Ordering::SeqCst) && self.lock().after > after {
                    continue;
                }
            }
            let has_failed = self.lock().step(on, MAILBOX_PATIENCE);
            if has_failed {
                std::thread::sleep(TAIL_PATIENCE);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Tail>> {
        match self.tail.try_lock() {
            Ok(tail) => Some(tail),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Ends<'_> {
    /// Whether anybody listens.
    fn is_heard(&self) -> bool {
        self.counters.subscribers() > 0 || self.head.receiver_count() > 0
    }
}

impl Tail {
    /// Nobody has listened for a moment: what was appended is passed over, unless it was asked for.
    fn pass_unheard(&mut self, on: &Ends<'_>) {
        if on.recent.was_asked() {
            self.step(on, MAILBOX_PATIENCE);
            return;
        }
        self.after = on.store.bounds().head;
        let mark: Mark = on.store.mark(self.after).unwrap_or(self.after.into());
        for mailbox in on.mailboxes {
            mailbox.post_gap(mark);
        }
        on.head.send_replace(self.after);
    }

    /// Gives the next page of records to all workers, and waits up to `patience` for each that has
    /// no room. Returns whether the log could not be read.
    fn step(&mut self, on: &Ends<'_>, patience: Duration) -> bool {
        let head = on.store.bounds().head;
        if head <= self.after {
            return false;
        }
        let batch = match next_batch(on.store, self.after, head) {
            Ok(batch) => {
                self.is_failing = false;
                Arc::new(batch)
            }
            Err(ReadError::Expired { lost, .. }) => {
                // Retention has dropped records. Workers see that the next batch does not begin
                // where the last one ended, and read the log themselves.
                self.after = lost;
                return false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let reason = with_causes(&error);
                    tracing::error!(
                        reason,
                        "the store's tail cannot be read; it will be tried again"
                    );
                }
                return true;
            }
        };
        let bytes = batch.frames.iter().map(|frame| frame.record().cost()).sum();
        on.recent.push(&batch, bytes);
        for (mailbox, left_behind) in on.mailboxes.iter().zip(&mut self.left_behind) {
            let patience = if *left_behind { Duration::ZERO } else { patience };
            *left_behind = !mailbox.post_frames(&batch, bytes, patience);
        }
        self.after = batch.upto.position;
        on.head.send_replace(self.after);
        false
    }
}

#[cfg(test)]
mod tests;
