//! Retention: drops whole segments, oldest first.

use std::sync::Arc;

use tidings_hub::{AppendError, Timestamp};

use crate::append::Writer;
use crate::background::Job;
use crate::limits::SEGMENT_AGE_SHARE;
use crate::rules::millis;
use crate::segment::Sealed;
use crate::state::{Shared, State};

impl Writer {
    /// See `Log::retain`.
    pub(crate) fn retain(&mut self, shared: &Shared, now: Timestamp) -> Result<(), AppendError> {
        shared.note_time(now);
        let oldest_kept = now.as_millis().saturating_sub(millis(shared.config.retention_age));
        self.drop_while(shared, |_, oldest| oldest.last_time.as_millis() < oldest_kept);
        self.drop_what_is_too_much(shared);
        // There may be room now.
        self.probe(shared)?;
        if is_long_open(&shared.read_state(), shared, now) {
            self.seal_early(shared)?;
        }
        Ok(())
    }

    /// Drops the oldest segments until the one being written has room to become full.
    pub(crate) fn drop_what_is_too_much(&mut self, shared: &Shared) {
        let config = &shared.config;
        self.drop_while(shared, |state, _| {
            let growth = config.segment_bytes().saturating_sub(state.active.bytes);
            state.bytes() + growth > config.retention_bytes
        });
    }

    /// Drops the oldest segments while `is_over` returns `true`. The newest record always stays.
    fn drop_while(&mut self, shared: &Shared, is_over: impl Fn(&State, &Sealed) -> bool) {
        let mut dropped = Vec::new();
        let mut state = shared.write_state();
        // Runs are older, and rules drop one event at a time.
        if state.lanes.has_runs() || !shared.rules().0.is_empty() {
            return;
        }
        if next_to_drop(&state, &is_over).is_none() {
            return;
        }
        shared.slots.forget_before(|| {
            while next_to_drop(&state, &is_over).is_some() {
                dropped.extend(state.sealed.pop_front());
            }
            let first = state.first();
            // Readers of history need not wait until all of it is forgotten.
            drop(state);
            first
        });
        for segment in dropped {
            self.background.send(shared, Job::Remove(segment));
        }
    }
}

/// The oldest segment, if `is_over` says of it that it is to be dropped, and it does not have the
/// newest record.
fn next_to_drop(state: &State, is_over: impl Fn(&State, &Sealed) -> bool) -> Option<&Arc<Sealed>> {
    let is_last = state.sealed.len() == 1 && state.active.index.records() == 0;
    state.sealed.front().filter(|oldest| !is_last && is_over(state, oldest))
}

/// Whether the segment being written spans its share of the retention age.
fn is_long_open(state: &State, shared: &Shared, now: Timestamp) -> bool {
    let span = now.as_millis().saturating_sub(state.active.first_time.as_millis());
    let share = shared.rules().shortest_age_ms(&shared.config) / u64::from(SEGMENT_AGE_SHARE);
    state.active.index.records() > 0 && span > share
}
