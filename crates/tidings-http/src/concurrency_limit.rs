//! A limit on how many of something each client has at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::quota_key::Key;

/// The number of things that each key has at the moment, up to a maximum. Memory is bounded by the
/// things themselves: a key without any is forgotten.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    pub(crate) max: u32,
    counts: Mutex<HashMap<Key, u32>>,
}

/// One of the things that a [`ConcurrencyLimit`] counts, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    limit: Arc<ConcurrencyLimit>,
    key: Key,
}

impl ConcurrencyLimit {
    pub(crate) fn new(max: u32) -> Self {
        Self { max, counts: Mutex::default() }
    }

    /// Counts one more for `key`, unless it has the maximum plus `more` already. Also returns how
    /// many it then has.
    pub(crate) fn acquire(self: &Arc<Self>, key: Key, more: u32) -> Option<(Permit, u32)> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_insert(0);
        if *count >= self.max.saturating_add(more) {
            return None;
        }
        *count += 1;
        Some((Permit { limit: Arc::clone(self), key }, *count))
    }

    /// The same where there may be no limit, or no key is known. `None` if the limit is reached.
    pub(crate) fn acquire_if(
        limit: Option<&Arc<Self>>,
        key: Option<Key>,
    ) -> Option<Option<Permit>> {
        match limit.zip(key) {
            Some((limit, key)) => limit.acquire(key, 0).map(|(permit, _)| Some(permit)),
            None => Some(None),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.limit.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn permits_are_given_up_to_the_maximum_and_given_back() {
        let limit = Arc::new(ConcurrencyLimit::new(2));
        let first = limit.acquire(7, 0).unwrap();
        let second = limit.acquire(7, 0).unwrap();
        assert_eq!((first.1, second.1), (1, 2));
        assert!(limit.acquire(7, 0).is_none());
        assert!(limit.acquire(8, 0).is_some(), "another key is not affected");
        assert_eq!(limit.acquire(7, 1).map(|(_, count)| count), Some(3));
        drop(first);
        assert!(limit.acquire(7, 0).is_some());
        drop(second);
        assert!(limit.counts.lock().unwrap().is_empty(), "a key that holds nothing is forgotten");
    }
}
