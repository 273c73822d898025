//! The state of topics, merged from all segments.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tidings_hub::{Position, Topic, TopicState};

use crate::error::Fault;
use crate::index::{SegmentIndex as _, TopicSummary};
use crate::state::Shared;

impl Shared {
    /// See `Catalog::topic`.
    pub(crate) fn topic(&self, topic: &Topic) -> Result<Option<TopicState>, Fault> {
        let (complete, active_first, in_active) = {
            let state = self.read_state();
            let complete: Vec<_> = state.complete().cloned().collect();
            (complete, state.active.log.first, state.active.index.topic(topic)?)
        };
        let mut sum = None;
        for segment in &complete {
            let summary = self.ask_index(segment, |segment| segment.index.topic(topic))?;
            if let Some(summary) = summary {
                add(&mut sum, topic, segment.first(), summary);
            }
        }
        if let Some(summary) = in_active {
            add(&mut sum, topic, active_first, summary);
        }
        Ok(sum)
    }

    /// See `Catalog::topics`.
    pub(crate) fn topics(
        &self,
        prefix: &str,
        after: Option<&Topic>,
        count: usize,
    ) -> Result<Vec<TopicState>, Fault> {
        let (complete, active_first, in_active) = {
            let state = self.read_state();
            let in_active = state.active.index.topics(prefix, after, count)?;
            let complete: Vec<_> = state.complete().cloned().collect();
            (complete, state.active.log.first, in_active)
        };
        // The first `count` topics of the log are among the first `count` of each segment.
        let mut sums = BTreeMap::<Topic, TopicState>::new();
        let mut add_all = |first, found: Vec<(Topic, TopicSummary)>| {
            for (topic, summary) in found {
                match sums.entry(topic) {
                    Entry::Occupied(mut entry) => merge(entry.get_mut(), first, summary),
                    Entry::Vacant(entry) => {
                        let state = state_of(entry.key(), first, summary);
                        entry.insert(state);
                    }
                }
            }
            // The same holds for the first `count` topics seen so far.
            while sums.len() > count {
                sums.pop_last();
            }
        };
        for segment in &complete {
            let found =
                self.ask_index(segment, |segment| segment.index.topics(prefix, after, count))?;
            add_all(segment.first(), found);
        }
        add_all(active_first, in_active);
        Ok(sums.into_values().collect())
    }
}

fn add(sum: &mut Option<TopicState>, topic: &Topic, first: Position, summary: TopicSummary) {
    match sum {
        Some(state) => merge(state, first, summary),
        None => *sum = Some(state_of(topic, first, summary)),
    }
}

fn state_of(topic: &Topic, first: Position, summary: TopicSummary) -> TopicState {
    TopicState {
        topic: topic.clone(),
        records: u64::from(summary.records),
        bytes: summary.bytes,
        first: at(first, summary.first),
        last: at(first, summary.last),
        ended: summary.ended,
    }
}

/// Merges the summary of another segment, or of a run.
fn merge(state: &mut TopicState, first: Position, summary: TopicSummary) {
    state.records += u64::from(summary.records);
    state.bytes += summary.bytes;
    // Runs of different rules can lie over one another.
    state.first = state.first.min(at(first, summary.first));
    let last = at(first, summary.last);
    if last > state.last {
        (state.last, state.ended) = (last, summary.ended);
    }
}

fn at(first: Position, place: u32) -> Position {
    Position::new(first.get() + u64::from(place))
}
