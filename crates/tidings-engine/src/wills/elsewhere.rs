//! The wills of publishers at the other hubs of a shared log.
//!
//! Whether another hub still runs is decided in the log: a hub that doubts it asks there, and a hub
//! that runs answers there. What is carried out is appended on the condition that no note has come
//! since the notes were last read: so an answer, the publisher's own end, or another hub that
//! carries it out, is either before it and forbids it, or after it and too late.
//!
//! Why so: `docs/decisions/0066-wills-are-notes-in-the-log.md`.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tidings_hub::Position;

use super::note::Note;
use crate::limits::{HUB_ASK_INTERVAL, LEFT_HUBS_MAX, WILLS_ELSEWHERE_MAX};

/// What is known of the other hubs, and of the wills there.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    /// The run of this hub.
    own: u32,
    /// Time that a hub has to answer.
    patience: Duration,
    wills: BTreeMap<Position, WillElsewhere>,
    /// The hubs that have wills.
    hubs: BTreeMap<u32, HubElsewhere>,
    /// Hubs that have left, as others say; the oldest in front.
    left: VecDeque<u32>,
    is_full: bool,
}

#[derive(Clone, Copy, Debug)]
struct WillElsewhere {
    run: u32,
    /// Where its hub has noted the loss of its publisher.
    lost: Option<Position>,
    /// Time that others have to go on.
    patience: Duration,
    /// Nothing is tried before this time.
    pause_end: Option<Instant>,
}

#[derive(Debug)]
struct HubElsewhere {
    /// Number of its wills; it is forgotten when there are none.
    wills: usize,
    stage: HubStage,
}

#[derive(Clone, Copy, Debug)]
enum HubStage {
    /// It is taken to run. It is asked at this time.
    Heard { ask_at: Instant },
    /// It was asked, and has not answered.
    Asked {
        /// By the note at this position,
        at: Position,
        /// which was found at this time.
        since: Instant,
        /// It is taken to be dead at this time.
        due: Instant,
    },
}

/// What is to be done about the other hubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Ask whether this hub is there.
    Ask(u32),
    /// Carry out a will, unless somebody has published to its topic after `mark`.
    CarryOut { will: Position, run: u32, mark: Position },
}

impl Elsewhere {
    pub(crate) fn new(own: u32, patience: Duration) -> Self {
        Self {
            own,
            patience,
            wills: BTreeMap::new(),
            hubs: BTreeMap::new(),
            left: VecDeque::new(),
            is_full: false,
        }
    }

    /// Adds a will that was there when this hub started: whether its hub still runs is not known.
    pub(crate) fn find(
        &mut self,
        will: Position,
        run: u32,
        lost: Option<Position>,
        patience: Duration,
        now: Instant,
    ) {
        self.add(will, WillElsewhere { run, lost, patience, pause_end: None }, now);
        self.suspect(run, now);
    }

    /// Takes note of `note`. Returns whether this hub has to answer it.
    pub(crate) fn note(&mut self, position: Position, note: &Note, now: Instant) -> bool {
        match note {
            // A hub of an older version answers nobody. Its wills wait for a hub that starts.
            Note::Will(_, None) => {}
            Note::Will(_, Some(run)) if *run == self.own => {}
            Note::Will(will, Some(run)) => {
                let (run, patience) = (*run, will.patience);
                self.is_there(run, position, now);
                let will = WillElsewhere { run, lost: None, patience, pause_end: None };
                self.add(position, will, now);
            }
            Note::Lost(will) => {
                if let Some(will) = self.wills.get_mut(will) {
                    will.lost = Some(position);
                }
            }
            Note::Done(will) => self.remove(*will),
            Note::Asked { run, .. } if *run == self.own => return true,
            Note::Asked { run, by } => self.asked(*run, *by, position, now),
            Note::There(run) => {
                self.left.retain(|left| left != run);
                self.is_there(*run, position, now);
            }
        }
        false
    }

    /// The hub `by` has asked, at `position`, whether the hub `run` is there. It has the first turn
    /// to carry out what is left there.
    pub(crate) fn asked(&mut self, run: u32, by: u32, position: Position, now: Instant) {
        let turns = if by == self.own { 1 } else { 2 };
        let own_due = now + self.patience * turns;
        let Some(hub) = self.hubs.get_mut(&run) else { return };
        hub.stage = match hub.stage {
            HubStage::Heard { .. } => HubStage::Asked { at: position, since: now, due: own_due },
            HubStage::Asked { at, since, due } => {
                HubStage::Asked { at, since, due: due.min(own_due) }
            }
        };
    }

    /// The others no longer hear the hub `run`, or it has said that it leaves.
    pub(crate) fn hub_left(&mut self, run: u32, now: Instant) {
        self.left.retain(|left| *left != run);
        if self.left.len() >= LEFT_HUBS_MAX {
            self.left.pop_front();
        }
        self.left.push_back(run);
        self.suspect(run, now);
    }

    /// The will is crossed out, or no longer in the log.
    pub(crate) fn remove(&mut self, will: Position) {
        let Some(WillElsewhere { run, .. }) = self.wills.remove(&will) else { return };
        self.is_full = false;
        if let Some(hub) = self.hubs.get_mut(&run) {
            hub.wills -= 1;
            if hub.wills == 0 {
                self.hubs.remove(&run);
            }
        }
    }

    /// What was to be done has failed: it is tried again then.
    pub(crate) fn pause(&mut self, errand: Errand, end: Instant) {
        match errand {
            Errand::Ask(run) => {
                if let Some(HubElsewhere { stage: HubStage::Heard { ask_at }, .. }) =
                    self.hubs.get_mut(&run)
                {
                    *ask_at = end;
                }
            }
            Errand::CarryOut { will, .. } => {
                if let Some(will) = self.wills.get_mut(&will) {
                    will.pause_end = Some(end);
                }
            }
        }
    }

    /// What is to be done first, and when.
    pub(crate) fn next(&self) -> Option<(Instant, Errand)> {
        let asks = self.hubs.iter().filter_map(|(run, hub)| match hub.stage {
            HubStage::Heard { ask_at } => Some((ask_at, Errand::Ask(*run))),
            HubStage::Asked { .. } => None,
        });
        let first = asks.min_by_key(|(time, _)| *time);
        let is_asked = |hub: &HubElsewhere| matches!(hub.stage, HubStage::Asked { .. });
        if !self.hubs.values().any(is_asked) {
            return first;
        }
        let wills = self.wills.iter().filter_map(|(position, will)| {
            let WillElsewhere { run, lost, patience, pause_end } = *will;
            let HubStage::Asked { at, since, due } = self.hubs.get(&run)?.stage else {
                return None;
            };
            let due = due.max(since + patience).max(pause_end.unwrap_or(due));
            let mark = lost.unwrap_or(at);
            Some((due, Errand::CarryOut { will: *position, run, mark }))
        });
        first.into_iter().chain(wills).min_by_key(|(time, _)| *time)
    }

    fn add(&mut self, position: Position, will: WillElsewhere, now: Instant) {
        if self.wills.len() >= WILLS_ELSEWHERE_MAX {
            if !std::mem::replace(&mut self.is_full, true) {
                tracing::warn!(
                    "there are more last wills at other hubs than this hub can remember; further \
                     ones are left to the others"
                );
            }
            return;
        }
        if self.wills.insert(position, will).is_some() {
            return;
        }
        let ask_at = if self.left.contains(&will.run) { now } else { now + HUB_ASK_INTERVAL };
        let stage = HubStage::Heard { ask_at };
        let hub = self.hubs.entry(will.run).or_insert(HubElsewhere { wills: 0, stage });
        hub.wills += 1;
    }

    /// The hub is to be asked now.
    fn suspect(&mut self, run: u32, now: Instant) {
        if let Some(HubElsewhere { stage: HubStage::Heard { ask_at }, .. }) =
            self.hubs.get_mut(&run)
        {
            *ask_at = now.min(*ask_at);
        }
    }

    /// The hub has noted something at `position`.
    fn is_there(&mut self, run: u32, position: Position, now: Instant) {
        let Some(hub) = self.hubs.get_mut(&run) else { return };
        // What it noted before it was asked is no answer.
        if !matches!(hub.stage, HubStage::Asked { at, .. } if position < at) {
            let ask_at = if self.left.contains(&run) { now } else { now + HUB_ASK_INTERVAL };
            hub.stage = HubStage::Heard { ask_at };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::Topic;

    use super::super::last_will::LastWill;
    use super::*;

    const OWN: u32 = 1;
    const PATIENCE: Duration = Duration::from_secs(20);

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    fn will(run: u32, patience: Duration) -> Note {
        let topic = Topic::new("run").unwrap();
        let will = LastWill { topic, event_type: None, data: "gone".into(), patience };
        Note::Will(will, Some(run))
    }

    /// What a hub knows that has found the will of the hub 2 at 5, at `now`.
    fn knowing(now: Instant) -> Elsewhere {
        let mut elsewhere = Elsewhere::new(OWN, PATIENCE);
        assert!(!elsewhere.note(at(5), &will(2, Duration::from_secs(1)), now));
        elsewhere
    }

    fn carry_out(mark: u64) -> Errand {
        Errand::CarryOut { will: at(5), run: 2, mark: at(mark) }
    }

    #[test]
    fn a_hub_that_has_left_is_asked_and_its_will_carried_out_unless_it_answers() {
        let now = Instant::now();
        let mut elsewhere = knowing(now);
        assert_eq!(elsewhere.next(), Some((now + HUB_ASK_INTERVAL, Errand::Ask(2))));
        elsewhere.hub_left(2, now);
        assert_eq!(elsewhere.next(), Some((now, Errand::Ask(2))));
        elsewhere.asked(2, OWN, at(9), now);
        assert_eq!(elsewhere.next(), Some((now + PATIENCE, carry_out(9))));
        // The note of the own question is read as well.
        elsewhere.note(at(9), &Note::Asked { run: 2, by: OWN }, now + PATIENCE / 2);
        assert_eq!(elsewhere.next(), Some((now + PATIENCE, carry_out(9))));
        elsewhere.note(at(8), &Note::There(2), now);
        assert_eq!(elsewhere.next(), Some((now + PATIENCE, carry_out(9))), "no answer to that");
        elsewhere.note(at(10), &Note::There(2), now);
        assert_eq!(elsewhere.next(), Some((now + HUB_ASK_INTERVAL, Errand::Ask(2))));
        elsewhere.note(at(11), &Note::Done(at(5)), now);
        assert_eq!(elsewhere.next(), None);
    }

    #[test]
    fn the_hub_that_has_asked_has_the_first_turn_and_another_one_the_next() {
        let now = Instant::now();
        let mut elsewhere = knowing(now);
        elsewhere.note(at(9), &Note::Asked { run: 2, by: 3 }, now);
        assert_eq!(elsewhere.next(), Some((now + PATIENCE * 2, carry_out(9))));
        elsewhere.note(at(10), &Note::Asked { run: 2, by: 4 }, now + PATIENCE / 2);
        assert_eq!(elsewhere.next(), Some((now + PATIENCE * 2, carry_out(9))));
        elsewhere.asked(2, OWN, at(11), now);
        assert_eq!(elsewhere.next(), Some((now + PATIENCE, carry_out(9))));
    }

    #[test]
    fn a_will_has_its_own_time_and_what_goes_on_counts_from_the_loss() {
        let now = Instant::now();
        let mut elsewhere = Elsewhere::new(OWN, PATIENCE);
        elsewhere.find(at(5), 2, None, PATIENCE * 3, now);
        elsewhere.note(at(7), &Note::Lost(at(5)), now);
        assert_eq!(elsewhere.next(), Some((now, Errand::Ask(2))), "found at the start");
        elsewhere.asked(2, OWN, at(9), now);
        assert_eq!(elsewhere.next(), Some((now + PATIENCE * 3, carry_out(7))));
        elsewhere.pause(carry_out(7), now + PATIENCE * 4);
        assert_eq!(elsewhere.next(), Some((now + PATIENCE * 4, carry_out(7))));
    }

    #[test]
    fn a_will_that_is_found_after_its_hub_has_left_is_asked_for_at_once() {
        let now = Instant::now();
        let mut elsewhere = Elsewhere::new(OWN, PATIENCE);
        elsewhere.hub_left(2, now);
        assert_eq!(elsewhere.next(), None);
        elsewhere.note(at(5), &will(2, PATIENCE), now);
        elsewhere.note(at(6), &will(2, PATIENCE), now);
        assert_eq!(elsewhere.next(), Some((now, Errand::Ask(2))));
        // It was only not heard.
        elsewhere.asked(2, OWN, at(7), now);
        elsewhere.note(at(8), &Note::There(2), now);
        assert_eq!(elsewhere.next(), Some((now + HUB_ASK_INTERVAL, Errand::Ask(2))));
    }

    #[test]
    fn a_question_about_this_hub_is_answered_and_its_own_wills_are_not_elsewhere() {
        let now = Instant::now();
        let mut elsewhere = Elsewhere::new(OWN, PATIENCE);
        assert!(elsewhere.note(at(1), &Note::Asked { run: OWN, by: 2 }, now));
        assert!(!elsewhere.note(at(2), &Note::Asked { run: 3, by: 2 }, now));
        elsewhere.note(at(3), &will(OWN, PATIENCE), now);
        assert_eq!(elsewhere.next(), None);
    }

    #[test]
    fn there_is_room_for_a_bounded_number_of_wills() {
        let now = Instant::now();
        let mut elsewhere = Elsewhere::new(OWN, PATIENCE);
        for position in 1..=WILLS_ELSEWHERE_MAX as u64 + 7 {
            elsewhere.find(at(position), 2, None, PATIENCE, now);
        }
        assert_eq!(elsewhere.wills.len(), WILLS_ELSEWHERE_MAX);
        for position in 1..=WILLS_ELSEWHERE_MAX as u64 + 7 {
            elsewhere.remove(at(position));
        }
        assert!(elsewhere.hubs.is_empty());
    }
}
