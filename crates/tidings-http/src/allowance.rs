//! The allowance of one publisher: events and bytes per second.

use std::sync::Arc;
use std::time::Duration;

use tidings_hub::Draft;

use crate::key_share::KeyShare;
use crate::quota_key::{Key, SHARED};
use crate::rate_limiter::RateLimiter;

/// One publisher's allowance: events of its token or address, bytes of its key.
#[derive(Debug)]
pub struct Allowance<'a> {
    events: Option<(&'a RateLimiter, Key)>,
    share: Option<Arc<KeyShare>>,
}

impl<'a> Allowance<'a> {
    pub(crate) fn new(
        events: Option<(&'a RateLimiter, Key)>,
        share: Option<Arc<KeyShare>>,
    ) -> Self {
        Self { events, share }
    }

    /// Takes `drafts` from the allowance. Returns the time to wait before the next one.
    pub fn charge(&self, drafts: &[Draft]) -> Duration {
        let events = self.events.map(|(rates, key)| rates.charge_now(key, drafts.len()));
        let bytes = self.bytes().map(|rates| {
            let bytes = drafts.iter().map(Draft::cost).sum();
            rates.charge_now(SHARED, bytes)
        });
        events.max(bytes).unwrap_or_default()
    }

    /// Maximum events to take at once, so that they are spread evenly.
    pub fn events_max(&self) -> usize {
        self.events.map_or(usize::MAX, |(rates, _)| rates.per_second())
    }

    /// The same for bytes.
    pub fn bytes_max(&self) -> usize {
        self.bytes().map_or(usize::MAX, RateLimiter::per_second)
    }

    fn bytes(&self) -> Option<&RateLimiter> {
        self.share.as_ref().and_then(|share| share.publish_bytes())
    }
}
