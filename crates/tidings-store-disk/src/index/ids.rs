use std::collections::BTreeMap;

use tidings_hub::{EventId, Matcher, Topic};

use crate::limits::ID_TOPICS_MAX;

/// The records of a segment that have one publisher-given id: the oldest on each topic.
///
/// An id nearly always has one topic. Where publishers count separately on each topic, it can have
/// as many as there are topics.
#[derive(Debug)]
pub(super) enum IdPlaces {
    One { topic: Topic, place: u32 },
    Several { oldest: u32, by_topic: BTreeMap<Topic, u32> },
}

impl IdPlaces {
    pub(super) fn new(topic: &Topic, place: u32) -> Self {
        Self::One { topic: topic.clone(), place }
    }

    /// Adds a record on `topic` that is not older than those added before. Returns whether it is
    /// the first one with the id on this topic.
    pub(super) fn add(&mut self, topic: &Topic, place: u32) -> bool {
        match self {
            Self::One { topic: known, .. } if known == topic => false,
            Self::One { topic: known, place: oldest } => {
                let by_topic = BTreeMap::from([(known.clone(), *oldest), (topic.clone(), place)]);
                *self = Self::Several { oldest: *oldest, by_topic };
                true
            }
            Self::Several { by_topic, .. } if by_topic.contains_key(topic) => false,
            Self::Several { by_topic, .. } => {
                by_topic.insert(topic.clone(), place);
                true
            }
        }
    }

    /// See [`SegmentIndex::find`](super::SegmentIndex::find).
    pub(super) fn find(&self, on: &[Matcher]) -> Option<u32> {
        let (oldest, by_topic) = match self {
            Self::One { topic, place } => return matches_any(on, topic).then_some(*place),
            Self::Several { oldest, by_topic } => (*oldest, by_topic),
        };
        match exact(on) {
            _ if on.contains(&Matcher::All) => Some(oldest),
            Some(topics) => topics.iter().filter_map(|topic| by_topic.get(*topic)).copied().min(),
            None if by_topic.len() > ID_TOPICS_MAX => Some(oldest),
            None => {
                let matching = by_topic.iter().filter(|(topic, _)| matches_any(on, topic));
                matching.map(|(_, place)| *place).min()
            }
        }
    }

    /// Number of keys that [`keys`](Self::keys) makes.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::One { .. } => 1,
            Self::Several { by_topic, .. } => by_topic.len() + 1,
        }
    }

    /// The keys under which an index file has these records, in order, each with its place; if
    /// there are several topics, the key for all of them comes first.
    pub(super) fn keys(&self, id: &EventId) -> Vec<(String, u32)> {
        match self {
            Self::One { topic, place } => vec![(key(id, topic.as_str()), *place)],
            Self::Several { oldest, by_topic } => {
                let all = std::iter::once((key_of_all(id), *oldest));
                let each = by_topic.iter().map(|(topic, place)| (key(id, topic.as_str()), *place));
                all.chain(each).collect()
            }
        }
    }
}

/// The topics, if all of `on` are exact.
pub(super) fn exact(on: &[Matcher]) -> Option<Vec<&Topic>> {
    on.iter().map(Matcher::as_exact).collect()
}

pub(super) fn matches_any(on: &[Matcher], topic: &Topic) -> bool {
    on.iter().any(|matcher| matcher.matches(topic))
}

/// The key of an id on one topic. Neither can hold the NUL between them.
pub(super) fn key(id: &EventId, topic: &str) -> String {
    format!("{id}\0{topic}")
}

/// The key of an id on all topics: no topic is empty, so it sorts before those of single topics.
pub(super) fn key_of_all(id: &EventId) -> String {
    key(id, "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_id_has_its_oldest_place_on_each_topic_and_on_all() {
        let topic = |name: &str| Topic::new(name).unwrap();
        let on = |words: &[&str]| -> Vec<_> {
            words.iter().map(|text| Matcher::parse(text).unwrap()).collect()
        };
        let mut places = IdPlaces::new(&topic("b/1"), 4);
        assert!(!places.add(&topic("b/1"), 5));
        assert_eq!((places.find(&on(&["b/1"])), places.find(&on(&["a"]))), (Some(4), None));
        assert!(places.add(&topic("a"), 6));
        assert!(!places.add(&topic("a"), 7));
        for (words, place) in [
            (&["b/1"][..], Some(4)),
            (&["a"], Some(6)),
            (&["a", "b/1"], Some(4)),
            (&["*"], Some(6)),
            (&["**"], Some(4)),
            (&["c", "c/*"], None),
        ] {
            assert_eq!(places.find(&on(words)), place, "{words:?}");
        }
        let id = EventId::new("x").unwrap();
        let keys = places.keys(&id);
        assert_eq!(keys.len(), places.count());
        assert!(keys.is_sorted());
        assert_eq!(keys[0], (key_of_all(&id), 4));
    }
}
