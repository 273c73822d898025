use std::sync::Arc;

use tidings_hub::{Check, EventId, Log, Position, ReadError, ReadQuery, SharedLog};
use tidings_store_shared::SharedStore;
use tidings_testkit::layers::LogLayer;

/// A store that knows the check of an event only as long as it has the event.
#[derive(Debug)]
pub(crate) struct Unchecked(pub(crate) Arc<SharedStore>);

impl LogLayer for Unchecked {
    fn under(&self) -> &dyn Log {
        &*self.0
    }

    fn shared(&self) -> Option<&dyn SharedLog> {
        Some(self)
    }
}

impl SharedLog for Unchecked {
    fn check(&self, position: Position) -> Result<Option<Check>, ReadError> {
        let is_there = !self.0.read(&ReadQuery::one(position))?.records.is_empty();
        if is_there { self.0.check(position) } else { Ok(None) }
    }

    fn prove_head(&self) -> Result<Position, ReadError> {
        self.0.prove_head()
    }

    fn fork_before(&self, id: &EventId) -> Result<Option<Position>, ReadError> {
        self.0.fork_before(id)
    }
}
