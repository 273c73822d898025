//! Retention: drops whole segments, oldest first.

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
        let mut has_dropped = false;
        loop {
            let dropped = {
                let mut state = shared.write_state();
                // Runs are older, and rules drop one event at a time.
                if state.lanes.has_runs() || !shared.rules().0.is_empty() {
                    return;
                }
                let is_last = state.sealed.len() == 1 && state.active.index.records() == 0;
                match state.sealed.front() {
                    Some(oldest) if !is_last && is_over(&state, oldest) => {
                        shared.slots.cut_before(oldest.last.next());
                        state.sealed.pop_front()
                    }
                    _ => None,
                }
            };
            match dropped {
                Some(segment) => {
                    has_dropped = true;
                    self.background.send(shared, Job::Remove(segment));
                }
                None if has_dropped => {
                    let first = shared.read_state().first();
                    return shared.slots.forget_before(first);
                }
                None => return,
            }
        }
    }
}

/// Whether the segment being written spans its share of the retention age.
fn is_long_open(state: &State, shared: &Shared, now: Timestamp) -> bool {
    let span = now.as_millis().saturating_sub(state.active.first_time.as_millis());
    let share = shared.rules().shortest_age_ms(&shared.config) / u64::from(SEGMENT_AGE_SHARE);
    state.active.index.records() > 0 && span > share
}
