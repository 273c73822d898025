use std::sync::Arc;

use tidings_hub::{Check, Log, Position, ReadError, SharedLog};
use tidings_store_shared::SharedStore;
use tidings_testkit::layers::LogLayer;

/// A store that does not remember the ids of lost events.
#[derive(Debug)]
pub(crate) struct Forgetful(pub(crate) Arc<SharedStore>);

impl LogLayer for Forgetful {
    fn under(&self) -> &dyn Log {
        &*self.0
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
