use std::sync::Arc;

use tidings_hub::{Position, Topic};

use crate::catalogue::{Committed, LOST_ENDING, write_sealed};
use crate::error::Fault;
use crate::index::SegmentIndex as _;
use crate::lanes::{LaneWork, Lanes};
use crate::lost::Losses;
use crate::mistake::Mistake;
use crate::run::Run;
use crate::segment::Sealed;
use crate::state::Shared;

use super::job::{Made, failed};
use super::{Job, Keeper, Rewrite};

impl Keeper {
    /// Makes the outcome of a job count: on the disk, then for readers. If it fails, nothing has
    /// changed.
    pub(super) fn commit(
        &mut self,
        shared: &Shared,
        before: &Lanes,
        job: &Job,
        mut made: Made,
    ) -> Result<(), Fault> {
        let forgotten = std::mem::take(&mut made.forgotten);
        let hot_first = shared.read_state().hot_first();
        let mut after = next_lanes(before, job, made, hot_first);
        after.generation = self.generation;
        let has_new_losses = after.losses != before.losses && !Mistake::LossesLater.is_planted();
        if has_new_losses {
            let name = format!("{}{LOST_ENDING}", self.generation);
            write_sealed(&*shared.disk, &name, &after.losses.encode())
                .map_err(|error| failed(shared, "write the losses to", error))?;
            after.lost_file = Some(name);
        }
        if Mistake::InputsFirst.is_planted() {
            for file in inputs_of(before, job).iter().flat_map(|input| input.log.files()) {
                shared.remove_file(&file)?;
            }
        }
        let synced = shared.disk.sync();
        synced.map_err(|error| failed(shared, "sync", error))?;
        match after.catalogue().write(&*shared.disk) {
            Committed::No(error) => return Err(failed(shared, "write the catalogue of", error)),
            Committed::Firmly => self.note_synced(),
            Committed::UnlessPowerFails(error) => {
                tracing::warn!(%error, "the folder of the log could not be synced");
                self.is_unsynced = true;
            }
        }
        if before.generation == 0 {
            // Makes the file that a backup locks. One that began before it was there sees the
            // catalogue when it is done, and begins again.
            drop(shared.disk.hold_off_backups());
        }
        if after.losses.purges_more_than(&before.losses) {
            shared.slots.purge_upto(after.upto);
        }
        let inputs = inputs_of(before, job);
        let mut removals: Vec<_> = inputs.iter().flat_map(|input| input.log.files()).collect();
        removals.extend(before.lost_file.clone().filter(|_| has_new_losses));
        let new: Vec<_> = after.runs().cloned().collect();
        for (slot, position) in forgotten {
            shared.slots.forget_slot(slot, position);
        }
        let not_recent = {
            let mut state = shared.write_state();
            // Indexes may have been made again meanwhile.
            let known: Vec<_> = state.lanes.runs().map(|run| Arc::clone(&run.sealed)).collect();
            for run in after.lanes.iter_mut().flatten() {
                if let Some(known) = known.iter().find(|known| known.is_same_file(&run.sealed)) {
                    run.sealed = Arc::clone(known);
                }
            }
            let upto = after.upto;
            while state.sealed.front().is_some_and(|segment| segment.last <= upto) {
                state.sealed.pop_front();
            }
            state.lanes = Arc::new(after);
            state.recent.forget_upto(upto)
        };
        drop(not_recent);
        shared.recount(&inputs, &new);
        self.removals.extend(removals);
        self.remove_files(shared);
        Ok(())
    }
}

/// The files that no longer count after `job`.
fn inputs_of(before: &Lanes, job: &Job) -> Vec<Arc<Sealed>> {
    match job {
        Job::Sort(_) => before.runs().map(|run| Arc::clone(&run.sealed)).collect(),
        Job::Split(segments) => segments.clone(),
        Job::Rewrite(Rewrite { runs, .. }) => {
            runs.iter().map(|run| Arc::clone(&run.sealed)).collect()
        }
    }
}

/// The state after `job`.
fn next_lanes(before: &Lanes, job: &Job, made: Made, hot_first: Position) -> Lanes {
    let Made { runs: mut new, losses, dropped, rules, .. } = made;
    let mut after = before.clone();
    let mut all = Losses::clone(&before.losses);
    if before.generation == 0 || matches!(job, Job::Sort(_)) {
        all = all.sorted_by(&rules);
        after.lanes = vec![Vec::new(); rules.lanes()];
        after.work.clear();
    }
    after.work.resize(rules.lanes(), LaneWork::default());
    for ((work, dropped), written) in after.work.iter_mut().zip(dropped).zip(&new) {
        work.dropped += dropped;
        work.written += written.iter().map(Run::bytes).sum::<u64>();
    }
    after.rules = rules;
    match job {
        Job::Sort(_) => after.lanes = new,
        Job::Split(segments) => {
            let last = segments.last().expect("there is one");
            (after.upto, after.time) = (last.last, last.last_time.max(before.time));
            // Segments dropped as a whole, before there were rules.
            if hot_first.previous() > before.upto {
                all.floor = all.floor.max(hot_first.previous());
            }
            for (lane, runs) in after.lanes.iter_mut().zip(new) {
                lane.extend(runs);
            }
        }
        Job::Rewrite(Rewrite { lane, runs, .. }) => {
            let is_old = |run: &Run| runs.iter().any(|old| old.name == run.name);
            let kept = &mut after.lanes[*lane];
            let at = kept.iter().position(is_old).unwrap_or(0);
            kept.retain(|run| !is_old(run));
            let made = std::mem::take(&mut new[*lane]);
            kept.splice(at..at, made);
        }
    }
    if !Mistake::LossesForgotten.is_planted() {
        all.add(&losses, &after.rules);
    }
    if all != *before.losses {
        after.losses = Arc::new(all);
    }
    after
}

impl Shared {
    pub(crate) fn remove_file(&self, name: &str) -> Result<(), Fault> {
        let removed = self.disk.remove_if_there(name).map(|_| ());
        removed.map_err(|error| Fault::io("remove", &self.disk.path(name), error))
    }

    /// Counts the topics of `inputs`, which no longer count, with what has them now.
    fn recount(&self, inputs: &[Arc<Sealed>], runs: &[Run]) {
        for input in inputs {
            let counted = self.each_page(input, |page| {
                for topic in page {
                    if self.topic_count.is_with(topic, input.first()) {
                        let newest = self.newest_with(topic, runs);
                        self.topic_count.move_on(topic, input.first(), newest);
                    }
                }
                true
            });
            if let Err(fault) = counted {
                tracing::warn!(reason = %fault, "dropped topics will be counted until a restart");
            }
        }
    }

    /// The beginning of the newest file that has records on `topic`.
    pub(crate) fn newest_with(&self, topic: &Topic, runs: &[Run]) -> Option<Position> {
        let (sealed, in_active) = {
            let state = self.read_state();
            let is_there = matches!(state.active.index.topic(topic), Ok(Some(_)));
            (state.sealed.clone(), is_there.then_some(state.active.log.first))
        };
        let has = |segment: &&Arc<Sealed>| {
            let found = self.ask_index(segment, |segment| segment.index.topic(topic));
            matches!(found, Ok(Some(_)))
        };
        in_active.or_else(|| sealed.iter().rev().find(has).map(|segment| segment.first())).or_else(
            || {
                let runs = runs.iter().map(|run| &run.sealed);
                runs.filter(has).map(|run| run.first()).max()
            },
        )
    }
}
