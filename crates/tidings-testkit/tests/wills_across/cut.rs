use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tidings_store_shared::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds};
use tidings_testkit::shared_log::Connection;

/// A connection to the log that can be cut.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) inner: Connection,
    pub(super) is_cut: Arc<AtomicBool>,
}

/// Nothing goes through.
#[derive(Debug)]
struct NoWay;

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for NoWay {}

impl Cut {
    fn way(&mut self) -> Result<&mut Connection, JournalError> {
        if self.is_cut.load(Ordering::Relaxed) {
            return Err(JournalError::Away { source: Arc::new(NoWay) });
        }
        Ok(&mut self.inner)
    }
}

impl Journal for Cut {
    fn create(&mut self) -> Result<(), JournalError> {
        self.way()?.create()
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        self.way()?.bounds()
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault> {
        self.way().map_err(AppendFault::NotStored)?.append(after, nonce, block, patience)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.way()?.read(after, bytes_max)
    }

    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError> {
        match self.way() {
            Ok(way) => way.wait(after, timeout),
            Err(error) => {
                thread::sleep(timeout);
                Err(error)
            }
        }
    }

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        self.way()?.trim(before)
    }

    fn block_bytes_max(&self) -> usize {
        self.inner.block_bytes_max()
    }
}
