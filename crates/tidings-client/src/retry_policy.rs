//! `RetryPolicy`: who decides whether, and when, a lost connection is made again.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::Cause;

/// Decides whether, and when, a lost connection is made again.
///
/// The default is [`Backoff`](crate::Backoff). A policy is asked once for every connection that is
/// lost and every attempt that fails, unless the source is over anyway: closed, refused, or in
/// one-shot mode. It must answer at once, and its word is final: the source adds nothing to a wait.
pub trait RetryPolicy: Send + 'static {
    /// How long to wait before the next attempt. None: give up for good.
    fn wait(&mut self, lost: &Lost<'_>) -> Option<Duration>;

    /// Whether an answer with a status other than 200 may be temporary, so that
    /// [`wait`](Self::wait) shall be asked. By the standard none is (HTML §9.2.3).
    fn is_temporary(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let _ = (status, headers);
        false
    }
}

/// What a [`RetryPolicy`] knows of a lost connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lost<'a> {
    /// Why it was lost.
    pub cause: &'a Cause,
    /// How often in a row it has been tried again in vain. 0 for the first attempt of all, and for
    /// a connection that had been healthy: it brought an event, or stayed open for
    /// [`HEALTHY_AFTER`](crate::limits::HEALTHY_AFTER).
    pub retries: u32,
    /// The reconnection time the server has set with `retry:` (HTML §9.2.6), or with the
    /// `Retry-After` of this answer if that is longer. Never less
    /// than [`RECONNECTION_TIME_MIN`](crate::limits::RECONNECTION_TIME_MIN), never more than
    /// [`RECONNECTION_TIME_MAX`](crate::limits::RECONNECTION_TIME_MAX).
    pub reconnection_time: Option<Duration>,
}
