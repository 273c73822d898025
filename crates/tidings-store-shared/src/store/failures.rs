//! What is wrong with the log at the moment.
//!
//! A hub appends to the log and follows it over connections of their own. Either can fail while the
//! other one goes on, so that it goes on says nothing about the one that failed: if it did, a hub
//! of which one connection is lost would be well and ill in turns, and never ill for long enough.

use std::time::{Duration, Instant};

use tidings_hub::AppendError;

use crate::limits::APPEND_FAILED_FOR;

/// What the hub could not do, and since when.
#[derive(Debug, Default)]
pub(super) struct Failures {
    appending: Option<Failure>,
    following: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    error: AppendError,
    since: Instant,
    /// When it failed last.
    last: Instant,
}

impl Failures {
    /// What is wrong, a final failure before others, and since when anything is.
    pub(super) fn current(&self) -> Option<(AppendError, Instant)> {
        let both = || self.appending.iter().chain(&self.following);
        let failure = both().find(|failure| failure.error.is_final()).or_else(|| both().next())?;
        let since = both().map(|failure| failure.since).min()?;
        Some((failure.error.clone(), since))
    }

    /// Notes how an append ended at `now`.
    pub(super) fn note_appended<T>(&mut self, outcome: &Result<T, AppendError>, now: Instant) {
        match outcome {
            Ok(_) => self.note_that_events_are_taken(),
            Err(error) if note(&mut self.appending, error, now) => {
                let reason = tidings_hub::with_causes(error);
                tracing::error!(reason, "the shared log takes no events");
            }
            Err(_) => {}
        }
    }

    /// Notes how following ended at `now`. As not every hub has publishers, a hub that follows
    /// counts as one that can append, too, once no append has failed for a while.
    pub(super) fn note_followed<T>(&mut self, outcome: &Result<T, AppendError>, now: Instant) {
        match outcome {
            Ok(_) => {
                if self.following.take().is_some() {
                    tracing::info!("the shared log is followed again");
                }
                let long_ago = |failure: &Failure| now - failure.last >= APPEND_FAILED_FOR;
                if self.appending.as_ref().is_some_and(long_ago) {
                    self.note_that_events_are_taken();
                }
            }
            Err(error) if note(&mut self.following, error, now) => {
                let reason = tidings_hub::with_causes(error);
                tracing::error!(reason, "the shared log cannot be followed");
            }
            Err(_) => {}
        }
    }

    fn note_that_events_are_taken(&mut self) {
        if self.appending.take().is_some() {
            tracing::info!("the shared log takes events again");
        }
    }
}

/// Notes what went wrong. Returns whether it is new.
fn note(failure: &mut Option<Failure>, error: &AppendError, now: Instant) -> bool {
    // That is no failure of the log.
    if matches!(
        error,
        AppendError::TooLarge { .. } | AppendError::Away { retry: Duration::ZERO, .. }
    ) {
        return false;
    }
    let since = failure.as_ref().map(|failure| failure.since);
    *failure = Some(Failure { error: error.clone(), since: since.unwrap_or(now), last: now });
    since.is_none()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::limits::AWAY_RETRY;

    type Outcome = Result<(), AppendError>;

    fn away() -> Outcome {
        Err(AppendError::Away { retry: AWAY_RETRY, source: Arc::new(io::Error::other("away")) })
    }

    fn poisoned() -> Outcome {
        Err(AppendError::Poisoned { source: Arc::new(io::Error::other("another log")) })
    }

    #[test]
    fn either_half_that_goes_on_does_not_hide_that_the_other_one_has_failed() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let mut failures = Failures::default();
        for step in 0..20 {
            failures.note_followed(&away(), at(step * 250));
            failures.note_appended(&Ok(()), at(step * 250 + 100));
            assert_eq!(failures.current().map(|(_, since)| since), Some(began));
        }
        failures.note_followed(&Ok(()), at(5_000));
        assert!(failures.current().is_none());
        for step in 24..40 {
            failures.note_appended(&away(), at(step * 250));
            failures.note_followed(&Ok(()), at(step * 250 + 100));
            assert_eq!(failures.current().map(|(_, since)| since), Some(at(6_000)));
        }
    }

    #[test]
    fn a_hub_without_publishers_is_well_again_when_it_follows() {
        let began = Instant::now();
        let mut failures = Failures::default();
        failures.note_appended(&away(), began);
        let just_before = began + APPEND_FAILED_FOR - Duration::from_millis(1);
        failures.note_followed(&Ok(()), just_before);
        assert!(failures.current().is_some());
        failures.note_followed(&Ok(()), began + APPEND_FAILED_FOR);
        assert!(failures.current().is_none());
    }

    #[test]
    fn a_final_failure_is_named_before_one_that_passes() {
        let mut failures = Failures::default();
        failures.note_appended(&away(), Instant::now());
        failures.note_followed(&poisoned(), Instant::now());
        assert!(failures.current().is_some_and(|(error, _)| error.is_final()));
    }

    #[test]
    fn an_event_that_is_too_large_is_no_failure_of_the_log() {
        let mut failures = Failures::default();
        let too_large: Outcome = Err(AppendError::TooLarge { bytes: 2, bytes_max: 1 });
        failures.note_appended(&too_large, Instant::now());
        assert!(failures.current().is_none());
    }
}
