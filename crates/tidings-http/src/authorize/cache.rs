//! Answers, by what was asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outcome::Granted;
use super::question::QuestionKey;
use crate::limits::{AUTHORIZE_GRANTS_KEPT_MAX, AUTHORIZE_REFUSALS_KEPT_MAX};

/// Answers of all rules. Refusals are apart: invented credentials must not displace grants.
#[derive(Debug)]
pub(super) struct Cache {
    grants: Generations<Kept>,
    /// Each with the moment at which it is forgotten.
    refusals: Generations<Instant>,
}

#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) granted: Arc<Granted>,
    /// When it is asked again.
    pub(super) fresh_until: Instant,
    /// When the answer is no longer good.
    pub(super) good_until: Instant,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            grants: Generations::new(AUTHORIZE_GRANTS_KEPT_MAX),
            refusals: Generations::new(AUTHORIZE_REFUSALS_KEPT_MAX),
        }
    }
}

impl Cache {
    /// The grant that was last given, however old.
    pub(super) fn grant(&mut self, key: &QuestionKey) -> Option<Kept> {
        self.grants.get(key)
    }

    pub(super) fn is_refused(&mut self, key: &QuestionKey, now: Instant) -> bool {
        self.refusals.get(key).is_some_and(|until| now < until)
    }

    pub(super) fn keep_grant(
        &mut self,
        key: QuestionKey,
        granted: Arc<Granted>,
        fresh: Duration,
        now: Instant,
    ) {
        let (fresh_until, good_until) = (now + fresh, now + granted.good_for);
        self.grants.insert(key, Kept { granted, fresh_until, good_until });
        self.refusals.remove(&key);
    }

    pub(super) fn keep_refusal(&mut self, key: QuestionKey, fresh: Duration, now: Instant) {
        self.grants.remove(&key);
        self.refusals.insert(key, now + fresh);
    }
}

/// A map of at most `max` entries. When the younger half is full, the older half is dropped; what
/// is used moves to the younger. So what is used stays, and nothing is walked through.
#[derive(Debug)]
struct Generations<V> {
    young: HashMap<QuestionKey, V>,
    old: HashMap<QuestionKey, V>,
    half: usize,
}

impl<V: Clone> Generations<V> {
    fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: max / 2 }
    }

    fn get(&mut self, key: &QuestionKey) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let value = self.old.remove(key)?;
        self.insert(*key, value.clone());
        Some(value)
    }

    fn insert(&mut self, key: QuestionKey, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: &QuestionKey) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_grow_forever_and_what_is_used_stays() {
        let key = QuestionKey::numbered;
        let mut map = Generations::new(100);
        for number in 0..1000 {
            map.insert(key(number), number);
            assert_eq!(map.get(&key(0)), Some(0), "{number}");
            assert!(map.young.len() + map.old.len() <= 100);
        }
        assert_eq!(map.get(&key(999)), Some(999));
        assert_eq!(map.get(&key(1)), None);
    }
}
