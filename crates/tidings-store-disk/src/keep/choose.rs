//! Which records stay.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tidings_hub::{Draft, Kind, Position, ReadQuery, SlotHash, Timestamp, Topic};

use crate::error::Fault;
use crate::mistake::Mistake;
use crate::rule::Promise;
use crate::rules::{Policy, REST, Rules};
use crate::segment::Sealed;
use crate::state::Shared;

use super::promised::{Finder, Held, Promised};

/// Decides for the records of a job, which it must be asked in log order.
pub(super) struct Choice {
    policies: Vec<Policy>,
    now: Timestamp,
    mode: Mode,
    /// Of each lane, whether nothing of it is before the files.
    fronts: Vec<bool>,
    promised: Promised,
    ends: HashMap<Topic, Option<Timestamp>, RandomState>,
}

/// What is asked of a choice.
pub(super) struct Choosing {
    pub(super) mode: Mode,
    /// The lane that is held to its bytes.
    pub(super) trimmed: Option<usize>,
    /// Of each lane, whether nothing of it is before the files.
    pub(super) fronts: Vec<bool>,
}

/// How records are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Everything stays.
    All,
    /// Nothing stays.
    Nothing,
    /// What the policies say.
    ByPolicy,
}

/// The outcome for one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays; if that is only until it is too old, with the time from which its age counts.
    Stays(Option<Timestamp>),
    /// It goes.
    Goes {
        /// Whether a later record that stays stands for its slot: then no reader of the state
        /// misses it.
        is_superseded: bool,
    },
    /// It goes, and nobody could have had it any more.
    IsOver,
}

impl Choice {
    /// Reads the `files` if lanes promise something, or if records with keys may have to stay
    /// because of older ones. With `trimmed`, they are all files of that lane, and it is held to
    /// its bytes.
    pub(super) fn make(
        shared: &Shared,
        rules: &Rules,
        files: &[Arc<Sealed>],
        what: Choosing,
        go_on: &mut dyn FnMut() -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        let Choosing { mode, trimmed, fronts } = what;
        let hot_bytes = shared.read_state().hot_bytes();
        let policies: Vec<_> =
            (0..rules.lanes()).map(|lane| rules.policy(lane, &shared.config, hot_bytes)).collect();
        let now = shared.now();
        let may_be_older = fronts.contains(&false) && shared.slots.keys() > 0;
        let promises = policies.iter().any(|policy| policy.promise.is_some());
        let mut promised = Promised::default();
        if mode == Mode::ByPolicy && (promises || may_be_older) {
            let slots = &shared.slots;
            let finder = Finder { rules, policies: &policies, fronts: &fronts, slots, now };
            promised = finder.find(files, go_on)?;
            if let Some(lane) = trimmed {
                promised.trim(policies[lane].bytes);
            }
        }
        Ok(Self { policies, now, mode, fronts, promised, ends: HashMap::default() })
    }

    /// Whether the next record stays.
    pub(super) fn judge(
        &mut self,
        shared: &Shared,
        lane: usize,
        record: &Draft,
        position: Position,
        time: Timestamp,
    ) -> Result<Verdict, Fault> {
        let Held { is_promised, stands } = self.promised.take_next();
        // What no rule has judged yet is to be judged once it may be too old for the rule.
        if self.mode == Mode::All {
            return Ok(Verdict::Stays(Some(time)));
        }
        if record.kind == Kind::Erased {
            // Its place says which id a publisher may not use again, for as long as other events.
            let is_young = self.policies[REST].is_young(time, self.now);
            let stays = is_young && self.mode == Mode::ByPolicy;
            return Ok(if stays { Verdict::Stays(None) } else { Verdict::IsOver });
        }
        let policy = self.policies[lane];
        let has_state = policy.promise == Some(Promise::State);
        let is_over = record.is_over(time, self.now);
        // What it superseded must not stand for its slot again, and may stay for as long.
        let stands_for_slot = || {
            let slot = shared.slots.slot_of(record).filter(|_| policy.promise.is_none());
            stands || slot.is_some_and(|slot| shared.slots.stands(slot, position))
        };
        if is_over && !(self.mode == Mode::ByPolicy && stands_for_slot()) {
            return Ok(Verdict::IsOver);
        }
        let has_slot = || shared.slots.slot_of(record).is_some();
        let is_superseded = (has_state && !stands && self.mode == Mode::ByPolicy && has_slot())
            || Mistake::RemovalGoesUnseen.is_planted();
        let goes = if is_over { Verdict::IsOver } else { Verdict::Goes { is_superseded } };
        if self.mode == Mode::Nothing {
            return Ok(goes);
        }
        let is_young = policy.is_young(time, self.now);
        // Older records of its slot may be in files that are none of this job's.
        let is_needed = stands && !self.fronts[lane] && !Mistake::RemovalTooEarly.is_planted();
        if policy.promise.is_some() {
            return Ok(if is_promised {
                Verdict::Stays(None)
            } else if is_young && position > self.promised.trimmed_upto {
                Verdict::Stays(Some(time))
            } else if is_needed {
                Verdict::Stays(None)
            } else {
                goes
            });
        }
        if is_young || is_needed {
            return Ok(Verdict::Stays(is_young.then_some(time)));
        }
        // All of an ended topic goes together.
        Ok(match self.end_of(shared, &record.topic)? {
            Some(end) if policy.is_young(end, self.now) => Verdict::Stays(Some(end)),
            _ => goes,
        })
    }

    /// What to forget of a record that goes: the slot that it stands for, alone or with others. One
    /// without a key is kept in mind as long as older ones may be there, which it superseded.
    pub(super) fn slot_to_forget(
        &self,
        shared: &Shared,
        lane: usize,
        record: &Draft,
        position: Position,
    ) -> Option<SlotHash> {
        let slot = shared.slots.slot_of(record)?;
        let may_forget = record.key.is_some() || self.fronts[lane];
        (may_forget && shared.slots.stands(slot, position)).then_some(slot)
    }

    /// When the topic ended, if it has.
    fn end_of(&mut self, shared: &Shared, topic: &Topic) -> Result<Option<Timestamp>, Fault> {
        if let Some(end) = self.ends.get(topic) {
            return Ok(*end);
        }
        let state = shared.topic(topic)?.filter(|state| state.ended);
        let end = match state {
            None => None,
            Some(state) => {
                let page = shared.read(&ReadQuery::one(state.last)).map_err(|error| {
                    Fault::damaged(&shared.config.path, format_args!("the end of {topic}: {error}"))
                })?;
                page.records.first().map(|record| record.time())
            }
        };
        self.ends.insert(topic.clone(), end);
        Ok(end)
    }
}
