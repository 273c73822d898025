//! From a topic to the custom matchers that match it, without asking each.
//!
//! Two things keep the number of tests low. Matchers are kept by the prefix that all their topics
//! share, so a topic is tested only against those with a prefix of its own; this takes one look-up
//! for each length that such prefixes have. And a result that took many tests is remembered for the
//! topic, until a matcher is added or removed.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use slab::Slab;

use super::{GroupId, GroupSet};
use crate::limits::{KNOWN_MATCHES_MAX, KNOWN_TESTS_MIN, KNOWN_TOPICS_MAX};
use crate::matcher::CustomMatcher;
use crate::topic::Topic;

#[derive(Debug, Default)]
pub(super) struct CustomIndex {
    entries: Slab<Entry>,
    by_matcher: HashMap<CustomMatcher, Slot, RandomState>,
    by_prefix: HashMap<Box<str>, Vec<Slot>, RandomState>,
    /// Number of prefixes by length in bytes.
    lengths: BTreeMap<usize, usize>,
    /// Results that took many tests, by topic.
    known: HashMap<Topic, Box<[Slot]>, RandomState>,
    /// Total number of slots in `known`.
    known_slots: usize,
}

/// A matcher's place in `entries`.
type Slot = u32;

#[derive(Debug)]
struct Entry {
    matcher: CustomMatcher,
    groups: GroupSet,
}

impl CustomIndex {
    pub(super) fn insert(&mut self, matcher: &CustomMatcher, group: GroupId) {
        let slot = match self.by_matcher.get(matcher) {
            Some(slot) => *slot,
            None => self.insert_matcher(matcher),
        };
        self.entries[slot as usize].groups.insert(group);
    }

    pub(super) fn remove(&mut self, matcher: &CustomMatcher, group: GroupId) {
        let Some(&slot) = self.by_matcher.get(matcher) else { return };
        let groups = &mut self.entries[slot as usize].groups;
        groups.remove(group);
        if groups.is_empty() {
            self.remove_matcher(slot);
        }
    }

    /// Calls `found` with every group that wants `topic` by one of the matchers.
    pub(super) fn find(&mut self, topic: &Topic, found: &mut impl FnMut(GroupId)) {
        if self.entries.is_empty() {
            return;
        }
        if let Some(slots) = self.known.get(topic) {
            slots.iter().for_each(|slot| self.entries[*slot as usize].groups.each(found));
            return;
        }
        let mut matching = Vec::new();
        let mut tests = 0;
        for &length in self.lengths.keys() {
            if length > topic.as_str().len() {
                break;
            }
            let prefix = topic.as_str().get(..length);
            let slots = prefix.and_then(|prefix| self.by_prefix.get(prefix));
            for &slot in slots.into_iter().flatten() {
                tests += 1;
                if self.entries[slot as usize].matcher.test().matches(topic.as_str()) {
                    matching.push(slot);
                }
            }
        }
        matching.iter().for_each(|slot| self.entries[*slot as usize].groups.each(found));
        if tests >= KNOWN_TESTS_MIN {
            self.remember(topic, matching);
        }
    }

    /// Whether there are no matchers.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.by_matcher.is_empty()
            && self.by_prefix.is_empty()
            && self.lengths.is_empty()
            && self.known.is_empty()
    }

    fn remember(&mut self, topic: &Topic, matching: Vec<Slot>) {
        // Starting over now and then is cheaper than tracking which topics were used last.
        if self.known.len() >= KNOWN_TOPICS_MAX
            || self.known_slots + matching.len() > KNOWN_MATCHES_MAX
        {
            self.forget();
        }
        if matching.len() <= KNOWN_MATCHES_MAX {
            self.known_slots += matching.len();
            self.known.insert(topic.clone(), matching.into());
        }
    }

    fn forget(&mut self) {
        self.known = HashMap::default();
        self.known_slots = 0;
    }

    fn insert_matcher(&mut self, matcher: &CustomMatcher) -> Slot {
        self.forget();
        let entry = Entry { matcher: matcher.clone(), groups: GroupSet::None };
        let slot = self.entries.insert(entry) as Slot;
        self.by_matcher.insert(matcher.clone(), slot);
        let prefix = matcher.test().literal_prefix();
        let slots = self.by_prefix.entry(prefix.into()).or_default();
        if slots.is_empty() {
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        slots.push(slot);
        slot
    }

    fn remove_matcher(&mut self, slot: Slot) {
        self.forget();
        let matcher = self.entries.remove(slot as usize).matcher;
        self.by_matcher.remove(&matcher);
        let prefix = matcher.test().literal_prefix();
        let Some(slots) = self.by_prefix.get_mut(prefix) else { return };
        slots.retain(|other| *other != slot);
        if !slots.is_empty() {
            return;
        }
        self.by_prefix.remove(prefix);
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::matcher::TopicTest;

    /// Matches topics that begin with one text and end with another, and counts its calls.
    struct Ends {
        first: String,
        last: String,
        asked: Arc<AtomicUsize>,
    }

    impl TopicTest for Ends {
        fn matches(&self, topic: &str) -> bool {
            self.asked.fetch_add(1, Ordering::Relaxed);
            topic.starts_with(&self.first) && topic.ends_with(&self.last)
        }

        fn literal_prefix(&self) -> &str {
            &self.first
        }
    }

    fn matcher(first: &str, last: &str, asked: &Arc<AtomicUsize>) -> CustomMatcher {
        let test = Ends { first: first.into(), last: last.into(), asked: Arc::clone(asked) };
        CustomMatcher::new(&format!("{first} {last}"), Arc::new(test)).expect("a short name")
    }

    fn found(index: &mut CustomIndex, topic: &str) -> Vec<GroupId> {
        let mut found = Vec::new();
        index.find(&Topic::new(topic).expect("a valid topic"), &mut |group| found.push(group));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn a_topic_is_tested_only_against_matchers_that_share_its_prefix() {
        let asked = Arc::default();
        let mut index = CustomIndex::default();
        for n in 0..10_000 {
            index.insert(&matcher(&format!("user/{n}/"), "", &asked), n);
        }
        assert_eq!(found(&mut index, "user/77/mail"), [77]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(found(&mut index, "elsewhere"), []);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_result_that_took_many_tests_is_remembered_until_the_matchers_change() {
        let asked = Arc::default();
        let mut index = CustomIndex::default();
        for n in 0..1_000 {
            index.insert(&matcher("user/", &format!("/{n}"), &asked), n);
        }
        for _ in 0..10 {
            assert_eq!(found(&mut index, "user/a/77"), [77]);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1_000);
        // Another group with a known matcher changes nothing but the answer.
        index.insert(&matcher("user/", "/77", &asked), 5_000);
        assert_eq!(found(&mut index, "user/a/77"), [77, 5_000]);
        assert_eq!(asked.load(Ordering::Relaxed), 1_000);
        index.insert(&matcher("user/a", "7", &asked), 6_000);
        assert_eq!(found(&mut index, "user/a/77"), [77, 5_000, 6_000]);
        assert_eq!(asked.load(Ordering::Relaxed), 2_001);
    }

    #[test]
    fn the_remembered_results_are_bounded() {
        let asked = Arc::default();
        let mut index = CustomIndex::default();
        for n in 0..KNOWN_TESTS_MIN as u32 {
            index.insert(&matcher("", &format!("{n}"), &asked), n);
        }
        for n in 0..2 * KNOWN_TOPICS_MAX {
            found(&mut index, &format!("topic/{n}"));
        }
        assert!(index.known.len() <= KNOWN_TOPICS_MAX);
        assert!(index.known_slots <= KNOWN_MATCHES_MAX);
    }

    proptest! {
        #[test]
        fn it_finds_the_groups_whose_matchers_match(
            wishes in proptest::collection::vec(("[abé]{0,3}", "[abé]{0,2}"), 1..30),
            leaving in proptest::collection::vec(any::<bool>(), 30),
            topics in proptest::collection::vec("[abé]{1,5}", 1..6),
        ) {
            let asked = Arc::default();
            let mut index = CustomIndex::default();
            let matchers: Vec<_> =
                wishes.iter().map(|(first, last)| matcher(first, last, &asked)).collect();
            for (group, matcher) in matchers.iter().enumerate() {
                index.insert(matcher, group as GroupId);
            }
            let expected = |topic: &str, gone: &[bool]| -> Vec<GroupId> {
                let all = (0..matchers.len()).filter(|n| gone.get(*n) != Some(&true));
                all.filter(|n| matchers[*n].test().matches(topic)).map(|n| n as GroupId).collect()
            };
            for topic in topics.iter().chain(&topics) {
                prop_assert_eq!(found(&mut index, topic), expected(topic, &[]));
            }
            for (group, matcher) in matchers.iter().enumerate().filter(|(n, _)| leaving[*n]) {
                index.remove(matcher, group as GroupId);
            }
            for topic in topics.iter().chain(&topics) {
                prop_assert_eq!(found(&mut index, topic), expected(topic, &leaving));
            }
            for (group, matcher) in matchers.iter().enumerate().filter(|(n, _)| !leaving[*n]) {
                index.remove(matcher, group as GroupId);
            }
            prop_assert!(index.is_empty());
        }
    }
}
