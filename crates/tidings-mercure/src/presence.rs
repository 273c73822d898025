//! The current subscribers.
//!
//! # Apart from the history
//!
//! Presence describes this process, and begins and ends with it: a list of the current subscribers,
//! and the most recent events about them. None of it is stored, so that a connection costs no
//! `fsync` and drives no event out of the history, and a hub that was killed starts with an empty
//! list. Subscription events are [notices](tidings_hub::Notice): they bypass the log and go to the
//! current subscribers.
//!
//! # Several hubs
//!
//! Hubs of a shared log tell each other who came and left ([`told`]), so each lists the subscribers
//! of [others], and announces to its own subscribers what it hears: the notices, and their numbers,
//! are of the hub that sends them. A subscriber that goes to another hub with the id of a notice
//! learns that something may be lost.
//!
//! # Leaving
//!
//! A [`Member`] goes with each subscriber through the engine, which drops it when the subscriber is
//! gone, for whatever reason. So no way of leaving can be missed.
//!
//! # Resuming
//!
//! The id of a notice is a position in the log followed by the number of the notice. A subscriber
//! that resumes with one, or with the cursor of the presence API, gets the later notices if they
//! are still kept; if not, the id in the answer's header differs from the requested one, by which
//! the protocol says that events may be lost.

mod others;
mod spoken;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_engine::{Engine, SubscriberHook};
use tidings_hub::{Draft, EventType, Interest, Notice, Position, Topic, Visibility};

use crate::dialect::{Dialect, ONE, ZERO};
use crate::limits::{NOTICES_KEPT_BYTES_MAX, NOTICES_KEPT_MAX};
use crate::subscription::{SubscriberName, Subscription};

use others::Others;
use told::{LocalChange, Unsaid};

/// The list.
#[derive(Debug)]
pub(crate) struct Presence {
    /// Distinguishes notices of this process from those of another.
    process: Box<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The current subscribers, in the order in which they came.
    sessions: BTreeMap<u64, Arc<Session>>,
    /// The number of the next subscriber.
    next_session: u64,
    /// The number of the last notice.
    last_notice: u64,
    /// The last notices, oldest first.
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// The subscribers of other hubs.
    others: Others,
    /// The number of the last change that was told to them.
    last_said: u64,
    /// What they were not told yet; `None` if there are no others.
    unsaid: Option<Unsaid>,
}

/// A current subscriber and its subscriptions.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) subscriber: SubscriberName,
    pub(crate) subscriptions: Box<[Subscription]>,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    /// The head of the log when it had been sent.
    at: Position,
    notice: Arc<Notice>,
}

/// Where a subscriber resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// After this notice.
    Notice(u64),
    /// After this position in the log.
    Place(Position),
}

impl Presence {
    /// A subscriber that is listed once `engine` has admitted it. With `missed`, it then gets the
    /// matching notices from there on.
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

    /// The current subscribers, also of other hubs, and the number of the last notice that the list
    /// includes.
    pub(crate) fn sessions(&self) -> (Vec<Arc<Session>>, u64) {
        let state = self.lock();
        let all = state.sessions.values().chain(state.others.sessions());
        (all.cloned().collect(), state.last_notice)
    }

    /// The end of the id of the notice `number`.
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
        if let Some(unsaid) = &mut state.unsaid {
            unsaid.push(LocalChange::Arrived(number, Arc::clone(session)));
        }
        self.announce(&mut state, engine, session, true);
        number
    }

    fn leave(&self, engine: &Engine, number: u64) {
        let mut state = self.lock();
        if let Some(session) = state.sessions.remove(&number) {
            if let Some(unsaid) = &mut state.unsaid {
                unsaid.push(LocalChange::Left(number));
            }
            self.announce(&mut state, engine, &session, false);
        }
    }

    /// Sends a notice to all subscribers, under the lock, so that notices are sent in the order of
    /// their numbers.
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
        // Fresh hash keys give a random number.
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

/// Guards the place of a subscriber in the list.
#[derive(Debug)]
struct Member {
    presence: Arc<Presence>,
    engine: Engine,
    session: Arc<Session>,
    /// Its number in the list, once it has arrived.
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
