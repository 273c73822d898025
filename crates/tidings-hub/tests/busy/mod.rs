//! A log to which others append while somebody reads it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Health, Log, LogIdentity, MemoryStore, Page,
    Position, ReadError, ReadQuery, Slots, Timestamp,
};

/// A log that appends what is coming at each read, between what the read finds and what its caller
/// then makes of it.
pub(crate) struct BusyLog {
    log: MemoryStore,
    coming: Mutex<VecDeque<Draft>>,
    /// Number of drafts that are appended at each read; none when it is empty.
    paces: Mutex<VecDeque<usize>>,
}

impl BusyLog {
    pub(crate) fn new(
        log: MemoryStore,
        coming: impl IntoIterator<Item = Draft>,
        paces: impl IntoIterator<Item = usize>,
    ) -> Self {
        let coming = Mutex::new(coming.into_iter().collect());
        Self { log, coming, paces: Mutex::new(paces.into_iter().collect()) }
    }
}

impl Log for BusyLog {
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
        let page = self.log.read(query);
        let pace = self.paces.lock().expect("nobody panics").pop_front().unwrap_or(0);
        let mut coming = self.coming.lock().expect("nobody panics");
        let pace = pace.min(coming.len());
        let drafts = coming.drain(..pace).collect();
        self.log.append(drafts, Timestamp::default()).expect("memory takes everything");
        page
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
