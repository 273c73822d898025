//! Whether the log takes events, and if not, why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tidings_hub::{AppendError, with_causes};

use crate::limits::FAILURE_LOG_PAUSE;

/// What keeps the log from taking events: what the last attempt to write met. One that is final
/// stays.
#[derive(Default)]
pub(crate) struct Trouble {
    /// A copy of `state.failure.is_some()`, for the appends of a log that is well.
    is_there: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failure: Option<AppendError>,
    /// The last line in the log said that events are refused.
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

    /// Notes why the log takes no events. Returns the reason, or the one that is final already.
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
                false => tracing::error!(reason, "the store refuses events until this is mended"),
            }
            state.is_announced = true;
        }
        state.failure = Some(error.clone());
        self.is_there.store(true, Ordering::Release);
        error
    }

    /// The log takes events, unless what it met is final.
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
    /// Whether the last line is old enough for another.
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
    fn what_is_final_stays_and_everything_else_can_pass() {
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
