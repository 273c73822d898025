use std::time::Duration;

use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Draft, Health, Log, LogIdentity, Page, Position,
    ReadError, ReadQuery, SharedLog, Slots, Timestamp,
};
use tidings_store_shared::SharedStore;

/// A store that does not look whether what others appended meanwhile forbids an append.
#[derive(Debug)]
pub(super) struct Careless(pub(super) SharedStore);

impl Log for Careless {
    fn identity(&self) -> &LogIdentity {
        self.0.identity()
    }

    fn bounds(&self) -> Bounds {
        self.0.bounds()
    }

    fn append(&self, mut drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        drafts.iter_mut().for_each(|draft| draft.expected = None);
        self.0.append(drafts, now)
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        self.0.read(query)
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.0.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.0.retain(now)
    }

    fn note_time(&self, now: Timestamp) {
        self.0.note_time(now);
    }

    fn health(&self) -> Health {
        self.0.health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self.0.catalog()
    }

    fn slots(&self) -> &Slots {
        self.0.slots()
    }

    fn shared(&self) -> Option<&dyn SharedLog> {
        self.0.shared()
    }
}
