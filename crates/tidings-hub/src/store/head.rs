use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::position::Position;

/// The head of a log, and those who wait for it to move. What every
/// [`Log::wait`](super::Log::wait) needs.
#[derive(Debug)]
pub struct HeadSignal {
    head: Mutex<Position>,
    moved: Condvar,
}

impl HeadSignal {
    /// The head stands at `head`.
    pub fn new(head: Position) -> Self {
        Self { head: Mutex::new(head), moved: Condvar::new() }
    }

    /// Where the head is.
    pub fn get(&self) -> Position {
        *self.lock()
    }

    /// Moves the head and wakes who waits.
    pub fn advance(&self, head: Position) {
        *self.lock() = head;
        self.moved.notify_all();
    }

    /// See [`Log::wait`](super::Log::wait).
    pub fn wait(&self, after: Position, timeout: Duration) -> Position {
        let guard = self
            .moved
            .wait_timeout_while(self.lock(), timeout, |head| *head <= after)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard);
        *guard
    }

    fn lock(&self) -> MutexGuard<'_, Position> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
