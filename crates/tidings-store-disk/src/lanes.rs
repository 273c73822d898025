//! The part of the log that was sorted by rule: the runs of all lanes.
//!
//! What readers see of it is replaced as a whole, like the [catalogue](crate::catalogue) on the
//! disk. A reader that holds an older state still has its files open, so a removed file is read to
//! the end of that read.

use std::sync::Arc;

use tidings_hub::{Interest, Position, Timestamp};

use crate::catalogue::{Catalogue, RunEntry};
use crate::lost::{Losses, LostTo};
use crate::rules::Rules;
use crate::run::Run;

/// All runs, and what was dropped.
#[derive(Clone, Default)]
pub(crate) struct Lanes {
    /// The number of the last job; zero if there never was one.
    pub(crate) generation: u64,
    /// Records up to here are in runs, or were dropped.
    pub(crate) upto: Position,
    /// Time of the newest record that was ever moved here.
    pub(crate) time: Timestamp,
    /// The rules by which the runs are sorted.
    pub(crate) rules: Arc<Rules>,
    /// The runs of each lane, in order.
    pub(crate) lanes: Vec<Vec<Run>>,
    pub(crate) losses: Arc<Losses>,
    /// The file of the losses.
    pub(crate) lost_file: Option<String>,
    /// What was done to each lane; in memory only.
    pub(crate) work: Vec<LaneWork>,
}

/// What the jobs of retention did to a lane since the log was opened, or since other rules sort it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneWork {
    /// Number of events dropped.
    pub(crate) dropped: u64,
    /// Bytes written to runs, with their indexes.
    pub(crate) written: u64,
}

impl Lanes {
    /// All runs, lane after lane.
    pub(crate) fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.lanes.iter().flatten()
    }

    pub(crate) fn has_runs(&self) -> bool {
        self.runs().next().is_some()
    }

    /// Position of the oldest record in a run.
    pub(crate) fn first(&self) -> Option<Position> {
        self.lanes.iter().filter_map(|lane| lane.first()).map(Run::first).min()
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.runs().map(Run::bytes).sum()
    }

    /// Bytes of one lane.
    pub(crate) fn lane_bytes(&self, lane: usize) -> u64 {
        self.lanes.get(lane).into_iter().flatten().map(Run::bytes).sum()
    }

    /// Position of the newest record after `after` that was dropped and that `interest` could have
    /// admitted, if the segments begin at `hot_first`.
    pub(crate) fn lost(
        &self,
        after: Position,
        interest: Option<&Interest>,
        to: LostTo,
        hot_first: Position,
    ) -> Option<Position> {
        // Segments that were dropped as a whole: their topics are forgotten.
        let dropped = hot_first.previous();
        if dropped > self.upto && dropped > after {
            return Some(dropped);
        }
        self.losses.after(after, interest, to, &self.rules)
    }

    /// What the catalogue says about it.
    pub(crate) fn catalogue(&self) -> Catalogue {
        let rules = self.rules.0.iter();
        Catalogue {
            generation: self.generation,
            upto: self.upto,
            time: self.time,
            rules: rules.map(|rule| (rule.name.to_string(), rule.topics.clone())).collect(),
            runs: self.runs().map(entry_of).collect(),
            lost: self.lost_file.clone(),
        }
    }
}

fn entry_of(run: &Run) -> RunEntry {
    RunEntry {
        name: run.name,
        last: run.last(),
        salt: run.sealed.log.salt,
        bytes: run.sealed.log_bytes,
        is_base: run.is_base,
        aging: run.aging,
    }
}
