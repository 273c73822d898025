//! What presence tells the other hubs, and what it does with what they tell.

use std::sync::Arc;

use serde_json::Value;
use tidings_engine::Engine;
use tidings_http::hubs::Hubs;

use super::others::Moved;
use super::spoken::{About, Arrived, Change, parts};
use super::{Presence, Session, State};
use crate::limits::UNSAID_CHANGES_MAX;

/// The subject of these messages: the name of the protocol.
pub(super) const SUBJECT: &str = "mercure";

impl Presence {
    /// Tells the number of the last change.
    pub(crate) fn beat(&self, hubs: &Hubs) {
        let at = {
            let mut state = self.lock();
            state.unsaid.get_or_insert_default();
            state.last_said
        };
        hubs.tell(None, SUBJECT, &About::At(at));
    }

    /// Tells the changes since the last time.
    pub(crate) fn tell_news(&self, hubs: &Hubs) {
        let news = self.lock().take_news();
        tell(hubs, news);
    }

    /// Takes over what the hub `from` tells.
    pub(crate) fn told(&self, engine: &Engine, hubs: &Hubs, from: u32, body: Value) {
        // What cannot be read is of a later version.
        let Ok(about) = serde_json::from_value(body) else { return };
        let mut state = self.lock();
        let is_missing = match about {
            About::At(at) => state.others.is_behind(from, at),
            About::News { first, changes } => {
                let moved = state.others.changed(from, first, changes);
                let is_missing = moved.is_none();
                self.announce_all(&mut state, engine, moved.unwrap_or_default());
                is_missing
            }
            About::Want => {
                drop(state);
                return self.tell_list(hubs, from);
            }
            About::List { at, part, parts, sessions } => {
                let moved = state.others.list_came(from, at, (part, parts), sessions);
                self.announce_all(&mut state, engine, moved);
                false
            }
        };
        drop(state);
        if is_missing {
            hubs.tell(Some(from), SUBJECT, &About::Want);
        }
    }

    /// The hub `run` is gone.
    pub(crate) fn hub_left(&self, engine: &Engine, run: u32) {
        let mut state = self.lock();
        let moved = state.others.left(run);
        self.announce_all(&mut state, engine, moved);
    }

    /// Tells the whole list, after the changes that it has.
    fn tell_list(&self, hubs: &Hubs, to: u32) {
        let (news, at, sessions) = {
            let mut state = self.lock();
            let news = state.take_news();
            let sessions = state.sessions.iter().map(|(number, one)| (*number, Arc::clone(one)));
            (news, state.last_said, sessions.collect::<Vec<_>>())
        };
        tell(hubs, news);
        let sessions = sessions.iter().flat_map(|(number, one)| Arrived::pieces(*number, one));
        let all = parts(sessions.collect());
        let parts = all.len();
        for (part, sessions) in all.into_iter().enumerate() {
            hubs.tell(Some(to), SUBJECT, &About::List { at, part, parts, sessions });
        }
    }

    fn announce_all(&self, state: &mut State, engine: &Engine, moved: Vec<Moved>) {
        for (session, is_here) in moved {
            self.announce(state, engine, &session, is_here);
        }
    }
}

impl State {
    /// What is to be told, with the number of the first change.
    fn take_news(&mut self) -> (u64, Vec<Change>) {
        let unsaid = self.unsaid.replace(Unsaid::default()).unwrap_or_default();
        // A number without a change makes the others ask for the list.
        self.last_said += u64::from(unsaid.is_lost);
        let changes: Vec<_> = unsaid.changes.iter().flat_map(LocalChange::spoken).collect();
        let first = self.last_said + 1;
        self.last_said += changes.len() as u64;
        (first, changes)
    }
}

/// A change of this hub's list that was not told yet.
#[derive(Debug)]
pub(super) enum LocalChange {
    Arrived(u64, Arc<Session>),
    Left(u64),
}

impl LocalChange {
    fn spoken(&self) -> Vec<Change> {
        match self {
            Self::Arrived(number, session) => {
                Arrived::pieces(*number, session).into_iter().map(Change::Arrived).collect()
            }
            Self::Left(number) => vec![Change::Left(*number)],
        }
    }
}

/// The changes that were not told yet.
#[derive(Debug, Default)]
pub(super) struct Unsaid {
    changes: Vec<LocalChange>,
    /// Whether there were too many, so that only the list tells them.
    is_lost: bool,
}

impl Unsaid {
    pub(super) fn push(&mut self, change: LocalChange) {
        if self.changes.len() >= UNSAID_CHANGES_MAX {
            self.changes.clear();
            self.is_lost = true;
        }
        self.changes.push(change);
    }
}

fn tell(hubs: &Hubs, (mut first, changes): (u64, Vec<Change>)) {
    for changes in parts(changes).into_iter().filter(|part| !part.is_empty()) {
        let next = first + changes.len() as u64;
        hubs.tell(None, SUBJECT, &About::News { first, changes });
        first = next;
    }
}
