//! `RetryPolicy`: decides whether, and when, to reconnect.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::Cause;

/// Decides whether, and when, to reconnect.
///
/// The default is [`Backoff`](crate::Backoff). It is called once for every lost connection and
/// every failed attempt, unless the source has ended anyway: closed, rejected, or in one-shot mode.
/// It must return at once, and its answer is final: the source adds nothing to a wait.
pub trait RetryPolicy: Send + 'static {
    /// The wait before the next attempt; `None` gives up for good.
    fn wait(&mut self, lost: &Lost<'_>) -> Option<Duration>;

    /// Whether an answer with a status other than 200 may be temporary, so that
    /// [`wait`](Self::wait) is called. By the standard none is (HTML §9.2.3).
    fn is_temporary(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let _ = (status, headers);
        false
    }
}

/// A lost connection, as a [`RetryPolicy`] sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lost<'a> {
    /// Why it was lost.
    pub cause: &'a Cause,
    /// Number of failed retries in a row. 0 for the very first attempt, and for a connection that
    /// was healthy: it brought an event, or stayed open for
    /// [`HEALTHY_AFTER`](crate::limits::HEALTHY_AFTER).
    pub retries: u32,
    /// The reconnection time the server has set with `retry:` (HTML §9.2.6), or with the
    /// `Retry-After` of this answer if that is longer. Never less
    /// than [`RECONNECTION_TIME_MIN`](crate::limits::RECONNECTION_TIME_MIN), never more than
    /// [`RECONNECTION_TIME_MAX`](crate::limits::RECONNECTION_TIME_MAX).
    pub reconnection_time: Option<Duration>,
}
