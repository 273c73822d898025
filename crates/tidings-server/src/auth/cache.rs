use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_hub::{Grant, Timestamp};

use crate::limits::TOKENS_KEPT_MAX;

/// Tokens that were found good, so that a publisher who sends the same one with every event pays
/// for its signature once.
///
/// Only good tokens are kept, so nobody without one can fill this. What the clock can change is
/// looked at every time.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    grants: Mutex<HashMap<Box<str>, Arc<Grant>>>,
}

impl TokenCache {
    /// What `token` grants, if it is known and has not expired.
    pub(crate) fn get(&self, token: &str, now: Timestamp) -> Option<Arc<Grant>> {
        let grant = self.lock().get(token).cloned()?;
        grant.expires.is_none_or(|end| now < end).then_some(grant)
    }

    /// Keeps a good token.
    pub(crate) fn keep(&self, token: &str, grant: &Arc<Grant>) {
        let mut grants = self.lock();
        // Beginning anew now and then is cheaper than remembering who was here last.
        if grants.len() >= TOKENS_KEPT_MAX {
            grants.clear();
        }
        grants.insert(token.into(), Arc::clone(grant));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Grant>>> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(expires_ms: u64) -> Arc<Grant> {
        let expires = Some(Timestamp::from_millis(expires_ms));
        Arc::new(Grant { expires, ..Grant::everything() })
    }

    #[test]
    fn a_token_is_forgotten_when_it_expires() {
        let cache = TokenCache::default();
        cache.keep("a", &grant(1000));
        assert!(cache.get("a", Timestamp::from_millis(999)).is_some());
        assert!(cache.get("a", Timestamp::from_millis(1000)).is_none());
        assert!(cache.get("b", Timestamp::from_millis(0)).is_none());
    }

    #[test]
    fn the_cache_does_not_grow_for_ever() {
        let cache = TokenCache::default();
        for number in 0..3 * TOKENS_KEPT_MAX {
            cache.keep(&number.to_string(), &grant(1));
        }
        assert!(cache.lock().len() <= TOKENS_KEPT_MAX);
    }
}
