//! Number of different topics in the log.
//!
//! Segments know their topics, but not which of them other segments have too. So every topic is
//! counted once for the whole log, by a hash of its name, with the newest segment that has it: when
//! that segment is dropped, so is the topic. Topics that were in the log when it was opened are
//! counted by the background thread, so that opening takes no longer; until that is done, the count
//! is too low.
//!
//! Two names with the same 64-bit hash count as one. With a million names that happens once in
//! thirty million logs, and each process uses a different seed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tidings_hub::{Position, Topic};

/// It takes 17 bytes per topic, and up to twice that when the table has just grown.
#[derive(Default)]
pub(crate) struct TopicCount {
    /// By hash of the topic: first position of the newest segment that has it.
    newest: Mutex<HashMap<u64, Position, Hashed>>,
    count: AtomicUsize,
    seed: RandomState,
}

impl TopicCount {
    /// Adds the topics of the segment that begins at `first`.
    pub(crate) fn add<'a>(&self, topics: impl IntoIterator<Item = &'a Topic>, first: Position) {
        let mut newest = self.lock();
        for topic in topics {
            let segment = newest.entry(self.hash(topic)).or_insert(first);
            *segment = first.max(*segment);
        }
        self.count.store(newest.len(), Ordering::Relaxed);
    }

    /// Removes the topics of the segment that begins at `first`, except those that a newer segment
    /// has too.
    pub(crate) fn remove<'a>(&self, topics: impl IntoIterator<Item = &'a Topic>, first: Position) {
        let mut newest = self.lock();
        for topic in topics {
            if let Entry::Occupied(entry) = newest.entry(self.hash(topic))
                && *entry.get() == first
            {
                entry.remove();
            }
        }
        self.count.store(newest.len(), Ordering::Relaxed);
        if newest.capacity() / 4 > newest.len() {
            let room = newest.len() * 2;
            newest.shrink_to(room);
        }
    }

    /// Whether `topic` is counted with the segment that begins at `first`.
    pub(crate) fn is_with(&self, topic: &Topic, first: Position) -> bool {
        self.lock().get(&self.hash(topic)) == Some(&first)
    }

    /// Counts `topic` with another segment than the one that begins at `from`, if it was counted
    /// with that one; without another, no longer.
    pub(crate) fn move_on(&self, topic: &Topic, from: Position, to: Option<Position>) {
        let mut newest = self.lock();
        if let Entry::Occupied(mut entry) = newest.entry(self.hash(topic))
            && *entry.get() == from
        {
            match to {
                Some(to) => *entry.get_mut() = to,
                None => {
                    entry.remove();
                }
            }
        }
        self.count.store(newest.len(), Ordering::Relaxed);
    }

    /// Number of topics.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether this is one of them.
    pub(crate) fn has(&self, topic: &Topic) -> bool {
        self.lock().contains_key(&self.hash(topic))
    }

    fn hash(&self, topic: &Topic) -> u64 {
        self.seed.hash_one(topic.as_str())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Position, Hashed>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys are hashes already.
#[derive(Clone, Default)]
struct Hashed(u64);

impl BuildHasher for Hashed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_topic_counts_once_until_the_newest_segment_that_has_it_goes() {
        let [a, b, c] = ["a", "b", "c"].map(|name| Topic::new(name).unwrap());
        let [one, two] = [1, 100].map(Position::new);
        let topic_count = TopicCount::default();
        topic_count.add([&b, &c], two);
        // Older segments are counted later when a log is opened.
        topic_count.add([&a, &b], one);
        assert_eq!(topic_count.count(), 3);
        topic_count.remove([&a, &b], one);
        assert_eq!(topic_count.count(), 2);
        assert_eq!([&a, &b, &c].map(|topic| topic_count.has(topic)), [false, true, true]);
        topic_count.remove([&b, &c], two);
        assert_eq!(topic_count.count(), 0);
    }

    #[test]
    fn memory_is_given_back() {
        let topics: Vec<_> = (0..10_000).map(|n| Topic::new(n.to_string()).unwrap()).collect();
        let topic_count = TopicCount::default();
        topic_count.add(&topics, Position::new(1));
        assert_eq!(topic_count.count(), topics.len());
        topic_count.remove(&topics[10..], Position::new(1));
        assert_eq!(topic_count.count(), 10);
        assert!(topic_count.lock().capacity() < 1000);
    }
}
