use std::sync::Arc;
use std::time::Duration;

use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, Check, Draft, Health, Log, LogIdentity, Page, Position,
    ReadError, ReadQuery, SharedLog, Slots, Timestamp,
};
use tidings_store_shared::SharedStore;

/// A store that does not remember the ids of lost events.
#[derive(Debug)]
pub(crate) struct Forgetful(pub(crate) Arc<SharedStore>);

impl Log for Forgetful {
    fn identity(&self) -> &LogIdentity {
        self.0.identity()
    }

    fn bounds(&self) -> Bounds {
        self.0.bounds()
    }

    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
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
        Some(self)
    }
}

impl SharedLog for Forgetful {
    fn check(&self, position: Position) -> Result<Option<Check>, ReadError> {
        self.0.check(position)
    }

    fn prove_head(&self) -> Result<Position, ReadError> {
        self.0.prove_head()
    }
}
