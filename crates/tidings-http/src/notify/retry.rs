//! What follows from a receiver's answer, or from none.

use std::time::Duration;

use http::StatusCode;

use crate::limits::{NOTIFY_REFUSALS_MAX, NOTIFY_RETRY_AFTER_MAX};

/// The attempts to deliver one message.
#[derive(Debug)]
pub(super) struct Attempts {
    /// The first and the longest pause between two of them.
    pauses: (Duration, Duration),
    failures: u32,
    /// Those that the receiver has refused.
    refusals: u32,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on: the message is accepted.
    Accepted,
    /// Try again after this time, without jitter.
    Again(Duration),
    /// Give the message up: its receiver cannot take it.
    Drop,
    /// Tell nothing any more: the receiver is gone for good.
    Off,
}

impl Attempts {
    pub(super) fn new(pauses: (Duration, Duration)) -> Self {
        Self { pauses, failures: 0, refusals: 0 }
    }

    /// After an answer with this status, and with this time to wait.
    pub(super) fn answered(&mut self, status: StatusCode, wait: Option<Duration>) -> Next {
        // These say that it may go better later.
        let later =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        match status {
            _ if status.is_success() => return Next::Accepted,
            StatusCode::GONE => return Next::Off,
            _ if status.is_client_error() && !later.contains(&status) => {
                self.refusals += 1;
                if self.refusals >= NOTIFY_REFUSALS_MAX {
                    return Next::Drop;
                }
            }
            _ => {}
        }
        let Next::Again(pause) = self.failed() else { return Next::Drop };
        let wait = wait.unwrap_or_default().min(NOTIFY_RETRY_AFTER_MAX);
        Next::Again(pause.max(wait))
    }

    /// After no answer.
    pub(super) fn failed(&mut self) -> Next {
        let (first, longest) = self.pauses;
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        Next::Again(pause)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::limits::NOTIFY_PAUSE;

    fn seconds(next: Next) -> u64 {
        let Next::Again(pause) = next else { panic!("{next:?}") };
        pause.as_secs()
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_longer_ones_are_heeded_up_to_five() {
        let mut attempts = Attempts::new(NOTIFY_PAUSE);
        let pauses: Vec<_> = (0..8).map(|_| seconds(attempts.failed())).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        for (wait, pause) in [(0, 60), (59, 60), (100, 100), (1_000_000, 300)] {
            let wait = Some(Duration::from_secs(wait));
            let next = attempts.answered(StatusCode::SERVICE_UNAVAILABLE, wait);
            assert_eq!(seconds(next), pause);
        }
    }

    #[test]
    fn a_message_is_given_up_after_ten_refusals_and_never_for_a_receiver_that_fails() {
        let mut attempts = Attempts::new(NOTIFY_PAUSE);
        for _ in 0..100 {
            for status in [200, 204] {
                let status = StatusCode::from_u16(status).unwrap();
                assert_eq!(Attempts::new(NOTIFY_PAUSE).answered(status, None), Next::Accepted);
            }
            for status in [302, 408, 425, 429, 500, 503] {
                let status = StatusCode::from_u16(status).unwrap();
                assert!(matches!(attempts.answered(status, None), Next::Again(_)), "{status}");
            }
        }
        for _ in 1..NOTIFY_REFUSALS_MAX {
            assert!(matches!(attempts.answered(StatusCode::BAD_REQUEST, None), Next::Again(_)));
        }
        assert_eq!(attempts.answered(StatusCode::UNAUTHORIZED, None), Next::Drop);
        assert_eq!(Attempts::new(NOTIFY_PAUSE).answered(StatusCode::GONE, None), Next::Off);
    }
}
