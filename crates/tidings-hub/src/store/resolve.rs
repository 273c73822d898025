//! The questions a subscriber asks a log before reading it: where to start, and which topics have
//! ended.

use tidings_codec::EventId;

use crate::epoch::Epoch;
use crate::error::{ReadError, ResolveError};
use crate::event_id_form::EventIdForm;
use crate::interest::Interest;
use crate::mark::Mark;
use crate::matcher::Matcher;
use crate::position::Position;
use crate::start::{Outcome, ResetReason, Resolved, Start};
use crate::topic::Topic;

use super::Log;

impl Start {
    /// Finds the position that `self` means in `store`, and the outcome to report to the
    /// subscriber.
    ///
    /// # Errors
    ///
    /// [`ResolveError::NotYet`] for an id ahead of a shared log's copy, and
    /// [`ResolveError::Unproved`] for one that the copy does not know; [`ResolveError::Read`] if
    /// the store cannot be read.
    pub fn resolve(&self, store: &dyn Log, interest: &Interest) -> Result<Resolved, ResolveError> {
        let asked = Asked { store, interest };
        let resumed = |position| asked.begin(position, Outcome::Resumed);
        Ok(match self {
            Self::Live => {
                let head = store.bounds().head;
                Resolved { position: head, told: head, outcome: Outcome::Live }
            }
            Self::Earliest => resumed(Position::ZERO)?,
            Self::Last(count) => resumed(store.catalog().seek_last(interest, *count)?)?,
            Self::Since(moment) => resumed(store.catalog().seek_time(*moment)?)?,
            Self::State(after) => asked.state(after.as_deref())?,
            Self::AfterOrState(id) => match Self::After(id.clone()).resolve(store, interest) {
                Ok(whole) if whole.outcome == Outcome::Resumed => whole,
                Err(error @ ResolveError::Read(_)) => return Err(error),
                // Something is missing of the history, but perhaps nothing of the state.
                after => {
                    store.slots().complete(store)?;
                    asked.state_after(id, after)?
                }
            },
            Self::After(id) | Self::AfterOldest(id) => match store.identity().mark_of(id) {
                Some(mark) => asked.after_own(mark, id)?,
                None => self.after_foreign(asked, id)?,
            },
        })
    }

    /// The start after an id that this log, under this name or another that it had, did not make.
    fn after_foreign(&self, asked: Asked<'_>, id: &str) -> Result<Resolved, ResolveError> {
        let Asked { store, interest } = asked;
        // An id of another hub's log is a publisher's own id here if that hub was piped into this
        // one.
        if let Ok(id) = EventId::new(id) {
            if let Some(fork) = fork_before(store, &id)? {
                return Ok(asked.reset(fork, ResetReason::Replaced, id.as_str())?);
            }
            if let Some(position) = self.find(store, interest, &id)? {
                return Ok(asked.resume(position, id.as_str())?);
            }
        }
        match EventIdForm::of(id, store.identity().epoch) {
            EventIdForm::OtherEpoch(epoch, mark) => {
                let otherwise = asked.replaced(epoch, id)?;
                // A shared log can have got a new name of which this node, or the one that made the
                // id, did not know yet. The check says whether the event is the same.
                match store.shared() {
                    Some(_) if mark.check.is_some() => asked.after_mark(mark, id, otherwise),
                    _ => unless_proved(store, otherwise),
                }
            }
            _ => {
                let otherwise = asked.reset(Position::ZERO, ResetReason::Unknown, id)?;
                unless_proved(store, otherwise)
            }
        }
    }
}

/// A subscriber's interest, and the log that it asks.
#[derive(Clone, Copy)]
struct Asked<'a> {
    store: &'a dyn Log,
    interest: &'a Interest,
}

impl Asked<'_> {
    /// The start with the state, or with what changed in it after `id`.
    fn state(self, id: Option<&str>) -> Result<Resolved, ResolveError> {
        self.store.slots().complete(self.store)?;
        let Some(id) = id else {
            return Ok(self.whole_state(Outcome::State { is_resumed: false }));
        };
        self.state_after(id, Start::After(id.to_owned()).resolve(self.store, self.interest))
    }

    /// The start with what changed in the state after `id`, where history would begin `after` it.
    fn state_after(
        self,
        id: &str,
        after: Result<Resolved, ResolveError>,
    ) -> Result<Resolved, ResolveError> {
        let resumed = match after {
            Ok(resumed) => resumed,
            Err(ResolveError::NotYet { after, otherwise }) => {
                let otherwise = self.whole_state(otherwise.outcome);
                return Err(ResolveError::NotYet { after, otherwise });
            }
            Err(ResolveError::Unproved { otherwise }) => {
                let otherwise = self.whole_state(otherwise.outcome);
                return Err(ResolveError::Unproved { otherwise });
            }
            Err(error) => return Err(error),
        };
        let is_whole = match &resumed.outcome {
            Outcome::Resumed if resumed.position < self.store.slots().erased() => {
                let (reason, requested) = (ResetReason::Erased, id.to_owned());
                return Ok(self.whole_state(Outcome::Reset { reason, requested }));
            }
            Outcome::Resumed => true,
            // What was superseded by something that is still there is not missed.
            Outcome::Reset { reason: ResetReason::Expired, .. } => {
                match self.store.identity().mark_of(id) {
                    None => false,
                    Some(Mark { position, .. }) => {
                        self.store.lost_of_state(self.interest, position)?.is_none()
                    }
                }
            }
            _ => false,
        };
        Ok(match is_whole {
            true => Resolved { outcome: Outcome::State { is_resumed: true }, ..resumed },
            false => self.whole_state(resumed.outcome),
        })
    }

    /// The start of a reader that gets all of the state: whatever is no longer there is not part of
    /// it.
    fn whole_state(self, outcome: Outcome) -> Resolved {
        let bounds = self.store.bounds();
        Resolved { position: bounds.first.previous(), told: bounds.head, outcome }
    }

    /// The start after `mark`, which `id` names in this log.
    fn after_own(self, mark: Mark, id: &str) -> Result<Resolved, ResolveError> {
        if let Some(expired) = self.expired(mark.position, id)? {
            return Ok(expired);
        }
        let is_ahead = mark.position > self.store.bounds().head;
        let reason = if is_ahead { ResetReason::Unknown } else { ResetReason::Replaced };
        match self.after_mark(mark, id, self.reset(Position::ZERO, reason, id)?) {
            // Retention may have dropped the record meanwhile, and its check with it.
            Err(ResolveError::Unproved { .. }) if mark.position < self.store.bounds().first => {
                Ok(self.reset(mark.position, ResetReason::Expired, id)?)
            }
            // A rule has dropped the record between others, and what its check was is not known any
            // more: the id can also be one of an event that the log has lost.
            Err(ResolveError::Unproved { .. }) if !is_ahead && self.has_no_check(mark)? => {
                Ok(self.reset(Position::ZERO, ResetReason::Unknown, id)?)
            }
            start => start,
        }
    }

    /// Whether it is not known which event was at the place of `mark`.
    fn has_no_check(self, mark: Mark) -> Result<bool, ReadError> {
        Ok(self.store.mark(mark.position)?.check.is_none())
    }

    /// The start after `mark`, which `id` names, or `otherwise` if that is no place in this log.
    fn after_mark(
        self,
        mark: Mark,
        id: &str,
        otherwise: Resolved,
    ) -> Result<Resolved, ResolveError> {
        let after = mark.position;
        if after > self.store.bounds().head {
            return match self.store.shared() {
                None => Ok(otherwise),
                Some(_) => Err(ResolveError::NotYet { after, otherwise }),
            };
        }
        if self.store.fits(mark)? {
            return Ok(self.resume(after, id)?);
        }
        unless_proved(self.store, otherwise)
    }

    /// The start after the event with `id`, which is or was at `position`.
    fn resume(self, position: Position, id: &str) -> Result<Resolved, ReadError> {
        match self.expired(position, id)? {
            Some(expired) => Ok(expired),
            None => self.begin(position, Outcome::Resumed),
        }
    }

    /// The start after `position` if the subscriber may have missed something behind it. What is
    /// still there behind it is sent.
    fn expired(self, position: Position, id: &str) -> Result<Option<Resolved>, ReadError> {
        match self.store.lost(self.interest, position)? {
            Some(_) => self.reset(position, ResetReason::Expired, id).map(Some),
            None => Ok(None),
        }
    }

    /// The start of a subscriber with an id of `epoch`, another log. If this log was restored from
    /// a backup of that one, the id is newer than the backup, so the subscriber has seen everything
    /// the backup held.
    fn replaced(self, epoch: Epoch, id: &str) -> Result<Resolved, ReadError> {
        let former = self.store.identity().former.iter().find(|name| name.epoch == epoch);
        let position = former.map_or(Position::ZERO, |name| name.upto);
        self.reset(position, ResetReason::Replaced, id)
    }

    fn reset(
        self,
        position: Position,
        reason: ResetReason,
        requested: &str,
    ) -> Result<Resolved, ReadError> {
        self.begin(position, Outcome::Reset { reason, requested: requested.to_owned() })
    }

    /// The start with what there is after `position`: what is lost by now is either announced with
    /// the outcome, or not asked for.
    fn begin(self, position: Position, outcome: Outcome) -> Result<Resolved, ReadError> {
        let position = position.max(self.store.bounds().first.previous());
        let told = self.store.lost(self.interest, position)?.unwrap_or(position);
        Ok(Resolved { position, told, outcome })
    }
}

/// `otherwise`, which a shared log has to prove first.
fn unless_proved(store: &dyn Log, otherwise: Resolved) -> Result<Resolved, ResolveError> {
    match store.shared() {
        None => Ok(otherwise),
        Some(_) => Err(ResolveError::Unproved { otherwise }),
    }
}

/// Where the log differs from the one that had an event with the publisher's own `id`, if that
/// event was lost.
fn fork_before(store: &dyn Log, id: &EventId) -> Result<Option<Position>, ReadError> {
    Ok(store.shared().map(|shared| shared.fork_before(id)).transpose()?.flatten())
}

impl Start {
    /// The position of the event with a publisher's own id; `None` if the log does not have the id,
    /// or if events after the one that was meant may be before that position.
    fn find(
        &self,
        store: &dyn Log,
        interest: &Interest,
        id: &EventId,
    ) -> Result<Option<Position>, ReadError> {
        let anywhere = store.catalog().find(id, &[Matcher::All])?;
        if anywhere.is_none() || matches!(self, Self::AfterOldest(_)) {
            return Ok(anywhere);
        }
        let requested = store.catalog().find(id, interest.wanted())?;
        // Read after the look-up: records that retention drops meanwhile count as dropped.
        let is_whole = store.lost(interest, Position::ZERO)?.is_none();
        Ok(requested.or(anywhere.filter(|_| is_whole)))
    }
}

impl Interest {
    /// The topics that have ended, each with the position of its end, if only exact topics are
    /// wanted: a pattern never ends, as it may match a new topic. The ends of topics that the
    /// subscriber may not read are left out.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store cannot be read.
    pub fn ended_topics(&self, store: &dyn Log) -> Result<Vec<(Topic, Position)>, ReadError> {
        let mut ended = Vec::new();
        for topic in self.exact_topics().unwrap_or_default() {
            let state = store.catalog().topic(topic)?.filter(|state| state.ended);
            if let Some(state) = state.filter(|_| self.may_read(topic)) {
                ended.push((state.topic, state.last));
            }
        }
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Draft, Epoch, MemoryStore, Timestamp, Topic};

    fn store() -> MemoryStore {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let store = MemoryStore::new(epoch, 2000, Duration::from_secs(60));
        let mut drafts = vec![Draft::new(Topic::new("a").expect("a valid topic"), "x"); 20];
        drafts[18].id = EventId::new("upstrm:2").ok();
        drafts[17].id = EventId::new("mine").ok();
        store.append(drafts, Timestamp::default()).expect("memory takes everything");
        store
    }

    /// A start in a log that drops the oldest records first.
    fn at(position: Position, outcome: Outcome) -> Resolved {
        Resolved { position, told: position, outcome }
    }

    fn resolve(id: &str) -> Resolved {
        let start = Start::After(id.to_owned());
        start.resolve(&store(), &Interest::everything()).expect("memory can be read")
    }

    #[test]
    fn an_id_that_is_known_resumes_whoever_made_it() {
        for (id, position) in [("k7q2ma:19", 19), ("mine", 18), ("upstrm:2", 19)] {
            assert_eq!(resolve(id), at(Position::new(position), Outcome::Resumed), "{id}");
        }
    }

    /// A log of events, each with a topic and an id; unless `is_whole`, its first events have been
    /// dropped.
    fn log_of(events: &[(&str, &str)], is_whole: bool) -> MemoryStore {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let bytes = if is_whole { 1 << 20 } else { 2000 };
        let store = MemoryStore::new(epoch, bytes, Duration::from_secs(60));
        let before = if is_whole { 0 } else { 20 };
        let events = std::iter::repeat_n(("before", ""), before).chain(events.iter().copied());
        let drafts = events.map(|(topic, id)| Draft {
            id: EventId::new(id).ok().filter(|id| !id.as_str().is_empty()),
            ..Draft::new(Topic::new(topic).expect("a valid topic"), "x")
        });
        store.append(drafts.collect(), Timestamp::default()).expect("memory takes everything");
        store
    }

    fn requesting(topics: &[&str]) -> Interest {
        let topics = topics.iter().map(|name| Matcher::parse(name).expect("a valid matcher"));
        let topics: Vec<_> = topics.collect();
        Interest::new(topics.clone(), topics)
    }

    #[test]
    fn an_id_of_several_topics_is_that_of_the_oldest_event_on_a_requested_topic() {
        let store = log_of(&[("c", "5"), ("a", "5"), ("b", ""), ("b", "5")], true);
        let start = Start::After("5".to_owned());
        for (requested, position) in [
            (&["a"][..], 2),
            (&["b"], 4),
            (&["a", "b"], 2),
            (&["b", "a", "d"], 2),
            (&["*"], 1),
            // No requested topic ever had the id: the caller had others before.
            (&["d"], 1),
            (&["d", "e/**"], 1),
        ] {
            let resolved = start.resolve(&store, &requesting(requested)).expect("memory");
            assert_eq!(resolved, at(Position::new(position), Outcome::Resumed), "{requested:?}");
        }
    }

    #[test]
    fn an_id_of_other_topics_resets_once_a_requested_topic_may_have_lost_its_own() {
        let store = log_of(&[("b", ""), ("a", "5"), ("b", "")], false);
        let oldest = store.bounds().first.previous();
        assert!(oldest > Position::ZERO, "retention has dropped something");
        let start = Start::After("5".to_owned());
        let resolve = |start: &Start, requested| {
            start.resolve(&store, &requesting(requested)).expect("memory can be read")
        };
        let requested = "5".to_owned();
        let outcome = Outcome::Reset { reason: ResetReason::Unknown, requested };
        assert_eq!(resolve(&start, &["b"]), at(oldest, outcome));
        let place = at(Position::new(22), Outcome::Resumed);
        assert_eq!(resolve(&start, &["a", "b"]), place);
        // Where an id is one for all topics, there is no uncertainty.
        assert_eq!(resolve(&Start::AfterOldest("5".to_owned()), &["b"]), place);
    }

    #[test]
    fn an_id_that_is_one_for_all_topics_begins_after_its_oldest_event_whatever_is_requested() {
        let store = log_of(&[("a", "5"), ("b", ""), ("b", "5")], true);
        let start = Start::AfterOldest("5".to_owned());
        for requested in [&["a", "b"][..], &["b"], &["c"]] {
            let resolved = start.resolve(&store, &requesting(requested)).expect("memory");
            assert_eq!(resolved.position, Position::new(1), "{requested:?}");
        }
    }

    #[test]
    fn an_id_that_is_not_known_resets_to_the_oldest_event_and_says_why() {
        let oldest = store().bounds().first.previous();
        assert!(oldest > Position::ZERO, "retention has dropped something");
        for (id, reason) in [
            ("k7q2ma:1", ResetReason::Expired),
            ("k7q2ma:99", ResetReason::Unknown),
            ("upstrm:3", ResetReason::Replaced),
            ("never", ResetReason::Unknown),
            ("", ResetReason::Unknown),
        ] {
            let outcome = Outcome::Reset { reason, requested: id.to_owned() };
            assert_eq!(resolve(id), at(oldest, outcome), "{id:?}");
        }
    }
}
