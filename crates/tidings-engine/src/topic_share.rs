use std::collections::{HashSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidings_hub::Topic;

use crate::limits::TOPIC_SHARE_LOOKS_MAX;

/// A bound on the topics that some publishers begin together.
///
/// It counts the topics that they were the first to publish to, as long as these have events. What
/// was begun before the share was made is not counted. A share belongs to one engine.
///
/// Only the committer changes it, one batch after the other, so that publishers at the same time
/// begin no more topics than they may.
#[derive(Debug)]
pub struct TopicShare {
    topics_max: usize,
    begun: Mutex<Begun>,
}

/// At most as many topics as there may be.
#[derive(Debug, Default)]
struct Begun {
    topics: HashSet<Topic>,
    /// The same topics; in front stands the one that was not looked at for the longest.
    order: VecDeque<Topic>,
}

impl TopicShare {
    /// A share of at most `topics_max` topics.
    pub fn new(topics_max: NonZeroU32) -> Self {
        let topics_max = usize::try_from(topics_max.get()).unwrap_or(usize::MAX);
        Self { topics_max, begun: Mutex::default() }
    }

    /// The bound.
    pub fn topics_max(&self) -> usize {
        self.topics_max
    }

    /// Counts `topic`, which has no events yet, unless there is no room for it. Where the share is
    /// full, some of its topics are looked up: those that are no longer there give their place.
    pub(crate) fn begin(&self, topic: &Topic, is_there: impl Fn(&Topic) -> bool) -> bool {
        let mut begun = self.lock();
        if begun.topics.contains(topic) {
            return true;
        }
        if begun.topics.len() >= self.topics_max {
            begun.forget_gone(is_there);
        }
        if begun.topics.len() >= self.topics_max {
            return false;
        }
        begun.topics.insert(topic.clone());
        begun.order.push_back(topic.clone());
        true
    }

    /// Takes back what was counted last, as it is not published after all.
    pub(crate) fn take_back(&self, topic: &Topic) {
        let mut begun = self.lock();
        if begun.order.back() == Some(topic) {
            begun.order.pop_back();
            begun.topics.remove(topic);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// Looks up a bounded number of topics, for the committer must not be kept long by a publisher
    /// that tries again and again.
    fn forget_gone(&mut self, is_there: impl Fn(&Topic) -> bool) {
        for _ in 0..self.order.len().min(TOPIC_SHARE_LOOKS_MAX) {
            let Some(topic) = self.order.pop_front() else { return };
            if is_there(&topic) {
                self.order.push_back(topic);
            } else {
                self.topics.remove(&topic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::new(name).unwrap()
    }

    fn share(topics_max: u32) -> TopicShare {
        TopicShare::new(NonZeroU32::new(topics_max).unwrap())
    }

    #[test]
    fn a_topic_that_is_gone_gives_its_place_to_another() {
        let share = share(2);
        assert!(share.begin(&topic("a"), |_| true));
        assert!(share.begin(&topic("b"), |_| true));
        assert!(!share.begin(&topic("c"), |_| true));
        assert!(share.begin(&topic("a"), |_| false), "it is counted already");
        assert!(share.begin(&topic("c"), |there| there.as_str() != "a"));
        assert!(!share.begin(&topic("a"), |_| true));
    }

    #[test]
    fn what_is_taken_back_leaves_its_place() {
        let share = share(1);
        assert!(share.begin(&topic("a"), |_| true));
        share.take_back(&topic("a"));
        assert!(share.begin(&topic("b"), |_| true));
    }

    #[test]
    fn one_try_at_a_full_share_looks_up_a_bounded_number_of_topics() {
        let max = TOPIC_SHARE_LOOKS_MAX as u32 + 1;
        let share = share(max);
        for number in 0..max {
            assert!(share.begin(&topic(&number.to_string()), |_| true));
        }
        let looks = std::cell::Cell::new(0);
        let last_is_gone = |topic: &Topic| {
            looks.set(looks.get() + 1);
            topic.as_str() != (max - 1).to_string()
        };
        assert!(!share.begin(&topic("new"), last_is_gone));
        assert_eq!(looks.get(), TOPIC_SHARE_LOOKS_MAX);
        assert!(share.begin(&topic("new"), last_is_gone), "the next try looks further");
    }
}
