//! The questions a subscriber asks a log before reading it: where to start, and which topics have
//! ended.

use tidings_codec::EventId;

use crate::epoch::Epoch;
use crate::error::ReadError;
use crate::interest::Interest;
use crate::matcher::Matcher;
use crate::position::{EventIdForm, Position};
use crate::start::{Outcome, ResetReason, Resolved, Start};
use crate::topic::Topic;

use super::Log;

impl Start {
    /// Finds the position that `self` means in `store`, and the outcome to report to the
    /// subscriber.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store cannot be read.
    pub fn resolve(&self, store: &dyn Log, interest: &Interest) -> Result<Resolved, ReadError> {
        let bounds = store.bounds();
        let oldest = bounds.first.previous();
        let resumed = |position: Position| Resolved {
            position: position.max(oldest),
            outcome: Outcome::Resumed,
        };
        match self {
            Self::Live => Ok(Resolved { position: bounds.head, outcome: Outcome::Live }),
            Self::Earliest => Ok(resumed(oldest)),
            Self::Last(count) => Ok(resumed(store.catalog().seek_last(interest, *count)?)),
            Self::Since(moment) => Ok(resumed(store.catalog().seek_time(*moment)?)),
            Self::After(id) | Self::AfterOldest(id) => {
                let reason = match store.identity().position_of(id) {
                    Some(position) if position < oldest => ResetReason::Expired,
                    Some(position) if position > bounds.head => ResetReason::Unknown,
                    Some(position) => return Ok(resumed(position)),
                    None => {
                        // An id of another hub's log is a publisher's own id here if that hub was
                        // piped into this one.
                        if let Ok(id) = EventId::new(id)
                            && let Some(position) = self.find(store, interest, &id)?
                        {
                            return Ok(resumed(position));
                        }
                        match EventIdForm::of(id, store.identity().epoch) {
                            EventIdForm::OtherEpoch(epoch, _) => {
                                return Ok(replaced(store, epoch, oldest, id));
                            }
                            _ => ResetReason::Unknown,
                        }
                    }
                };
                // Any event still in the log may have been missed, so all of them are sent.
                Ok(Resolved {
                    position: oldest,
                    outcome: Outcome::Reset { reason, requested: id.clone() },
                })
            }
        }
    }
}

impl Start {
    /// The position of the event with a publisher's own id.
    fn find(
        &self,
        store: &dyn Log,
        interest: &Interest,
        id: &EventId,
    ) -> Result<Option<Position>, ReadError> {
        let oldest = store.catalog().find(id, &[Matcher::All])?;
        match self {
            Self::After(_) if oldest.is_some() => {
                Ok(store.catalog().find(id, interest.wanted())?.or(oldest))
            }
            _ => Ok(oldest),
        }
    }
}

/// The start of a subscriber with an id of `epoch`, another log. If this log was restored from a
/// backup of that one, the id is newer than the backup, so the subscriber has seen everything the
/// backup held.
fn replaced(store: &dyn Log, epoch: Epoch, oldest: Position, id: &str) -> Resolved {
    let former = store.identity().former.iter().find(|name| name.epoch == epoch);
    let outcome = Outcome::Reset { reason: ResetReason::Replaced, requested: id.to_owned() };
    Resolved { position: former.map_or(oldest, |name| name.upto.max(oldest)), outcome }
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

    fn resolve(id: &str) -> Resolved {
        let start = Start::After(id.to_owned());
        start.resolve(&store(), &Interest::everything()).expect("memory can be read")
    }

    #[test]
    fn an_id_that_is_known_resumes_whoever_made_it() {
        for (id, position) in [("k7q2ma:19", 19), ("mine", 18), ("upstrm:2", 19)] {
            let expected =
                Resolved { position: Position::new(position), outcome: Outcome::Resumed };
            assert_eq!(resolve(id), expected, "{id}");
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
            assert_eq!(resolve(id), Resolved { position: oldest, outcome }, "{id:?}");
        }
    }
}
