//! What a hub does now and then with the journal: it drops what no hub needs, looks to which
//! records rules of retention may be applied, and whether the settings are still those of the hub.
//!
//! The thread that appends says when: publishers wait for that thread. A server can take its time
//! to say how much it holds, so a thread of its own asks, over a connection of its own, and holds
//! no lock meanwhile that an append or the follower needs.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings_hub::{Log as _, Matcher, Position, Timestamp, with_causes};

use super::Node;
use crate::follower::{Sight, look};
use crate::journal::Journal;
use crate::trim::{self, LookedAt, TooMuch, Trim};
use crate::writer::lock;

/// What the thread is asked to do.
#[derive(Default)]
pub(super) struct Tidying {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    has_thread: bool,
    /// The time at which it was asked last, if it has not begun since.
    asked: Option<Timestamp>,
    is_busy: bool,
    is_closed: bool,
}

impl Tidying {
    pub(super) fn set_has_thread(&self) {
        self.lock().has_thread = true;
    }

    /// Asks the thread, if there is one. Returns whether there is.
    fn ask(&self, now: Timestamp) -> bool {
        let mut state = self.lock();
        if state.has_thread {
            state.asked = Some(now);
            self.bell.notify_all();
        }
        state.has_thread
    }

    /// Waits until the thread is asked, at most for `timeout`. What it begins with the answer ends
    /// with [`done`](Self::done).
    fn begin(&self, timeout: Duration) -> Option<Timestamp> {
        let state = self.lock();
        let (mut state, _) = self
            .bell
            .wait_timeout_while(state, timeout, |state| state.asked.is_none() && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        let asked = state.asked.take();
        state.is_busy = asked.is_some();
        asked
    }

    fn done(&self) {
        self.lock().is_busy = false;
        self.bell.notify_all();
    }

    /// Wakes the thread, which looks whether the store is closing.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.bell.notify_all();
    }

    /// Waits until the thread has done what it was asked to do.
    pub(super) fn wait(&self) {
        let is_busy = |state: &mut State| state.is_busy || state.asked.is_some();
        drop(self.bell.wait_while(self.lock(), is_busy));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Has the thread tidy the journal, or does it, if there is none.
    pub(super) fn ask_to_tidy(&self, now: Timestamp) {
        if !self.tidying.ask(now) {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            self.tidy(&mut *writer.journal, now);
        }
    }

    /// The thread: tidies the journal, when it is asked to, until the store closes.
    pub(super) fn keep_tidy(&self, mut journal: Box<dyn Journal>) {
        while !self.is_closing.load(Ordering::Relaxed) {
            if let Some(now) = self.tidying.begin(self.config.bell_patience) {
                self.tidy(&mut *journal, now);
                self.tidying.done();
            }
        }
    }

    /// Warns if the log got other settings than this hub has, once for each change.
    fn compare_terms(&self, journal: &mut dyn Journal) {
        let Ok(Some(known)) = journal.terms() else { return };
        let differences = self.config.terms.differences(&known);
        let mut before = self.other_terms.lock().unwrap_or_else(PoisonError::into_inner);
        if differences != *before {
            for difference in &differences {
                tracing::warn!(
                    "a setting of the shared log is not this hub's: {difference}; start the hub \
                     again with the setting of the log"
                );
            }
            *before = differences;
        }
    }

    /// Looks now and then what can be dropped from the journal, and to what rules may be applied.
    fn tidy(&self, journal: &mut dyn Journal, now: Timestamp) {
        let mut trim = self.trim.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(LookedAt(looked_at)) = trim.is_due(now) else { return };
        self.compare_terms(journal);
        if !self.config.cache.rules.is_empty() {
            self.settle(looked_at);
        }
        // Each of these asks the journal, and a store that closes waits for the answer.
        if !self.is_closing.load(Ordering::Relaxed) {
            self.trim(journal, &mut trim, now);
        }
    }

    /// Lets rules be applied to what the journal does not lose any more, if it showed since
    /// `looked_at` what this hub has followed.
    fn settle(&self, looked_at: Option<Timestamp>) {
        let upto = {
            let mut follower = lock(&self.follower);
            let is_seen = follower.take_is_seen();
            let shown_at = looked_at.filter(|_| is_seen);
            let patience = self.config.rules_patience;
            let settled = shown_at.and_then(|at| trim::settled(&follower.cursor, at, patience));
            let Some(upto) = settled.filter(|upto| *upto > self.cache.settled()) else { return };
            // From what rules were applied to the cache cannot go back: a power cut must not leave
            // a cursor that ends before it.
            if let Err(error) = follower.sync_cursor() {
                tracing::warn!(%error, "the cursor cannot be synced, and no rule is applied");
                return;
            }
            upto
        };
        self.cache.settle(upto);
    }

    /// Drops from the journal, and of what was lost, what no hub needs any more.
    fn trim(&self, journal: &mut dyn Journal, trim: &mut Trim, now: Timestamp) {
        let config = &self.config.cache;
        let first = self.cache.bounds().first;
        let has_rules = !config.rules.is_empty();
        let too_much = if has_rules { self.is_too_much(journal) } else { None };
        let (before, first) = {
            let follower = lock(&self.follower);
            if follower.halt().is_some() {
                return;
            }
            let cursor = &follower.cursor;
            if has_rules {
                let before = trim::oldest_with_rules(cursor, too_much, config, now);
                (before, before.map_or(Position::ZERO, |block| block.first))
            } else {
                (cursor.before(first), first)
            }
        };
        self.forget_lost(trim, first);
        if let Some(before) = before.filter(|before| before.seq > trim.before) {
            // A hub that follows what the log has lost must not drop what the log has there now.
            let done = look(journal, &before).and_then(|sight| match sight {
                Sight::Same => journal.trim(before.seq).map(|()| true),
                _ => Ok(false),
            });
            match done {
                Ok(true) => trim.before = before.seq,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the shared log was not trimmed"),
            }
        }
    }

    /// Forgets lost ids of forks of which the log, which now begins at `first`, has dropped the
    /// first event after. One whose event was published again since, and is still there, stays: a
    /// reader that had the lost event would resume after this one.
    fn forget_lost(&self, trim: &mut Trim, first: Position) {
        let old = lock(&self.follower).read_origin().lost_before(first);
        if old.is_empty() {
            return;
        }
        let oldest = self.cache.bounds().first;
        trim.repeated.retain(|_, position| *position >= oldest);
        let catalog = self.cache.catalog();
        let mut gone = HashSet::new();
        for id in old.into_iter().flat_map(|lost| lost.ids) {
            if trim.repeated.contains_key(&id) {
                continue;
            }
            match catalog.find(&id, &[Matcher::All]) {
                Ok(Some(position)) => drop(trim.repeated.insert(id, position)),
                Ok(None) => drop(gone.insert(id)),
                Err(error) => {
                    let reason = with_causes(&error);
                    tracing::debug!(reason, "whether a lost id is in the log again is not known");
                }
            }
        }
        let follower = lock(&self.follower);
        let forgot = follower.write_origin().forget_lost(first, &gone);
        if forgot {
            follower.save_origin();
        }
    }

    /// What of the journal is too much with rules.
    fn is_too_much(&self, journal: &mut dyn Journal) -> Option<TooMuch> {
        let looked = TooMuch::look(journal, &self.config.cache);
        looked.unwrap_or_else(|error| {
            tracing::warn!(%error, "how much the shared log holds is not known");
            None
        })
    }
}
