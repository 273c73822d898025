//! Who is subscribed now.
//!
//! # Apart from the history
//!
//! Presence is a fact about this process, and lives and ends with it: a list of the subscribers
//! that are here, and the last of the events that said so. Nothing of it is stored, so that a
//! connection costs no `fsync` and drives no event out of the history, and a hub that was killed
//! starts with nobody. Subscription events are [notices](tidings_hub::Notice): they go past the log
//! to those who are subscribed.
//!
//! # Who has left
//!
//! A [`Member`] goes with each subscriber through the engine, which drops it when the subscriber is
//! gone, for whatever reason. So there is no way to leave that could be forgotten.
//!
//! # Resuming
//!
//! Ids of notices have the number of the notice behind the place in the log. A subscriber who comes
//! back with one, or with the cursor of the presence API, is given the later ones, as long as they
//! are kept; and if they are not, the id in the answer's header is another than the one that was
//! asked for, by which the protocol says that something may be lost.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_engine::{Engine, SubscriberHook};
use tidings_hub::{Draft, EventType, Interest, Notice, Position, Topic, Visibility};

use crate::dialect::{Dialect, ONE, ZERO};
use crate::limits::{NOTICES_KEPT_BYTES_MAX, NOTICES_KEPT_MAX};
use crate::subscription::{SubscriberName, Subscription};

/// The list.
#[derive(Debug)]
pub(crate) struct Presence {
    /// By which notices of another process are told from those of this one.
    process: Box<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Those who are here, in the order in which they came.
    sessions: BTreeMap<u64, Arc<Session>>,
    /// The number of the next of them.
    next_session: u64,
    /// The number of the last notice.
    last_notice: u64,
    /// The last notices, oldest first.
    kept: VecDeque<Kept>,
    kept_bytes: usize,
}

/// A subscriber that is here, and what it is subscribed to.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) subscriber: SubscriberName,
    pub(crate) subscriptions: Box<[Subscription]>,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    /// How far the log was when it had been sent.
    at: Position,
    notice: Arc<Notice>,
}

/// Where somebody wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// After this notice.
    Notice(u64),
    /// With what came after this place in the log.
    Place(Position),
}

impl Presence {
    /// A subscriber that will be here once it has its seat in `engine`. With `missed`, it is then
    /// given the notices from there that it wants.
    pub(crate) fn member(
        self: &Arc<Self>,
        engine: &Engine,
        subscriptions: Vec<Subscription>,
        missed: Option<(Since, &'static Dialect, Interest)>,
    ) -> Box<dyn SubscriberHook> {
        let session =
            Session { subscriber: SubscriberName::random(), subscriptions: subscriptions.into() };
        Box::new(Member {
            presence: Arc::clone(self),
            engine: engine.clone(),
            session: Arc::new(session),
            number: None,
            missed: missed.map(Box::new),
        })
    }

    /// Those who are here, and the number of the last notice that is part of that.
    pub(crate) fn sessions(&self) -> (Vec<Arc<Session>>, u64) {
        let state = self.lock();
        (state.sessions.values().cloned().collect(), state.last_notice)
    }

    /// What ids of the notice `number` end with.
    pub(crate) fn tag(&self, number: u64) -> String {
        format!("{}-{number}", self.process)
    }

    /// The number in `tag`, if it is a tag of this process and everything after that notice is
    /// still kept.
    pub(crate) fn number(&self, tag: &str) -> Option<u64> {
        let (process, number) = tag.split_once('-')?;
        let number = number.parse().ok().filter(|_| *process == *self.process)?;
        let state = self.lock();
        let first_kept = state.last_notice - state.kept.len() as u64 + 1;
        (number <= state.last_notice && number + 1 >= first_kept).then_some(number)
    }

    fn arrive(&self, engine: &Engine, session: &Arc<Session>) -> u64 {
        let mut state = self.lock();
        let number = state.next_session;
        state.next_session += 1;
        state.sessions.insert(number, Arc::clone(session));
        self.announce(&mut state, engine, session, true);
        number
    }

    fn leave(&self, engine: &Engine, number: u64) {
        let mut state = self.lock();
        if let Some(session) = state.sessions.remove(&number) {
            self.announce(&mut state, engine, &session, false);
        }
    }

    /// Tells everybody, while nobody else does: so notices are in the order of their numbers.
    fn announce(&self, state: &mut State, engine: &Engine, session: &Session, active: bool) {
        for subscription in &session.subscriptions {
            for dialect in [&ZERO, &ONE] {
                let tag = self.tag(state.last_notice + 1);
                let made = notice(dialect, session.subscriber, subscription, active, tag);
                let Some(notice) = made.map(Arc::new) else { continue };
                state.last_notice += 1;
                engine.notify(&notice);
                state.keep(engine.head(), notice);
            }
        }
    }

    fn missed(&self, since: Since, dialect: &Dialect, interest: &Interest) -> Vec<Arc<Notice>> {
        let state = self.lock();
        let is_meant = |kept: &&Kept| {
            let is_later = match since {
                Since::Notice(number) => kept.number > number,
                Since::Place(position) => kept.at >= position,
            };
            is_later
                && kept.notice.audience == dialect.audience
                && interest.admits(&kept.notice.draft)
        };
        state.kept.iter().filter(is_meant).map(|kept| Arc::clone(&kept.notice)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Presence {
    fn default() -> Self {
        // Fresh keys make a fresh number.
        let random = RandomState::new().hash_one(0) as u32;
        Self { process: format!("{random:x}").into(), state: Mutex::default() }
    }
}

impl State {
    fn keep(&mut self, at: Position, notice: Arc<Notice>) {
        self.kept_bytes += notice.cost();
        self.kept.push_back(Kept { number: self.last_notice, at, notice });
        while self.kept.len() > NOTICES_KEPT_MAX || self.kept_bytes > NOTICES_KEPT_BYTES_MAX {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.kept_bytes -= oldest.notice.cost();
        }
    }
}

fn notice(
    dialect: &Dialect,
    subscriber: SubscriberName,
    subscription: &Subscription,
    active: bool,
    tag: String,
) -> Option<Notice> {
    let topic = Topic::new(&*subscription.path(dialect, subscriber)?).ok()?;
    let data = subscription.event(dialect, subscriber, active)?;
    let mut draft = Draft::new(topic, data);
    draft.visibility = Visibility::Private;
    draft.event_type = dialect.subscription_event_type.and_then(|name| EventType::new(name).ok());
    Some(Notice { draft, audience: dialect.audience, tag: tag.into() })
}

/// Goes with a subscriber.
#[derive(Debug)]
struct Member {
    presence: Arc<Presence>,
    engine: Engine,
    session: Arc<Session>,
    /// In the list, since it arrived.
    number: Option<u64>,
    missed: Option<Box<(Since, &'static Dialect, Interest)>>,
}

impl SubscriberHook for Member {
    fn arrived(&mut self) -> Vec<Arc<Notice>> {
        let missed = self.missed.take();
        let missed = missed.map(|missed| self.presence.missed(missed.0, missed.1, &missed.2));
        self.number = Some(self.presence.arrive(&self.engine, &self.session));
        missed.unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.presence.leave(&self.engine, number);
        }
    }
}
