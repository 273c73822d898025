//! Applying rules: the jobs that move records from segments to runs, and drop what no rule keeps.
//!
//! # A job
//!
//! Its inputs are the oldest complete segments, or neighbouring runs of a lane. It
//!
//! 1. decides for each record of the inputs whether it stays ([`choose`]),
//! 2. writes what stays to new runs, each with its index, and syncs them,
//! 3. writes the losses to a new file, and syncs the folder,
//! 4. replaces the [catalogue](crate::catalogue): from here on the new files count and the inputs
//!    do not,
//! 5. removes the inputs.
//!
//! A process that ends before the fourth step leaves files that no catalogue names, and one that
//! ends after it leaves inputs that no longer count; opening the log removes both. The segment that
//! is being written is never an input, so appending has no part in this.
//!
//! # When
//!
//! Segments wait until there are [`hot_bytes`](crate::DiskConfig::hot_bytes) of them, or something
//! in them is too old: what is too old by then is never copied. Runs are dropped when all of it is
//! too old, or its lane has too many bytes; and neighbours are merged when they are small. A lane
//! that keeps the last events of each topic is merged as a whole when what was added is as much as
//! what the last such merge left, so it is at most twice as large as what it has to keep.

mod choose;
mod commit;
mod job;
mod promised;
mod source;
mod thread;

use std::sync::Arc;

use tidings_hub::Timestamp;

use crate::background::Backoff;
use crate::error::Fault;
use crate::lanes::Lanes;
use crate::limits::{MERGE_RUNS, RUN_BYTES_MIN, SEGMENT_AGE_SHARE, SPLIT_SEGMENTS_MAX};
use crate::mistake::Mistake;
use crate::rule::Promise;
use crate::rules::{Policy, Rules};
use crate::run::Run;
use crate::segment::{Index, Sealed};
use crate::state::Shared;

pub(crate) use job::Pause;
pub(crate) use thread::KeepThread;

/// Applies rules; there is one for a log.
#[derive(Default)]
pub(crate) struct Keeper {
    /// Files to be removed, once the catalogue that does not name them is on the disk.
    removals: Vec<String>,
    /// Whether it may not be: its folder could not be synced.
    is_unsynced: bool,
    turns: Turns,
    /// The number of the last job that was tried.
    generation: u64,
    failing: Backoff,
    removing: Backoff,
}

/// Whose turn it is, if there is more to do than one job at a time: neither segments nor the runs
/// of any lane wait for ever for the others.
#[derive(Clone, Copy, Default)]
struct Turns {
    /// Whether the last job of the two kinds applied rules to segments.
    runs_first: bool,
    /// The lane behind the one whose runs were rewritten last.
    lane: usize,
}

impl Turns {
    fn note(&mut self, job: &Job) {
        match job {
            Job::Split(_) => self.runs_first = true,
            // They go before all others, as often as there is too much: nobody's turn is over.
            Job::Sort(_) | Job::Rewrite(Rewrite { what: What::Nothing, .. }) => {}
            Job::Rewrite(rewrite) => {
                *self = Self { runs_first: false, lane: rewrite.lane + 1 };
            }
        }
    }
}

/// What is to be done.
#[derive(Clone)]
enum Job {
    /// Sort all runs by other rules.
    Sort(Rules),
    /// Apply the rules to segments.
    Split(Vec<Arc<Sealed>>),
    /// Apply the rules of a lane to neighbouring runs.
    Rewrite(Rewrite),
}

#[derive(Clone)]
struct Rewrite {
    lane: usize,
    runs: Vec<Run>,
    /// What is kept of them.
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// What the lane's policy says.
    Kept,
    /// The same, and `runs` are the whole lane.
    WholeLane,
    /// Nothing: the lane has too many bytes.
    Nothing,
}

impl Keeper {
    /// Does the next job, if there is one. Returns whether there was.
    pub(crate) fn step(&mut self, shared: &Shared, pause: &mut Pause<'_>) -> bool {
        self.remove_files(shared);
        if !self.failing.is_due() {
            return false;
        }
        let Some(job) = next_job(shared, self.turns) else {
            return false;
        };
        self.turns.note(&job);
        let done = self.run(shared, job, pause);
        if matches!(&done, Err(fault) if fault.is_interrupted()) {
            return false;
        }
        let is_done = done.is_ok();
        self.failing.note(shared, done, "rules cannot be applied to the log");
        is_done
    }

    /// Does what failed before again at the next step, without a pause.
    #[cfg(test)]
    pub(crate) fn try_at_once(&mut self) {
        (self.failing, self.removing) = (Backoff::default(), Backoff::default());
    }

    /// The folder was synced: the catalogue in it stays.
    fn note_synced(&mut self) {
        self.is_unsynced = false;
    }

    /// Removes the inputs of earlier jobs, unless a backup is reading them.
    pub(crate) fn remove_files(&mut self, shared: &Shared) {
        if self.removals.is_empty() || !self.removing.is_due() {
            return;
        }
        let removed = self.remove_all(shared).map(|_| ());
        self.removing.note(shared, removed, "a dropped file cannot be removed");
    }

    /// Removes the inputs of earlier jobs now. Returns whether none is left: `false` while a backup
    /// is reading them.
    pub(crate) fn remove_all(&mut self, shared: &Shared) -> Result<bool, Fault> {
        if self.removals.is_empty() {
            return Ok(true);
        }
        let sync = || {
            let synced = shared.disk.sync();
            synced.map_err(|error| Fault::io("sync", &shared.config.path, error))
        };
        if self.is_unsynced && !Mistake::InputsTooEarly.is_planted() {
            sync()?;
            self.note_synced();
        }
        let Some(_guard) = shared.disk.hold_off_backups() else {
            return Ok(false);
        };
        let mut outcome = Ok(true);
        self.removals.retain(|name| {
            let removed = shared.remove_file(name);
            let is_left = removed.is_err();
            if let Err(fault) = removed {
                outcome = Err(fault);
            }
            is_left
        });
        sync()?;
        outcome
    }
}

/// Finds the next job. What has too many bytes goes first; then segments and runs take turns.
fn next_job(shared: &Shared, turns: Turns) -> Option<Job> {
    let (configured, now) = (shared.rules(), shared.now());
    let (lanes, hot_bytes) = {
        let state = shared.read_state();
        (Arc::clone(&state.lanes), state.hot_bytes())
    };
    if lanes.generation > 0 && !configured.sort_as(&lanes.rules) {
        return Some(Job::Sort(Rules::clone(&configured)));
    }
    let policy = |lane| configured.policy(lane, &shared.config, hot_bytes);
    let over = (0..lanes.lanes.len()).find_map(|lane| too_much(&lanes, lane, policy(lane)));
    if let Some(over) = over {
        return Some(Job::Rewrite(over));
    }
    let split = || due_segments(shared, &configured, now).map(Job::Split);
    let rewrite = || {
        let of = |lane| rewrite_of(shared, &lanes, lane, policy(lane), now);
        let all = lanes.lanes.len();
        (0..all).find_map(|n| of((turns.lane + n) % all)).map(Job::Rewrite)
    };
    if turns.runs_first { rewrite().or_else(split) } else { split().or_else(rewrite) }
}

/// The oldest runs of a lane, as many as it has too much of.
fn too_much(lanes: &Lanes, lane: usize, policy: Policy) -> Option<Rewrite> {
    let mut bytes = lanes.lane_bytes(lane);
    if policy.promise.is_some() || bytes <= policy.bytes {
        return None;
    }
    let oldest = lanes.lanes[lane].iter().take_while(|run| {
        let is_over = bytes > policy.bytes;
        bytes -= run.bytes();
        is_over
    });
    Some(Rewrite { lane, runs: oldest.cloned().collect(), what: What::Nothing })
}

/// The segments to which rules are to be applied now. The newest record stays where it is.
fn due_segments(shared: &Shared, rules: &Rules, now: Timestamp) -> Option<Vec<Arc<Sealed>>> {
    if rules.0.is_empty() {
        return None;
    }
    let state = shared.read_state();
    let newest = usize::from(state.active.index.records() == 0);
    let may = state.sealed.len().saturating_sub(newest);
    let settled = shared.settled();
    let complete = state.sealed.iter().take(may.min(SPLIT_SEGMENTS_MAX));
    let complete = complete
        .take_while(|segment| matches!(segment.index, Index::File(_)) && segment.last <= settled);
    let is_much = state.hot_bytes() >= shared.config.hot_bytes();
    let age_ms = rules.shortest_age_ms(&shared.config);
    let is_old =
        |segment: &Sealed| segment.last_time.as_millis().saturating_add(age_ms) <= now.as_millis();
    let due: Vec<_> = complete.take_while(|one| is_much || is_old(one)).cloned().collect();
    (!due.is_empty()).then_some(due)
}

/// What is to be done with the runs of a lane.
fn rewrite_of(
    shared: &Shared,
    lanes: &Lanes,
    lane: usize,
    policy: Policy,
    now: Timestamp,
) -> Option<Rewrite> {
    let runs = &lanes.lanes[lane];
    let front = runs.first()?;
    let some = |runs: &[Run], what| Some(Rewrite { lane, runs: runs.to_vec(), what });
    let bytes = lanes.lane_bytes(lane);
    if policy.promise.is_some() {
        let base = runs.iter().take_while(|run| run.is_base).count();
        let base_bytes: u64 = runs[..base].iter().map(Run::bytes).sum();
        let added = bytes - base_bytes;
        let is_due = |run: &Run| run.aging > Timestamp::default() && policy.is_due(run.aging, now);
        let is_much = added >= base_bytes
            && (runs.len() - base >= MERGE_RUNS || added >= RUN_BYTES_MIN.min(policy.bytes));
        let is_over = bytes > policy.bytes && added > 0 && added >= policy.bytes / 8;
        // New keys are rejected until the removals among what was added are applied.
        let is_waited_for = base_bytes > policy.bytes
            && policy.promise == Some(Promise::State)
            && runs.get(base).is_some_and(|run| !policy.is_young(run.sealed.first_time, now));
        if is_much || is_over || is_waited_for || runs.iter().any(is_due) {
            return some(runs, What::WholeLane);
        }
        return small_neighbours(&runs[base..], shared, policy).map(|runs| Rewrite {
            lane,
            runs,
            what: What::Kept,
        });
    }
    if policy.is_due(front.aging, now) && !policy.is_young(front.sealed.last_time, now) {
        return some(&runs[..1], What::Kept);
    }
    small_neighbours(runs, shared, policy).map(|runs| Rewrite { lane, runs, what: What::Kept })
}

/// Neighbours that are to become one run: none of them is more than half of it, and together they
/// span no more than the share of the age that a run may span.
fn small_neighbours(runs: &[Run], shared: &Shared, policy: Policy) -> Option<Vec<Run>> {
    let span_max = match policy.age_ms {
        0 => u64::MAX,
        age_ms => age_ms / u64::from(SEGMENT_AGE_SHARE),
    };
    let bytes_max = policy.run_bytes(&shared.config);
    let fit = |window: &&[Run]| {
        let sum: u64 = window.iter().map(Run::bytes).sum();
        let most = window.iter().map(Run::bytes).max().unwrap_or(0);
        let (first, last) = (&window[0].sealed, &window[window.len() - 1].sealed);
        let span = last.last_time.as_millis() - first.first_time.as_millis();
        most * 2 <= sum && sum <= bytes_max && span <= span_max
    };
    runs.windows(MERGE_RUNS).find(fit).map(<[Run]>::to_vec)
}
