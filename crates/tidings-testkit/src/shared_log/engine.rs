use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tidings_store_shared::{AppendFault, JournalError, Nonce, Seq, SeqBounds, Terms};

use super::faults::Faults;
use crate::store_suite::Dice;

/// An engine in memory.
#[derive(Debug)]
pub struct Engine {
    state: Mutex<State>,
    grown: Condvar,
}

/// A block as an engine holds it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Identifies the attempt to append it.
    pub nonce: Nonce,
    /// The block.
    pub block: Bytes,
}

#[derive(Debug)]
struct State {
    exists: bool,
    entries: BTreeMap<Seq, Entry>,
    /// The newest sequence, whether or not its entry was trimmed.
    last: Seq,
    /// The entries that were trimmed, for an observer.
    trimmed: BTreeMap<Seq, Entry>,
    faults: Faults,
    dice: Dice,
    late: Vec<(Seq, Entry)>,
    /// What the connections have heard, in the order in which they were made.
    heard: Vec<Weak<Heard>>,
    terms: Option<Terms>,
}

/// The newest sequence that a connection has heard of.
#[derive(Debug, Default)]
pub(super) struct Heard(AtomicU64);

impl Heard {
    pub(super) fn get(&self) -> Seq {
        Seq::new(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn hear(&self, seq: Seq) {
        self.0.fetch_max(seq.get(), Ordering::Relaxed);
    }
}

/// The engine did not answer.
#[derive(Debug)]
struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the engine did not answer")
    }
}

impl std::error::Error for NoAnswer {}

/// Maximum size of a block: as an engine's default of 1 MiB, with room for an event of that size.
pub(crate) const BLOCK_BYTES_MAX: usize = 4 << 20;

impl Engine {
    /// An engine without a stream, whose failures follow from `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        let state = State {
            exists: false,
            entries: BTreeMap::new(),
            last: Seq::ZERO,
            trimmed: BTreeMap::new(),
            faults: Faults::NONE,
            dice: Dice::new(seed),
            late: Vec::new(),
            heard: Vec::new(),
            terms: None,
        };
        Arc::new(Self { state: Mutex::new(state), grown: Condvar::new() })
    }

    /// For a new connection, which has heard of all that is there.
    pub(super) fn listen(&self) -> Arc<Heard> {
        let mut state = self.lock();
        let heard = Arc::new(Heard::default());
        heard.hear(state.last);
        state.heard.push(Arc::downgrade(&heard));
        heard
    }

    /// Sets how often requests fail.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Delivers some of the blocks that are late.
    pub fn deliver_late(&self) {
        let mut state = self.lock();
        while !state.late.is_empty() && !state.dice.one_in(3) {
            let count = state.late.len() as u64;
            let place = state.dice.below(count) as usize;
            let (after, entry) = state.late.swap_remove(place);
            let _ = state.store(after, entry);
        }
        self.grown.notify_all();
    }

    /// Forgets the blocks that are late.
    pub fn drop_late(&self) {
        self.lock().late.clear();
    }

    /// Loses the last `count` blocks, as an engine does whose disks were put back, or that made a
    /// replica its leader that was behind. Returns what was lost.
    pub fn lose_tail(&self, count: u64) -> Vec<(Seq, Entry)> {
        let mut state = self.lock();
        let kept = Seq::new(state.last.get().saturating_sub(count));
        let Some(oldest) = state.entries.keys().next().copied() else { return Vec::new() };
        state.last = kept.max(oldest);
        let after = state.last.next();
        let lost = state.entries.split_off(&after);
        state.forget_what_is_lost();
        // A hub cannot recognise the second copy of its newest block, lost and delivered again in
        // the same place.
        state.late.retain(|(_, late)| lost.values().all(|entry| entry.nonce != late.nonce));
        lost.into_iter().collect()
    }

    /// Loses the whole stream.
    pub fn lose_stream(&self) {
        let mut state = self.lock();
        state.exists = false;
        state.terms = None;
        state.entries.clear();
        state.trimmed.clear();
        state.last = Seq::ZERO;
        state.forget_what_is_lost();
    }

    /// Everything that the engine ever held and did not lose, also what was trimmed.
    pub fn observe(&self) -> Vec<(Seq, Entry)> {
        let state = self.lock();
        let all = state.trimmed.iter().chain(&state.entries);
        all.map(|(seq, entry)| (*seq, entry.clone())).collect()
    }

    pub(super) fn create(&self) -> Result<(), JournalError> {
        let mut state = self.lock();
        state.pass()?;
        state.exists = true;
        Ok(())
    }

    pub(super) fn bounds(&self) -> Result<Option<SeqBounds>, JournalError> {
        let mut state = self.lock();
        state.pass()?;
        if !state.exists {
            return Ok(None);
        }
        let last = state.shown_last();
        let first = state.entries.keys().next().copied().unwrap_or(state.last.next());
        Ok(Some(SeqBounds { first, last: last.max(first.previous()) }))
    }

    /// A refusal names the last sequence: `heard` hears of it.
    pub(super) fn append(
        &self,
        after: Seq,
        entry: Entry,
        heard: &Heard,
    ) -> Result<Seq, AppendFault> {
        let undecided = || AppendFault::Undecided { source: Arc::new(NoAnswer) };
        let mut state = self.lock();
        state.pass().map_err(AppendFault::NotStored)?;
        if !state.exists {
            return Err(AppendFault::NotStored(JournalError::Missing));
        }
        let faults = state.faults;
        if state.happens(faults.request_lost) {
            return Err(undecided());
        }
        if state.happens(faults.late) {
            state.late.push((after, entry));
            return Err(undecided());
        }
        if state.happens(faults.twice) {
            state.late.push((after, entry.clone()));
        }
        let stored = state.store(after, entry);
        self.grown.notify_all();
        if state.happens(faults.answer_lost) {
            return Err(undecided());
        }
        if matches!(stored, Err(AppendFault::Behind)) {
            heard.hear(state.last);
        }
        stored
    }

    /// At least `count` blocks if there are that many, and further ones up to `heard`.
    pub(super) fn read(
        &self,
        after: Seq,
        heard: Seq,
        count: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        let mut state = self.lock();
        state.pass()?;
        if !state.exists {
            return Err(JournalError::Missing);
        }
        let upto = state.shown_last();
        let mut page = Vec::new();
        let mut bytes = 0;
        let rate = state.faults.short;
        let is_short = state.happens(rate);
        if after < upto {
            for (seq, entry) in state.entries.range(after.next()..=upto) {
                if page.len() >= count && (*seq > heard || is_short) {
                    break;
                }
                page.push((*seq, entry.block.clone()));
                bytes += entry.block.len();
                if bytes >= bytes_max {
                    break;
                }
            }
        }
        Ok(page)
    }

    pub(super) fn wait(&self, after: Seq, timeout: Duration, heard: &Heard) {
        let is_old = |_: &mut State| heard.get() <= after;
        let _ = self.grown.wait_timeout_while(self.lock(), timeout, is_old);
    }

    pub(super) fn trim(&self, before: Seq) -> Result<(), JournalError> {
        let mut state = self.lock();
        state.pass()?;
        let kept = state.entries.split_off(&before);
        let mut dropped = std::mem::replace(&mut state.entries, kept);
        state.trimmed.append(&mut dropped);
        Ok(())
    }

    pub(super) fn bytes(&self) -> Result<u64, JournalError> {
        let mut state = self.lock();
        state.pass()?;
        Ok(state.entries.values().map(|entry| entry.block.len() as u64).sum())
    }

    pub(super) fn terms(&self) -> Result<Option<Terms>, JournalError> {
        let mut state = self.lock();
        state.pass()?;
        Ok(state.terms.clone())
    }

    pub(super) fn set_terms(&self, terms: &Terms) -> Result<(), JournalError> {
        let mut state = self.lock();
        state.pass()?;
        if !state.exists {
            return Err(JournalError::Missing);
        }
        state.terms = Some(terms.clone());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn happens(&mut self, rate: u64) -> bool {
        rate > 0 && self.dice.one_in(rate)
    }

    fn pass(&mut self) -> Result<(), JournalError> {
        let is_away = self.happens(self.faults.away);
        if is_away { Err(JournalError::away(NoAnswer)) } else { Ok(()) }
    }

    fn store(&mut self, after: Seq, entry: Entry) -> Result<Seq, AppendFault> {
        if after != self.last && !self.happens(self.faults.broken_cas) {
            return Err(AppendFault::Behind);
        }
        self.last = self.last.next();
        self.entries.insert(self.last, entry);
        self.ring();
        Ok(self.last)
    }

    /// Tells the connections of the newest block.
    fn ring(&mut self) {
        let mut all = std::mem::take(&mut self.heard);
        all.retain(|heard| {
            let Some(heard) = heard.upgrade() else { return false };
            let rate = self.faults.ring_lost;
            if !self.happens(rate) {
                heard.hear(self.last);
            }
            true
        });
        self.heard = all;
    }

    /// Nobody has heard of what the engine has lost. (A connection that had would read on, find
    /// nothing, and know that.)
    fn forget_what_is_lost(&self) {
        for heard in self.heard.iter().filter_map(Weak::upgrade) {
            heard.0.fetch_min(self.last.get(), Ordering::Relaxed);
        }
    }

    /// The newest sequence in the state that a read shows.
    fn shown_last(&mut self) -> Seq {
        if self.happens(self.faults.past) {
            let back = self.dice.below(8);
            return Seq::new(self.last.get().saturating_sub(back));
        }
        self.last
    }
}
