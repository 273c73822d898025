//! Retention by rules: what is kept of which topics.
//!
//! Each event falls under the first rule whose topics match its canonical topic, or under the
//! *rest*, which `retention-age` and `retention-bytes` govern. The events of one rule are a *lane*:
//! lane 0 is the rest, lane `n` the `n`th rule.

use std::time::Duration;

use tidings_hub::{Draft, Interest, Kind, Timestamp, Topic};

use crate::config::DiskConfig;
use crate::limits::{RUN_BYTES_MAX, RUN_BYTES_MIN, RUNS_AIM, SEGMENT_AGE_SHARE};
use crate::rule::{Promise, Rule};

/// All rules, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(pub(crate) Vec<Rule>);

/// What one lane keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Maximum age in milliseconds; zero if only the last ones are kept.
    pub(crate) age_ms: u64,
    pub(crate) bytes: u64,
    pub(crate) promise: Option<Promise>,
}

/// The lane of events that fall under no rule.
pub(crate) const REST: usize = 0;

impl Rules {
    /// Number of lanes.
    pub(crate) fn lanes(&self) -> usize {
        self.0.len() + 1
    }

    /// The lane of events on `topic`.
    pub(crate) fn lane_of(&self, topic: &Topic) -> usize {
        let matches = |rule: &Rule| rule.topics.iter().any(|matcher| matcher.matches(topic));
        self.0.iter().position(matches).map_or(REST, |rule| rule + 1)
    }

    /// The lane of a record: notes of the hub are for no rule.
    pub(crate) fn lane_of_record(&self, record: &Draft) -> usize {
        if matches!(record.kind, Kind::Note | Kind::Erased) {
            REST
        } else {
            self.lane_of(&record.topic)
        }
    }

    /// Whether both send each event to the same lane.
    pub(crate) fn sort_as(&self, other: &Self) -> bool {
        let topics =
            |rules: &Self| -> Vec<_> { rules.0.iter().map(|r| r.topics.clone()).collect() };
        topics(self) == topics(other)
    }

    /// Whether a reader with `interest` can want an event whose canonical topic is in `lane`.
    pub(crate) fn may_want(&self, interest: &Interest, lane: usize) -> bool {
        let Some(rule) = lane.checked_sub(1).and_then(|rule| self.0.get(rule)) else {
            return interest.exact_topics().is_none_or(|topics| {
                topics.iter().any(|topic| self.lane_of(topic) == REST || topic.is_of_notes())
            });
        };
        match interest.exact_topics() {
            Some(topics) => topics.iter().any(|topic| self.lane_of(topic) == lane),
            None => rule
                .topics
                .iter()
                .any(|of_rule| interest.wanted().iter().any(|wanted| wanted.may_meet(of_rule))),
        }
    }

    /// What `lane` keeps.
    pub(crate) fn policy(&self, lane: usize, config: &DiskConfig, hot_bytes: u64) -> Policy {
        let default_age = millis(config.retention_age);
        match lane.checked_sub(1).and_then(|rule| self.0.get(rule)) {
            None => Policy {
                age_ms: default_age,
                bytes: config.retention_bytes.saturating_sub(hot_bytes),
                promise: None,
            },
            Some(rule) => Policy {
                age_ms: match (rule.age, rule.promise) {
                    (Some(age), _) => millis(age),
                    (None, Some(Promise::Last(_))) => 0,
                    (None, None | Some(Promise::State)) => default_age,
                },
                bytes: rule.bytes.unwrap_or(config.retention_bytes),
                promise: rule.promise,
            },
        }
    }

    /// The shortest age of any lane that drops by age.
    pub(crate) fn shortest_age_ms(&self, config: &DiskConfig) -> u64 {
        let ages = self.0.iter().filter_map(|rule| rule.age).map(millis);
        ages.chain([millis(config.retention_age)]).min().unwrap_or(u64::MAX)
    }
}

impl Policy {
    /// Whether an event of `time` is young enough.
    pub(crate) fn is_young(self, time: Timestamp, now: Timestamp) -> bool {
        time.as_millis().saturating_add(self.age_ms) > now.as_millis()
    }

    /// Whether a run is to be looked at, the oldest of whose records that go with age is of `time`:
    /// not at once when that is too old, but when as much may be as a share of the age has.
    pub(crate) fn is_due(self, time: Timestamp, now: Timestamp) -> bool {
        let share = self.age_ms / u64::from(SEGMENT_AGE_SHARE);
        let age_ms = self.age_ms.saturating_add(share);
        time.as_millis().saturating_add(age_ms) <= now.as_millis()
    }

    /// Bytes after which a run ends.
    pub(crate) fn run_bytes(self, config: &DiskConfig) -> u64 {
        let most = RUN_BYTES_MAX.min(config.segment_bytes().saturating_mul(4));
        (self.bytes / RUNS_AIM).clamp(RUN_BYTES_MIN.min(most), most)
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::Matcher;

    use super::*;

    fn rules(topics: &[&[&str]]) -> Rules {
        let rule = |topics: &&[&str]| Rule {
            name: topics[0].into(),
            topics: topics.iter().map(|text| Matcher::parse(text).unwrap()).collect(),
            age: None,
            bytes: None,
            promise: None,
        };
        Rules(topics.iter().map(rule).collect())
    }

    #[test]
    fn the_first_rule_that_matches_decides_and_notes_fall_under_none() {
        let rules = rules(&[&["runs/1", "runs/*/log"], &["runs/**"], &["**"]]);
        for (topic, lane) in [("runs/1", 1), ("runs/2/log", 1), ("runs/2", 2), ("a", 3)] {
            assert_eq!(rules.lane_of(&Topic::new(topic).unwrap()), lane, "{topic}");
        }
        let note = Draft { kind: Kind::Note, ..Draft::new(Topic::of_notes(), "") };
        assert_eq!(rules.lane_of_record(&note), REST);
    }

    #[test]
    fn a_reader_may_want_only_lanes_that_its_topics_can_fall_into() {
        let rules = rules(&[&["runs/**"], &["notify/*"]]);
        for (wanted, lanes) in [
            ("runs/1", vec![1]),
            ("notify/**", vec![0, 2]),
            ("*/1", vec![0, 1, 2]),
            ("other", vec![0]),
            ("**", vec![0, 1, 2]),
        ] {
            let interest = Interest::new(vec![Matcher::parse(wanted).unwrap()], vec![]);
            let may: Vec<_> =
                (0..rules.lanes()).filter(|lane| rules.may_want(&interest, *lane)).collect();
            assert_eq!(may, lanes, "{wanted}");
        }
    }
}
