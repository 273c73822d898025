use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tidings_store_shared::{Journal as _, JournalError, Seq};
use tidings_testkit::layers::JournalLayer;
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

impl JournalLayer for Cut {
    fn under(&mut self) -> Result<&mut Connection, JournalError> {
        if self.is_cut.load(Ordering::Relaxed) {
            return Err(JournalError::Away { source: Arc::new(NoWay) });
        }
        Ok(&mut self.inner)
    }

    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError> {
        match self.under() {
            Ok(way) => way.wait(after, timeout),
            Err(error) => {
                thread::sleep(timeout);
                Err(error)
            }
        }
    }
}
