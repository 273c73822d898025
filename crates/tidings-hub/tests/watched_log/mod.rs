//! A log in memory that runs a hook after each read, before its caller gets the page.

use std::time::Duration;

use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Health, Log, LogIdentity, MemoryStore, Page,
    Position, ReadError, ReadQuery, Slots, Timestamp,
};

/// Does what a [`MemoryStore`] does, and calls `after_read` with it and what was read.
pub(crate) struct WatchedLog<F> {
    log: MemoryStore,
    after_read: F,
}

impl<F: Fn(&MemoryStore, &Page) + Send + Sync + 'static> WatchedLog<F> {
    pub(crate) fn new(log: MemoryStore, after_read: F) -> Self {
        Self { log, after_read }
    }

    /// The log itself, which runs no hook.
    #[allow(dead_code, reason = "not all tests use it")]
    pub(crate) fn log(&self) -> &MemoryStore {
        &self.log
    }
}

impl<F: Fn(&MemoryStore, &Page) + Send + Sync + 'static> Log for WatchedLog<F> {
    fn identity(&self) -> &LogIdentity {
        self.log.identity()
    }

    fn bounds(&self) -> Bounds {
        self.log.bounds()
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        self.log.append(drafts, now)
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        let page = self.log.read(query)?;
        (self.after_read)(&self.log, &page);
        Ok(page)
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.log.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.log.retain(now)
    }

    fn note_time(&self, now: Timestamp) {
        self.log.note_time(now);
    }

    fn health(&self) -> Health {
        self.log.health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self.log.catalog()
    }

    fn slots(&self) -> &Slots {
        self.log.slots()
    }
}
