use std::time::Duration;

use bytes::Bytes;
use tidings_store_shared::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds};
use tidings_testkit::shared_log::Connection;

/// A connection that believes that there is no more than it has heard of: a page that begins with
/// the newest block of a hub ends with it, if the ring for the next one was lost.
#[derive(Debug)]
pub(crate) struct Trusting(pub(crate) Connection);

impl Journal for Trusting {
    fn create(&mut self) -> Result<(), JournalError> {
        self.0.create()
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        self.0.bounds()
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault> {
        self.0.append(after, nonce, block, patience)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.0.read_at_least(1, after, bytes_max)
    }

    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError> {
        self.0.wait(after, timeout)
    }

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        self.0.trim(before)
    }

    fn block_bytes_max(&self) -> usize {
        self.0.block_bytes_max()
    }
}
