//! What rules keep, for operators.

use std::sync::Arc;

use tidings_hub::{Retained, RetainedByRule};

use crate::lanes::{LaneWork, Lanes};
use crate::rules::Rules;
use crate::run::Run;
use crate::segment::{Index, Sealed};
use crate::state::Shared;

impl Shared {
    /// See `Catalog::retained`.
    pub(crate) fn retained(&self) -> Retained {
        let configured = self.rules();
        let (lanes, unsorted_events, unsorted_bytes) = {
            let state = self.read_state();
            let active = &state.active;
            let events = state.sealed.iter().map(|segment| segment.records()).sum::<u64>();
            let events = events + u64::from(active.index.records());
            (Arc::clone(&state.lanes), events, state.hot_bytes() + active.bytes)
        };
        if lanes.generation == 0 && configured.0.is_empty() {
            return Retained::default();
        }
        // Until runs are sorted anew, they are those of the rules before.
        let is_sorted = lanes.generation == 0 || configured.sort_as(&lanes.rules);
        let rules = if is_sorted { &configured } else { &lanes.rules };
        let by_rule = (0..rules.lanes()).map(|lane| self.retained_of(&lanes, rules, lane));
        Retained { rules: by_rule.collect(), unsorted_events, unsorted_bytes }
    }

    fn retained_of(&self, lanes: &Lanes, rules: &Rules, lane: usize) -> RetainedByRule {
        let runs = || lanes.lanes.get(lane).into_iter().flatten();
        let LaneWork { dropped, written } = lanes.work.get(lane).copied().unwrap_or_default();
        RetainedByRule {
            name: lane.checked_sub(1).map(|rule| Arc::clone(&rules.0[rule].name)),
            events: runs().map(|run| run.sealed.records()).sum(),
            bytes: runs().map(Run::bytes).sum(),
            bytes_max: rules.policy(lane, &self.config, 0).bytes,
            oldest: runs().map(|run| run.sealed.first_time).min(),
            dropped,
            written_bytes: written,
        }
    }
}

impl Sealed {
    /// Number of its records.
    pub(crate) fn records(&self) -> u64 {
        u64::from(match &self.index {
            Index::Memory(index) => index.records(),
            Index::File(index) => index.footer().records,
        })
    }
}
