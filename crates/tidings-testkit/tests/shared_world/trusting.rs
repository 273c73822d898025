use bytes::Bytes;
use tidings_store_shared::{JournalError, Seq};
use tidings_testkit::layers::JournalLayer;
use tidings_testkit::shared_log::Connection;

/// A connection that believes that there is no more than it has heard of: a page that begins with
/// the newest block of a hub ends with it, if the ring for the next one was lost.
#[derive(Debug)]
pub(crate) struct Trusting(pub(crate) Connection);

impl JournalLayer for Trusting {
    fn under(&mut self) -> Result<&mut Connection, JournalError> {
        Ok(&mut self.0)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.0.read_at_least(1, after, bytes_max)
    }
}
