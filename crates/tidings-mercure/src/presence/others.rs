//! The subscribers of other hubs, as these tell them.
//!
//! Each hub numbers the changes of its list. A hub that follows without a gap has the same list;
//! one that missed a change, or is new, asks for the whole list. Every hub repeats the number of
//! its last change, so even the loss of the last message is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Session;
use super::spoken::{Arrived, Change};
use crate::limits::OTHER_SESSIONS_MAX;

/// All other hubs.
#[derive(Debug, Default)]
pub(super) struct Others(BTreeMap<u32, Other>);

#[derive(Debug, Default)]
struct Other {
    /// The number of the last change that the list has; `None` if it is not the whole list.
    reached: Option<u64>,
    sessions: Sessions,
    /// A list that is on its way: as of which change, and the next part.
    coming: Option<(u64, usize, Sessions)>,
}

type Sessions = BTreeMap<u64, Arc<Session>>;

/// Someone of another hub who came or left.
pub(super) type Moved = (Arc<Session>, bool);

impl Others {
    pub(super) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.0.values().flat_map(|other| other.sessions.values())
    }

    /// The last change of the hub `from` is `at`. Returns whether its list is to be asked for.
    pub(super) fn is_behind(&mut self, from: u32, at: u64) -> bool {
        self.0.entry(from).or_default().reached != Some(at)
    }

    /// Changes of the hub `from`, of which the first has the number `first`. `None` if the list is
    /// to be asked for, because some before are missing.
    pub(super) fn changed(
        &mut self,
        from: u32,
        first: u64,
        changes: Vec<Change>,
    ) -> Option<Vec<Moved>> {
        let other = self.0.entry(from).or_default();
        let Some(reached) = other.reached.filter(|reached| first <= reached.saturating_add(1))
        else {
            other.reached = None;
            return None;
        };
        let known = usize::try_from(reached.saturating_add(1) - first).unwrap_or(usize::MAX);
        other.reached =
            Some(reached.max(first.saturating_add(changes.len() as u64).saturating_sub(1)));
        let new = changes.into_iter().skip(known);
        Some(new.filter_map(|change| other.apply(change)).collect())
    }

    /// A part of the list of the hub `from`. Returns who came and left by it once it is whole.
    pub(super) fn list_came(
        &mut self,
        from: u32,
        at: u64,
        (part, parts): (usize, usize),
        sessions: Vec<Arrived>,
    ) -> Vec<Moved> {
        let other = self.0.entry(from).or_default();
        if part == 0 {
            other.coming = Some((at, 0, Sessions::new()));
        }
        // If a part was lost, the next beat asks again.
        let coming = other.coming.take().filter(|(of, next, _)| (*of, *next) == (at, part));
        let Some((_, _, mut list)) = coming else { return Vec::new() };
        for arrived in sessions {
            let _ = add(&mut list, arrived);
        }
        if part + 1 < parts {
            other.coming = Some((at, part + 1, list));
            return Vec::new();
        }
        other.reached = Some(at);
        let before = std::mem::replace(&mut other.sessions, list);
        let left = before.iter().filter(|(number, _)| !other.sessions.contains_key(number));
        let came = other.sessions.iter().filter(|(number, _)| !before.contains_key(number));
        let left = left.map(|(_, session)| (Arc::clone(session), false));
        left.chain(came.map(|(_, session)| (Arc::clone(session), true))).collect()
    }

    /// The hub `run` is gone, with all its subscribers.
    pub(super) fn left(&mut self, run: u32) -> Vec<Moved> {
        let sessions = self.0.remove(&run).unwrap_or_default().sessions;
        sessions.into_values().map(|session| (session, false)).collect()
    }
}

impl Other {
    fn apply(&mut self, change: Change) -> Option<Moved> {
        match change {
            Change::Arrived(arrived) => add(&mut self.sessions, arrived).map(|new| (new, true)),
            Change::Left(number) => self.sessions.remove(&number).map(|gone| (gone, false)),
        }
    }
}

/// Adds a subscriber, or a further piece of one. Returns what of it is new.
fn add(sessions: &mut Sessions, arrived: Arrived) -> Option<Arc<Session>> {
    let number = arrived.number;
    let known = sessions.get(&number).cloned();
    if known.is_none() && sessions.len() >= OTHER_SESSIONS_MAX {
        return None;
    }
    let session = arrived.clone().session(known.as_deref())?;
    sessions.insert(number, session);
    arrived.session(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::subscription::{Kind, SubscriberName, Subscription};

    fn arrived(number: u64) -> Arrived {
        let words = format!("topic-{number}").into();
        let subscription = Subscription { words, kind: Kind::Exact, payload: None };
        let subscriber = SubscriberName::random();
        let session = Session { subscriber, subscriptions: [subscription].into() };
        Arrived::pieces(number, &session).remove(0)
    }

    fn came(number: u64) -> Change {
        Change::Arrived(arrived(number))
    }

    fn topics(others: &Others) -> Vec<&str> {
        others.sessions().map(|session| &*session.subscriptions[0].words).collect()
    }

    #[test]
    fn a_list_follows_the_changes_and_is_asked_for_again_after_a_gap() {
        let mut others = Others::default();
        assert!(others.is_behind(7, 0), "a hub that is new is asked");
        assert!(others.list_came(7, 2, (0, 1), vec![arrived(1)]).iter().all(|moved| moved.1));
        assert!(!others.is_behind(7, 2));
        assert_eq!(others.changed(7, 3, vec![came(2), came(3)]).unwrap().len(), 2);
        let again = others.changed(7, 4, vec![came(3), Change::Left(1)]).unwrap();
        assert_eq!(again.len(), 1, "what was told twice counts once");
        assert_eq!(topics(&others), ["topic-2", "topic-3"]);

        assert!(others.changed(7, 7, vec![came(9)]).is_none(), "6 is missing");
        assert!(others.changed(7, 8, vec![came(10)]).is_none(), "until the list is there");
        let moved = others.list_came(7, 8, (0, 1), vec![arrived(3), arrived(9)]);
        let left: Vec<_> =
            moved.iter().map(|(one, is_here)| (&*one.subscriptions[0].words, *is_here)).collect();
        assert_eq!(left, [("topic-2", false), ("topic-9", true)]);
        assert!(!others.is_behind(7, 8));
    }

    #[test]
    fn a_list_counts_when_all_its_parts_have_come() {
        let mut others = Others::default();
        assert!(others.list_came(7, 5, (0, 3), vec![arrived(1)]).is_empty());
        assert!(others.list_came(7, 5, (2, 3), vec![arrived(3)]).is_empty(), "one was lost");
        assert!(others.is_behind(7, 5));
        for part in 0..2 {
            assert!(others.list_came(7, 6, (part, 3), vec![arrived(part as u64)]).is_empty());
        }
        assert_eq!(others.list_came(7, 6, (2, 3), vec![arrived(2)]).len(), 3);
        assert_eq!(others.left(7).len(), 3);
        assert!(topics(&others).is_empty());
    }

    #[test]
    fn a_subscriber_with_more_than_fits_into_a_message_is_whole_again() {
        let subscription = |number: usize| Subscription {
            words: format!("{number}{}", "x".repeat(4000)).into(),
            kind: Kind::Template,
            payload: Some(Arc::new(serde_json::json!({ "user": number }))),
        };
        let subscriptions: Box<[_]> = (0..1000).map(subscription).collect();
        let session = Session { subscriber: SubscriberName::random(), subscriptions };
        let pieces = Arrived::pieces(1, &session);
        assert!(pieces.len() > 1);
        let mut others = Others::default();
        others.list_came(7, 0, (0, 1), Vec::new());
        let pieces = pieces.into_iter().map(Change::Arrived).collect::<Vec<_>>();
        // As it is said and heard.
        let said = serde_json::to_value(&pieces).unwrap();
        let moved = others.changed(7, 1, serde_json::from_value(said).unwrap()).unwrap();
        let told: usize = moved.iter().map(|(one, _)| one.subscriptions.len()).sum();
        assert_eq!(told, 1000, "each subscription is announced once");
        let whole = others.sessions().next().unwrap();
        assert_eq!(whole.subscriptions.len(), 1000);
        assert_eq!(whole.subscriber, session.subscriber);
        assert_eq!(whole.subscriptions[999].payload, session.subscriptions[999].payload);
    }
}
