use tidings_hub::{AppendError, Appended, Draft, Log, Position, Timestamp};
use tidings_store_shared::SharedStore;
use tidings_testkit::layers::LogLayer;

/// A store that does not look whether what others appended meanwhile forbids an append.
#[derive(Debug)]
pub(super) struct Careless(pub(super) SharedStore);

impl LogLayer for Careless {
    fn under(&self) -> &dyn Log {
        &self.0
    }

    fn append(
        &self,
        mut drafts: Vec<Draft>,
        _: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        drafts.iter_mut().for_each(|draft| draft.expected = None);
        self.0.append(drafts, now)
    }
}
