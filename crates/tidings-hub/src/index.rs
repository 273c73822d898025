//! From a topic to the groups that want it.
//!
//! Exact topics are found by hash, and segment patterns in a tree of their segments, so the cost of
//! a publish depends on what its topic matches and not on how many subscribers or patterns there
//! are. Custom matchers are in [`custom`].

mod custom;

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::interest::Interest;
use crate::matcher::Matcher;
use crate::topic::Topic;
use custom::CustomIndex;

/// A group's place in its shard.
pub(crate) type GroupId = u32;

#[derive(Debug, Default)]
pub(crate) struct Index {
    all: GroupSet,
    exact: HashMap<Topic, GroupSet, RandomState>,
    patterns: Node,
    custom: CustomIndex,
}

impl Index {
    /// Lets `group` be found by everything that `interest` wants.
    pub(crate) fn insert(&mut self, group: GroupId, interest: &Interest) {
        for matcher in interest.wanted() {
            match matcher {
                Matcher::All => self.all.insert(group),
                Matcher::Exact(topic) => {
                    self.exact.entry(topic.clone()).or_default().insert(group);
                }
                Matcher::Segments(pattern) => self.patterns.insert(pattern.segments(), group),
                Matcher::Custom(custom) => self.custom.insert(custom, group),
            }
        }
    }

    /// Undoes [`insert`](Self::insert) and frees all its memory.
    pub(crate) fn remove(&mut self, group: GroupId, interest: &Interest) {
        for matcher in interest.wanted() {
            match matcher {
                Matcher::All => self.all.remove(group),
                Matcher::Exact(topic) => remove_from(&mut self.exact, topic, group),
                Matcher::Segments(pattern) => {
                    self.patterns.remove(pattern.segments(), group);
                }
                Matcher::Custom(custom) => self.custom.remove(custom, group),
            }
        }
    }

    /// Calls `found` with every group that wants `topic`, with some of them more than once.
    pub(crate) fn find(&mut self, topic: &Topic, found: &mut impl FnMut(GroupId)) {
        self.all.each(found);
        if let Some(groups) = self.exact.get(topic) {
            groups.each(found);
        }
        self.patterns.find(topic.as_str().split('/'), found);
        self.custom.find(topic, found);
    }

    /// Whether no group wants anything.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.all.is_empty()
            && self.exact.is_empty()
            && self.patterns.is_empty()
            && self.custom.is_empty()
    }
}

fn remove_from<K: std::hash::Hash + Eq>(
    map: &mut HashMap<K, GroupSet, RandomState>,
    key: &K,
    group: GroupId,
) {
    if let Some(groups) = map.get_mut(key) {
        groups.remove(group);
        if groups.is_empty() {
            map.remove(key);
        }
    }
}

/// A tree with one level per segment.
#[derive(Debug, Default)]
struct Node {
    literal: HashMap<Box<str>, Node, RandomState>,
    star: Option<Box<Node>>,
    /// Groups whose pattern ends here.
    here: GroupSet,
    /// Groups whose pattern continues with `**`.
    rest: GroupSet,
}

impl Node {
    fn insert<'a>(&mut self, mut segments: impl Iterator<Item = &'a str>, group: GroupId) {
        match segments.next() {
            None => self.here.insert(group),
            Some("**") => self.rest.insert(group),
            Some("*") => self.star.get_or_insert_default().insert(segments, group),
            Some(literal) => {
                self.literal.entry(literal.into()).or_default().insert(segments, group);
            }
        }
    }

    fn remove<'a>(&mut self, mut segments: impl Iterator<Item = &'a str>, group: GroupId) {
        match segments.next() {
            None => self.here.remove(group),
            Some("**") => self.rest.remove(group),
            Some("*") => {
                if let Some(node) = &mut self.star {
                    node.remove(segments, group);
                    self.star.take_if(|node| node.is_empty());
                }
            }
            Some(literal) => {
                if let Some(node) = self.literal.get_mut(literal) {
                    node.remove(segments, group);
                    if node.is_empty() {
                        self.literal.remove(literal);
                    }
                }
            }
        }
    }

    fn find<'a>(
        &self,
        mut segments: impl Iterator<Item = &'a str> + Clone,
        found: &mut impl FnMut(GroupId),
    ) {
        let Some(segment) = segments.next() else {
            self.here.each(found);
            return;
        };
        self.rest.each(found);
        if let Some(node) = self.literal.get(segment) {
            node.find(segments.clone(), found);
        }
        if let Some(node) = &self.star {
            node.find(segments, found);
        }
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty()
            && self.star.is_none()
            && self.here.is_empty()
            && self.rest.is_empty()
    }
}

/// Groups; nearly always one.
#[derive(Debug, Default)]
enum GroupSet {
    #[default]
    None,
    One(GroupId),
    Many(HashSet<GroupId, RandomState>),
}

impl GroupSet {
    fn insert(&mut self, group: GroupId) {
        match self {
            Self::None => *self = Self::One(group),
            Self::One(one) => {
                *self = Self::Many([*one, group].into_iter().collect());
            }
            Self::Many(many) => {
                many.insert(group);
            }
        }
    }

    fn remove(&mut self, group: GroupId) {
        match self {
            Self::One(one) if *one == group => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Many(many) => {
                many.remove(&group);
                if let (1, Some(last)) = (many.len(), many.iter().next()) {
                    *self = Self::One(*last);
                }
            }
        }
    }

    fn each(&self, found: &mut impl FnMut(GroupId)) {
        match self {
            Self::None => {}
            Self::One(one) => found(*one),
            Self::Many(many) => many.iter().for_each(|group| found(*group)),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn interest(words: &[String]) -> Interest {
        let matcher = |text: &String| Matcher::parse(text).expect("a valid matcher");
        Interest::new(words.iter().map(matcher).collect(), Vec::new())
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]", Just("*".to_owned())]
    }

    fn pattern() -> impl Strategy<Value = String> {
        (proptest::collection::vec(segment(), 1..4), any::<bool>()).prop_map(|(segments, rest)| {
            let tail = if rest { "/**" } else { "" };
            segments.join("/") + tail
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_the_groups_whose_matchers_match(
            wishes in proptest::collection::vec(proptest::collection::vec(pattern(), 1..4), 1..12),
            leaving in proptest::collection::vec(any::<bool>(), 12),
            topic in "[ab](/[ab]){0,4}",
        ) {
            let topic = Topic::new(topic).expect("a valid topic");
            let mut index = Index::default();
            let interests: Vec<_> = wishes.iter().map(|words| interest(words)).collect();
            for (group, interest) in interests.iter().enumerate() {
                index.insert(group as GroupId, interest);
            }
            for (group, interest) in interests.iter().enumerate().filter(|(n, _)| leaving[*n]) {
                index.remove(group as GroupId, interest);
            }
            let mut found = Vec::new();
            index.find(&topic, &mut |group| found.push(group));
            found.sort_unstable();
            found.dedup();
            let expected: Vec<_> = (0..interests.len())
                .filter(|n| !leaving[*n])
                .filter(|n| interests[*n].wanted().iter().any(|wanted| wanted.matches(&topic)))
                .map(|n| n as GroupId)
                .collect();
            prop_assert_eq!(found, expected);
            for (group, interest) in interests.iter().enumerate().filter(|(n, _)| !leaving[*n]) {
                index.remove(group as GroupId, interest);
            }
            prop_assert!(index.is_empty());
        }
    }
}
