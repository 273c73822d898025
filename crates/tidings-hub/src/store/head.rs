use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::position::Position;

/// The head of a log, and the threads that wait for it to move: what every
/// [`Log::wait`](super::Log::wait) needs.
#[derive(Debug)]
pub struct HeadSignal {
    head: Mutex<Position>,
    moved: Condvar,
}

impl HeadSignal {
    /// A signal whose head is `head`.
    pub fn new(head: Position) -> Self {
        Self { head: Mutex::new(head), moved: Condvar::new() }
    }

    /// The current head.
    pub fn get(&self) -> Position {
        *self.lock()
    }

    /// Moves the head and wakes the waiting threads.
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
