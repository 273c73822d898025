use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidings_hub::{Draft, Epoch, Timestamp};

/// A log held elsewhere, as by an engine with compare-and-set: a sequence of entries, each appended
/// only if the writer knows how many there are. It never fails; only the [`Link`](super::Link) to
/// it does.
#[derive(Debug)]
pub struct Journal {
    pub(super) epoch: Epoch,
    entries: Mutex<Vec<Entry>>,
    grown: Condvar,
}

/// An entry of the journal.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Number by which a writer recognises its own entry.
    pub(super) nonce: u64,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The drafts of one append.
    Drafts { drafts: Vec<Draft>, time: Timestamp },
    /// Every node drops events that are older than retention allows at this moment.
    Retained(Timestamp),
    /// Takes the place of an entry whose fate was unknown, and so decides it.
    Barrier,
}

/// There are more entries than the writer knows.
#[derive(Debug)]
pub(super) struct Behind;

impl Journal {
    /// An empty log.
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, entries: Mutex::default(), grown: Condvar::new() }
    }

    /// A journal that lost everything after its first `appends` appends of events, as an engine may
    /// that was put back from a copy. What is appended to it from now on is other than what was
    /// lost.
    #[must_use]
    pub fn rolled_back(&self, appends: usize) -> Self {
        let mut left = appends;
        let is_kept = |entry: &&Entry| {
            let counts = usize::from(matches!(entry.content, Content::Drafts { .. }));
            let is_kept = left >= counts;
            left = left.saturating_sub(counts);
            is_kept
        };
        let kept = self.lock().iter().take_while(is_kept).cloned().collect();
        Self { epoch: self.epoch, entries: Mutex::new(kept), grown: Condvar::new() }
    }

    /// Appends if there are exactly `expected` entries. Returns the new number of entries.
    pub(super) fn append(&self, expected: usize, entry: Entry) -> Result<usize, Behind> {
        let mut entries = self.lock();
        if entries.len() != expected {
            return Err(Behind);
        }
        entries.push(entry);
        self.grown.notify_all();
        Ok(entries.len())
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn get(&self, number: usize) -> Option<Entry> {
        self.lock().get(number).cloned()
    }

    /// Waits for entries after the first `known`, at most until `deadline`.
    pub(super) fn wait(&self, known: usize, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut entries = self.lock();
        while entries.len() <= known {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.grown.wait_timeout(entries, left);
            entries = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
