//! What the mailbox synchronizes with: the standard library, or a model of it that tries every
//! order in which threads can meet (`--cfg loom`).

#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
pub(super) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(loom)]
use std::sync::{LockResult, PoisonError};

#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};

/// The model has no time: a wait ends when its condition does.
#[cfg(loom)]
pub(super) struct Condvar(loom::sync::Condvar);

#[cfg(loom)]
impl Condvar {
    pub(super) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(super) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        _patience: std::time::Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        while condition(&mut guard) {
            guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        Ok((guard, ()))
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }
}
