//! A log that is held elsewhere: the conditions of a hub over a shared engine, before there is such
//! an engine.
//!
//! Every node follows the [`Journal`] into a copy of its own and serves everything from there; only
//! appends go over the [`Link`]. An append is answered after the copy has it, so positions are
//! those of the log and not a guess. If there is no answer, the outcome is decided where possible:
//! the writer looks at the place where its entry should be, and if nothing is there, puts a barrier
//! into it, so that an entry that is still on its way can no longer land. If the journal cannot be
//! reached, the append is [`Undecided`](AppendError::Undecided).

mod journal;
mod link;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Check, Draft, Health, Log, LogIdentity, Mark,
    MemoryStore, Page, Position, ReadError, ReadQuery, Record, SharedLog, Slots, Timestamp,
};

use journal::{Content, Entry};
use link::LinkError;

pub use journal::Journal;
pub use link::{Link, Mishap};

use crate::store_suite::Retention;

/// Time that an append waits until the copy has its entry.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time that the follower waits before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How often a proof of the head is tried while other writers are faster.
const PROOF_TRIES: usize = 100;

/// One node's view of a [`Journal`].
#[derive(Debug)]
pub struct RemoteLog {
    node: Arc<Node>,
    follower: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Node {
    link: Arc<Link>,
    copy: MemoryStore,
    applied: Mutex<Applied>,
    advanced: Condvar,
    nonces: AtomicU64,
    /// Why no events are taken, and since when.
    failure: Mutex<Option<(AppendError, Instant)>>,
    is_closing: AtomicBool,
}

/// Progress of the copy.
#[derive(Debug, Default)]
struct Applied {
    entries: usize,
    /// A hash of all entries applied, each with the one before.
    chain: u64,
    /// The check of each position, from 1.
    checks: Vec<Check>,
    /// Outcomes of the entries that this node waits for, by nonce.
    wanted: HashMap<u64, Option<Vec<Appended>>>,
}

impl RemoteLog {
    /// Opens the log behind `link`: begins to follow it, and waits until the copy has all existing
    /// entries.
    ///
    /// # Panics
    ///
    /// If the thread cannot be started.
    pub fn open(journal: &Journal, link: &Arc<Link>, retention: Retention) -> Self {
        static OPENED: AtomicU64 = AtomicU64::new(1);
        let bytes = usize::try_from(retention.bytes).unwrap_or(usize::MAX);
        let node = Arc::new(Node {
            link: Arc::clone(link),
            copy: MemoryStore::new(journal.epoch, bytes, retention.age),
            applied: Mutex::default(),
            advanced: Condvar::new(),
            // No two nodes have a nonce in common.
            nonces: AtomicU64::new(OPENED.fetch_add(1, Ordering::Relaxed) << 32),
            failure: Mutex::default(),
            is_closing: AtomicBool::new(false),
        });
        let following = Arc::clone(&node);
        let follower = thread::spawn(move || following.follow());
        node.wait_for(journal.len());
        Self { node, follower: Some(follower) }
    }
}

impl Drop for RemoteLog {
    fn drop(&mut self) {
        self.node.is_closing.store(true, Ordering::Relaxed);
        if let Some(follower) = self.follower.take() {
            let _ = follower.join();
        }
    }
}

impl Log for RemoteLog {
    fn identity(&self) -> &LogIdentity {
        self.node.copy.identity()
    }

    fn bounds(&self) -> Bounds {
        self.node.copy.bounds()
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        self.node.note(self.node.append(Content::Drafts { drafts, time: now }))
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        let Page { mut records, reached } = self.node.copy.read(query)?;
        let applied = self.node.lock();
        for record in &mut records {
            if let Some(check) = applied.check(record.position()) {
                *record = Arc::new(Record::clone(record).with_check(Some(check)));
            }
        }
        Ok(Page { records, reached })
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.node.copy.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        // It is an append too, and so finds out whether the journal can be reached again.
        self.node.note(self.node.append(Content::Retained(now)))?;
        Ok(())
    }

    fn note_time(&self, now: Timestamp) {
        self.node.copy.note_time(now);
    }

    fn health(&self) -> Health {
        let failure = self.node.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let away = failure.as_ref().map(|(_, since)| since.elapsed());
        let failure = failure.map(|(error, _)| error);
        Health { failure, away, ..self.node.copy.health() }
    }

    fn catalog(&self) -> &dyn Catalog {
        self.node.copy.catalog()
    }

    fn slots(&self) -> &Slots {
        self.node.copy.slots()
    }

    fn shared(&self) -> Option<&dyn SharedLog> {
        Some(self)
    }
}

impl SharedLog for RemoteLog {
    fn check(&self, position: Position) -> Result<Option<Check>, ReadError> {
        let is_there = position >= self.bounds().first;
        Ok(self.node.lock().check(position).filter(|_| is_there))
    }

    fn prove_head(&self) -> Result<Position, ReadError> {
        // Whatever took its place was there before; the barrier comes behind it.
        for _ in 0..PROOF_TRIES {
            match self.node.append(Content::Barrier) {
                Ok(_) => return Ok(self.node.copy.bounds().head),
                Err(AppendError::Away { retry, source }) if self.node.link.is_down() => {
                    return Err(ReadError::Away { retry, source });
                }
                Err(_) => thread::sleep(LOOK_AGAIN),
            }
        }
        Err(ReadError::Away { retry: LOOK_AGAIN, source: Arc::new(LinkError::Behind) })
    }
}

impl Applied {
    fn check(&self, position: Position) -> Option<Check> {
        let at = usize::try_from(position.get()).ok()?.checked_sub(1)?;
        self.checks.get(at).copied()
    }

    /// Notes an entry that the copy has taken, and gives its events their checks.
    fn note(&mut self, entry: u64, appended: &mut [Appended], log: &LogIdentity, own: &[bool]) {
        let mut chain = DefaultHasher::new();
        (self.chain, entry).hash(&mut chain);
        self.chain = chain.finish();
        let check = Check::new(self.chain as u32);
        for (one, has_own_id) in appended.iter_mut().zip(own) {
            self.checks.push(check);
            if !has_own_id {
                let mark = Mark { position: one.position, check: Some(check) };
                one.id = mark.event_id(log.epoch);
            }
        }
    }
}

impl Node {
    fn append(&self, content: Content) -> Result<Vec<Appended>, AppendError> {
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed);
        let expected = {
            let mut applied = self.lock();
            applied.wanted.insert(nonce, None);
            applied.entries
        };
        let appended = match self.link.append(expected, Entry { nonce, content }) {
            Ok(_) => self.applied(nonce),
            Err(LinkError::NoAnswer) => self.decide(nonce, expected),
            Err(error) => Err(away(error)),
        };
        self.lock().wanted.remove(&nonce);
        appended
    }

    /// Finds out the outcome of an entry without an answer.
    fn decide(&self, nonce: u64, place: usize) -> Result<Vec<Appended>, AppendError> {
        let undecided = |error| AppendError::Undecided { source: Arc::new(error) };
        if self.link.get(place).map_err(undecided)?.is_none() {
            let nonce = self.nonces.fetch_add(1, Ordering::Relaxed);
            match self.link.append(place, Entry { nonce, content: Content::Barrier }) {
                Ok(_) => return Err(away(LinkError::NoAnswer)),
                // It has arrived just now.
                Err(LinkError::Behind) => {}
                Err(error) => return Err(undecided(error)),
            }
        }
        match self.link.get(place).map_err(undecided)? {
            Some(entry) if entry.nonce == nonce => self.applied(nonce),
            _ => Err(away(LinkError::Behind)),
        }
    }

    /// Waits until the copy has the entry, which is in the journal. Returns its outcome.
    fn applied(&self, nonce: u64) -> Result<Vec<Appended>, AppendError> {
        let deadline = Instant::now() + PATIENCE;
        let mut applied = self.lock();
        loop {
            if let Some(Some(appended)) = applied.wanted.get_mut(&nonce) {
                return Ok(std::mem::take(appended));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // It is stored, but its positions are unknown.
                return Err(AppendError::Undecided { source: Arc::new(LinkError::Down) });
            }
            let waited = self.advanced.wait_timeout(applied, left);
            applied = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the copy has this many entries.
    fn wait_for(&self, entries: usize) {
        let waited = self.advanced.wait_while(self.lock(), |applied| applied.entries < entries);
        drop(waited);
    }

    /// The thread: copies entries from the journal, in order, until the node closes.
    fn follow(&self) {
        let mut next = 0;
        while !self.is_closing.load(Ordering::Relaxed) {
            let Ok(Some(entry)) = self.link.get(next) else {
                self.link.wait(next, LOOK_AGAIN);
                continue;
            };
            // The checks are there before the records can be read.
            let mut applied = self.lock();
            let (appended, own) = match entry.content {
                Content::Drafts { drafts, time } => {
                    let own: Vec<_> = drafts.iter().map(|draft| draft.id.is_some()).collect();
                    (self.copy.append(drafts, time), own)
                }
                Content::Retained(now) => (self.copy.retain(now).map(|()| Vec::new()), Vec::new()),
                Content::Barrier => (Ok(Vec::new()), Vec::new()),
            };
            let mut appended = appended.expect("memory takes everything");
            applied.note(entry.nonce, &mut appended, self.copy.identity(), &own);
            next += 1;
            applied.entries = next;
            if let Some(wanted) = applied.wanted.get_mut(&entry.nonce) {
                *wanted = Some(appended);
            }
            drop(applied);
            self.advanced.notify_all();
        }
    }

    /// Records whether the journal takes appends.
    fn note<T>(&self, appended: Result<T, AppendError>) -> Result<T, AppendError> {
        // That another writer was faster is not a failure of the journal.
        let error = appended.as_ref().err().cloned().filter(|_| self.link.len().is_err());
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let since = failure.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        *failure = error.map(|error| (error, since));
        drop(failure);
        appended
    }

    fn lock(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing was stored.
fn away(error: LinkError) -> AppendError {
    AppendError::Away { retry: Duration::from_secs(1), source: Arc::new(error) }
}
