//! A log in memory that runs a hook before each call that may be slow or fail.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Epoch, Erase, EraseError, Erased, Eraser,
    Health, Log, LogIdentity, MemoryStore, Page, Position, ReadError, ReadQuery, Slots, Timestamp,
};

/// What the engine asks of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Append,
    /// The fan-out reads, for all subscribers.
    ReadTail,
    /// Somebody reads what is past.
    ReadHistory,
    /// Somebody waits for a record.
    Wait,
    Erase,
}

/// Does what a [`MemoryStore`] does, after `before` has returned.
pub(crate) struct HookedLog<F> {
    inner: MemoryStore,
    before: F,
}

impl<F: Fn(Call) + Send + Sync + 'static> HookedLog<F> {
    pub(crate) fn new(before: F) -> Self {
        let epoch = Epoch::parse("k7q2ma").unwrap();
        Self { inner: MemoryStore::new(epoch, usize::MAX, Duration::MAX), before }
    }
}

impl<F: Fn(Call) + Send + Sync + 'static> Log for HookedLog<F> {
    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        (self.before)(Call::Append);
        self.inner.append(drafts, now)
    }

    fn appends_anywhere(&self) -> bool {
        true
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        let is_history = query.interest.is_some();
        (self.before)(if is_history { Call::ReadHistory } else { Call::ReadTail });
        self.inner.read(query)
    }

    fn identity(&self) -> &LogIdentity {
        self.inner.identity()
    }

    fn bounds(&self) -> Bounds {
        self.inner.bounds()
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        (self.before)(Call::Wait);
        self.inner.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.inner.retain(now)
    }

    fn note_time(&self, now: Timestamp) {
        self.inner.note_time(now);
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self.inner.catalog()
    }

    fn slots(&self) -> &Slots {
        self.inner.slots()
    }

    fn eraser(&self) -> Option<&dyn Eraser> {
        Some(self)
    }
}

impl<F: Fn(Call) + Send + Sync + 'static> Eraser for HookedLog<F> {
    fn erase(&self, what: &Erase, go_on: &dyn Fn() -> bool) -> Result<Erased, EraseError> {
        (self.before)(Call::Erase);
        self.inner.erase(what, go_on)
    }
}
