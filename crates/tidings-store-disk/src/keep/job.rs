use std::io;
use std::sync::Arc;

use tidings_hub::{Kind, Position, SlotHash};

use crate::catalogue::LOST_ENDING;
use crate::error::Fault;
use crate::lanes::Lanes;
use crate::lost::Losses;
use crate::record::TopicTexts;
use crate::rules::Rules;
use crate::run::{Run, RunWriter};
use crate::segment::Sealed;
use crate::state::Shared;

use super::choose::{Choice, Choosing, Mode, Verdict};
use super::source::Source;
use super::{Job, Keeper, Rewrite, What};

/// Called with the number of bytes after each write, and now and then with zero: waits, so that
/// others get to the disk; fails if the log is being closed.
pub(crate) type Pause<'a> = dyn FnMut(usize) -> io::Result<()> + 'a;

/// What a job made.
pub(super) struct Made {
    /// New runs, by lane.
    pub(super) runs: Vec<Vec<Run>>,
    /// What it dropped.
    pub(super) losses: Losses,
    /// Number of events that it dropped, by lane.
    pub(super) dropped: Vec<u64>,
    /// Slots of which it dropped what stood for them, each with the position.
    pub(super) forgotten: Vec<(SlotHash, Position)>,
    /// The rules by which the runs are sorted.
    pub(super) rules: Arc<Rules>,
}

/// A job's files, and what is to be done with them.
struct Task<'a> {
    streams: Vec<Vec<Arc<Sealed>>>,
    rules: &'a Arc<Rules>,
    mode: Mode,
    /// The lane of all files, if they are of one.
    lane: Option<usize>,
    /// The lane that is merged as a whole.
    whole: Option<usize>,
    /// Of each lane, whether nothing of it is before the files.
    fronts: Vec<bool>,
}

impl Keeper {
    /// Does a job. If it fails, nothing has changed.
    pub(super) fn run(
        &mut self,
        shared: &Shared,
        job: Job,
        pause: &mut Pause<'_>,
    ) -> Result<(), Fault> {
        // Otherwise what it drops could be noted after that.
        debug_assert!(shared.slots.is_whole(), "rules apply, so the table is whole");
        shared.ensure_format_2().map_err(|error| failed(shared, "mark the format of", error))?;
        let lanes = Arc::clone(&shared.read_state().lanes);
        self.generation = self.generation.max(lanes.generation) + 1;
        let rules = match &job {
            Job::Sort(rules) => Arc::new(rules.clone()),
            // Those of the runs sort the same, unless there are no runs yet.
            _ => shared.rules(),
        };
        let task = task_of(&job, &lanes, &rules);
        let mut writers: Vec<_> = (0..rules.lanes())
            .map(|lane| {
                let policy = rules.policy(lane, &shared.config, 0);
                let bytes_max = policy.run_bytes(&shared.config);
                RunWriter::new(lane, self.generation, shared.identity.epoch, bytes_max)
            })
            .collect();
        let done = write(shared, &task, &mut writers, pause).and_then(|mut made| {
            if let Some(lane) = task.whole {
                made.runs[lane].iter_mut().for_each(|run| run.is_base = true);
            }
            self.commit(shared, &lanes, &job, made)
        });
        if done.is_err() {
            // No catalogue names them. What cannot be removed now is removed at the next opening.
            let lost = format!("{}{LOST_ENDING}", self.generation);
            for file in writers.iter().flat_map(RunWriter::files).chain([lost]) {
                let _ = shared.remove_file(&file);
            }
        }
        done
    }
}

fn task_of<'a>(job: &Job, lanes: &Lanes, rules: &'a Arc<Rules>) -> Task<'a> {
    let files = |runs: &[Run]| runs.iter().map(|run| Arc::clone(&run.sealed)).collect::<Vec<_>>();
    let all_fronts = || vec![true; rules.lanes()];
    match job {
        Job::Sort(_) => {
            let streams = lanes.lanes.iter().map(|lane| files(lane)).collect();
            let fronts = all_fronts();
            Task { streams, rules, mode: Mode::All, lane: None, whole: None, fronts }
        }
        Job::Split(segments) => {
            let streams = vec![segments.clone()];
            let is_empty = |lane| lanes.lanes.get(lane).is_none_or(Vec::is_empty);
            let fronts = (0..rules.lanes()).map(is_empty).collect();
            Task { streams, rules, mode: Mode::ByPolicy, lane: None, whole: None, fronts }
        }
        Job::Rewrite(Rewrite { lane, runs, what }) => {
            let mut fronts = all_fronts();
            let first = |runs: &[Run]| runs.first().map(Run::first);
            fronts[*lane] = first(runs) == first(&lanes.lanes[*lane]);
            Task {
                streams: vec![files(runs)],
                rules,
                mode: if *what == What::Nothing { Mode::Nothing } else { Mode::ByPolicy },
                lane: Some(*lane),
                whole: (*what == What::WholeLane).then_some(*lane),
                fronts,
            }
        }
    }
}

/// Writes the runs of a job, and syncs them.
fn write(
    shared: &Shared,
    task: &Task<'_>,
    writers: &mut [RunWriter],
    pause: &mut Pause<'_>,
) -> Result<Made, Fault> {
    let Task { streams, rules, mode, whole, fronts, .. } = task;
    let unwritten = |error| failed(shared, "write a run to", error);
    let files: Vec<_> = streams.iter().flatten().cloned().collect();
    let what = Choosing { mode: *mode, trimmed: *whole, fronts: fronts.clone() };
    let mut choice =
        Choice::make(shared, rules, &files, what, &mut || pause(0).map_err(unwritten))?;
    let (mut losses, mut forgotten) = (Losses::of(rules.lanes()), Vec::new());
    let mut dropped = vec![0; rules.lanes()];
    let mut texts = TopicTexts::default();
    let mut source = Source::of(streams);
    let mut count = 0_usize;
    while let Some(entry) = source.next()? {
        if count.is_multiple_of(1024) {
            pause(0).map_err(unwritten)?;
        }
        count += 1;
        let head = entry.view.head(&mut texts);
        let head = head.ok_or_else(|| {
            let what = format_args!("record {} cannot be decoded", entry.position);
            Fault::damaged(&shared.config.path, what)
        })?;
        let lane = match task.lane {
            // What is left of an erased record stays where it was.
            Some(lane) if head.kind == Kind::Erased => lane,
            _ => rules.lane_of_record(&head),
        };
        match choice.judge(shared, lane, &head, entry.position, entry.time)? {
            Verdict::Stays(aging) => {
                let added = writers[lane].add(&*shared.disk, &entry, &head, aging, pause);
                added.map_err(unwritten)?;
                continue;
            }
            Verdict::Goes { is_superseded } => {
                losses.note(lane, &head, entry.position, is_superseded);
            }
            Verdict::IsOver => {}
        }
        dropped[lane] += u64::from(head.kind.is_event());
        let slot = choice.slot_to_forget(shared, lane, &head, entry.position);
        forgotten.extend(slot.map(|slot| (slot, entry.position)));
    }
    let mut runs = Vec::with_capacity(writers.len());
    for writer in writers {
        runs.push(writer.finish(&*shared.disk).map_err(unwritten)?);
    }
    Ok(Made { runs, losses, dropped, forgotten, rules: Arc::clone(rules) })
}

pub(super) fn failed(shared: &Shared, action: &'static str, error: io::Error) -> Fault {
    Fault::io(action, &shared.config.path, error)
}
