//! Whether the log takes events, and if not, why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tidings_hub::{AppendError, with_causes};

use crate::limits::FAILURE_LOG_PAUSE;

/// The failure that keeps the log from taking events: that of the last attempt to write, or an
/// earlier one that is final.
#[derive(Default)]
pub(crate) struct Trouble {
    /// A copy of `state.failure.is_some()`, which is cheap to read for the appends of a healthy
    /// log.
    is_there: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failure: Option<AppendError>,
    /// Whether the last log line said that events are rejected.
    is_announced: bool,
    logged: Option<Instant>,
}

impl Trouble {
    /// Why the log takes no events; `None` if it does.
    pub(crate) fn get(&self) -> Option<AppendError> {
        if !self.is_there.load(Ordering::Acquire) {
            return None;
        }
        self.lock().failure.clone()
    }

    /// Refuses what a log whose failure is final must not do any more.
    pub(crate) fn see_not_final(&self) -> Result<(), AppendError> {
        self.get().filter(AppendError::is_final).map_or(Ok(()), Err)
    }

    /// Records why the log takes no events. Returns the reason, or an earlier one that is final.
    pub(crate) fn set(&self, error: AppendError) -> AppendError {
        let mut state = self.lock();
        if let Some(known) = state.failure.as_ref().filter(|known| known.is_final()) {
            return known.clone();
        }
        let is_news = state.failure.as_ref().is_none_or(|known| known.kind() != error.kind());
        if is_news && (error.is_final() || state.may_log()) {
            let reason = with_causes(&error);
            match error.is_final() {
                true => tracing::error!(reason, "the store failed and takes no more events"),
                false => tracing::error!(reason, "the store rejects events until this is fixed"),
            }
            state.is_announced = true;
        }
        state.failure = Some(error.clone());
        self.is_there.store(true, Ordering::Release);
        error
    }

    /// Records that the log takes events, unless its failure is final.
    pub(crate) fn clear(&self) {
        if !self.is_there.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.lock();
        if state.failure.as_ref().is_some_and(AppendError::is_final) {
            return;
        }
        state.failure = None;
        self.is_there.store(false, Ordering::Release);
        if state.is_announced {
            tracing::info!("the store takes events again");
            state.is_announced = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the last log line is old enough for another.
    fn may_log(&mut self) -> bool {
        let may = self.logged.is_none_or(|then| then.elapsed() >= FAILURE_LOG_PAUSE);
        if may {
            self.logged = Some(Instant::now());
        }
        may
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn away() -> AppendError {
        AppendError::Away { retry: Duration::ZERO, source: Arc::new(std::fmt::Error) }
    }

    #[test]
    fn a_final_failure_stays_and_any_other_can_pass() {
        let trouble = Trouble::default();
        assert!(trouble.get().is_none());
        trouble.set(away());
        trouble.set(AppendError::Full { source: Arc::new(std::fmt::Error) });
        assert_eq!(trouble.get().unwrap().kind(), "full");
        trouble.clear();
        assert!(trouble.get().is_none());
        trouble.set(AppendError::Poisoned { source: Arc::new(std::fmt::Error) });
        assert_eq!(trouble.set(away()).kind(), "poisoned");
        trouble.clear();
        assert_eq!(trouble.get().unwrap().kind(), "poisoned");
    }
}
