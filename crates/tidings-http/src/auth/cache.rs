//! Verified tokens, so that a token need not be verified with every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_hub::Timestamp;

use crate::clock;
use crate::limits::{TOKEN_KEPT, TOKENS_KEPT_MAX};

/// Verified tokens, so that a publisher that sends the same one with every event pays for its
/// signature once.
///
/// Only valid tokens are kept, so clients without one cannot fill this. Whatever depends on the
/// clock is checked every time.
#[derive(Debug)]
pub struct TokenCache<T> {
    known: Mutex<HashMap<Box<str>, Known<T>>>,
}

/// What a token grants, and until when that is known.
type Known<T> = (Arc<T>, Option<Timestamp>);

impl<T> TokenCache<T> {
    /// What `token` grants, if it is known and has not expired.
    pub fn get(&self, token: &str, now: Timestamp) -> Option<Arc<T>> {
        let (grant, until) = self.lock().get(token).cloned()?;
        until.is_none_or(|end| now < end).then_some(grant)
    }

    /// Keeps a valid token, and what it grants until `until`.
    pub fn keep(&self, token: &str, grant: &Arc<T>, until: Option<Timestamp>) {
        let mut grants = self.lock();
        // Starting over now and then is cheaper than tracking which tokens were used last.
        if grants.len() >= TOKENS_KEPT_MAX {
            grants.clear();
        }
        grants.insert(token.into(), (Arc::clone(grant), until));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Known<T>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for TokenCache<T> {
    fn default() -> Self {
        Self { known: Mutex::default() }
    }
}

/// How long a verified token that expires at `expires` is accepted without verifying it again.
pub fn until(expires: Option<Timestamp>) -> Option<Timestamp> {
    let kept = clock::now().as_millis().saturating_add(TOKEN_KEPT.as_millis() as u64);
    let kept = Timestamp::from_millis(kept);
    Some(expires.map_or(kept, |end| end.min(kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_forgotten_when_it_expires() {
        let cache = TokenCache::default();
        cache.keep("a", &Arc::new(1), Some(Timestamp::from_millis(1000)));
        assert!(cache.get("a", Timestamp::from_millis(999)).is_some());
        assert!(cache.get("a", Timestamp::from_millis(1000)).is_none());
        assert!(cache.get("b", Timestamp::from_millis(0)).is_none());
    }

    #[test]
    fn the_cache_does_not_grow_forever() {
        let cache = TokenCache::default();
        for number in 0..3 * TOKENS_KEPT_MAX {
            cache.keep(&number.to_string(), &Arc::new(1), None);
        }
        assert!(cache.lock().len() <= TOKENS_KEPT_MAX);
    }
}
