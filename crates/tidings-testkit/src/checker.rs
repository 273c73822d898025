//! Compares what all subscribers of a topic got with the log that the hubs have in the end.
//!
//! Every subscriber began at the start of the log. It must have every event once and in the order
//! of the log up to the end, or have been given a reset in between; nobody who holds the id of an
//! event of the log may get a reset; nobody may get an event that nobody published.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::transcript::{Entry, Seen};

/// What is known of a run.
#[derive(Debug, Default)]
pub struct Run {
    /// The log in the end, as each hub shows it.
    pub logs: Vec<Vec<Seen>>,
    /// What publishers were told is stored.
    pub acknowledged: Vec<Seen>,
    /// Every number that was published, acknowledged or not.
    pub published: HashSet<u64>,
    /// Events that the engine was made to lose.
    pub lost: HashSet<Seen>,
}

/// Faults by their kind. In a run without any, all are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Hubs whose log differs from that of the first.
    pub logs_that_differ: usize,
    /// Acknowledged events that are not in the log, though the engine was not made to lose them.
    pub acknowledged_and_missing: usize,
    /// Events that are in the log more than once.
    pub twice_in_the_log: usize,
    /// Events that a subscriber never got.
    pub lost: usize,
    /// Events that a subscriber got twice without a reset in between.
    pub twice: usize,
    /// Events that a subscriber got after a later one.
    pub out_of_order: usize,
    /// Events with another id than in the log.
    pub other_id: usize,
    /// Events that nobody published, or that are in no log, with the subscribers and in the log.
    pub foreign: usize,
    /// Resets of subscribers whose place is in the log.
    pub needless_resets: usize,
    /// Subscribers that hold an event that the engine lost, and were not told.
    pub untold: usize,
    /// Resets that had a cause. They are no fault.
    pub resets: usize,
}

impl Findings {
    /// Whether anything is wrong.
    pub fn is_wrong(&self) -> bool {
        *self != Self { resets: self.resets, ..Self::default() }
    }

    fn check_log(&mut self, run: &Run) {
        let Some(log) = run.logs.first() else { return };
        self.logs_that_differ = run.logs.iter().filter(|other| *other != log).count();
        let there: HashSet<Seen> = log.iter().copied().collect();
        let numbers: HashSet<u64> = log.iter().map(|seen| seen.number).collect();
        self.twice_in_the_log = log.len() - numbers.len();
        self.foreign += numbers.difference(&run.published).count();
        let is_missing = |seen: &&Seen| !there.contains(*seen) && !run.lost.contains(*seen);
        self.acknowledged_and_missing = run.acknowledged.iter().filter(is_missing).count();
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, twice, out_of_order, resets, needless_resets, .. } = self;
        write!(f, "{lost} lost, {twice} twice, {out_of_order} out of order, ")?;
        write!(f, "{} resets of which {needless_resets} have no cause", resets + needless_resets)?;
        let rest = [
            (self.logs_that_differ, "hubs have another log"),
            (self.acknowledged_and_missing, "acknowledged events are not in the log"),
            (self.twice_in_the_log, "events are in the log twice"),
            (self.other_id, "events with another id"),
            (self.foreign, "events that nobody published"),
            (self.untold, "subscribers that hold a lost event and were not told"),
        ];
        for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        Ok(())
    }
}

/// Checks the log and every transcript of a run.
pub fn check<'a>(run: &Run, transcripts: impl IntoIterator<Item = &'a [Entry]>) -> Findings {
    let mut findings = Findings::default();
    findings.check_log(run);
    let log = run.logs.first().map_or(&[][..], Vec::as_slice);
    let places = log.iter().enumerate().map(|(place, seen)| (seen.number, place)).collect();
    let lost_ids = run.lost.iter().map(|seen| seen.id).collect();
    let mut reader = Reader { run, log, places, lost_ids };
    for transcript in transcripts {
        reader.read(transcript, &mut findings);
    }
    findings
}

/// Reads transcripts beside the log.
struct Reader<'a> {
    run: &'a Run,
    log: &'a [Seen],
    places: HashMap<u64, usize>,
    lost_ids: HashSet<u64>,
}

/// A place in a transcript.
struct Progress {
    /// The place in the log of the next event; `None` after a reset, which may lead anywhere.
    next: Option<usize>,
    /// Which places of the log were read since the last reset.
    read: Vec<bool>,
    /// Whether an event that the engine lost was read since.
    holds_lost: bool,
}

impl Reader<'_> {
    fn read(&mut self, transcript: &[Entry], findings: &mut Findings) {
        let fresh = |next| Progress { next, read: vec![false; self.log.len()], holds_lost: false };
        let mut progress = fresh(Some(0));
        for entry in transcript {
            match entry {
                Entry::Event(seen) => self.event(*seen, &mut progress, findings),
                Entry::Foreign => findings.foreign += 1,
                Entry::Reset { after } => {
                    let has_cause = after.is_some_and(|id| self.lost_ids.contains(&id));
                    findings.resets += usize::from(has_cause);
                    findings.needless_resets += usize::from(!has_cause);
                    progress = fresh(None);
                }
            }
        }
        findings.untold += usize::from(progress.holds_lost);
        match progress.next {
            Some(next) => findings.lost += self.log.len() - next,
            // A reset, and then nothing of a log that has something.
            None => findings.lost += usize::from(!self.log.is_empty()),
        }
    }

    fn event(&self, seen: Seen, progress: &mut Progress, findings: &mut Findings) {
        if self.run.lost.contains(&seen) {
            progress.holds_lost = true;
            return;
        }
        let Some(&place) = self.places.get(&seen.number) else {
            findings.foreign += 1;
            return;
        };
        if progress.holds_lost {
            // It went on as if nothing had happened.
            progress.holds_lost = false;
            findings.untold += 1;
        }
        findings.other_id += usize::from(self.log[place].id != seen.id);
        let next = progress.next.unwrap_or(place);
        if progress.read[place] {
            findings.twice += 1;
        } else if place < next {
            // What was thought lost came late.
            findings.out_of_order += 1;
            findings.lost = findings.lost.saturating_sub(1);
        } else {
            findings.lost += place - next;
        }
        progress.read[place] = true;
        progress.next = Some(next.max(place + 1));
    }
}
