use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings_store_shared::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds, Terms};

use super::engine::{BLOCK_BYTES_MAX, Engine, Entry};

/// A connection to an [`Engine`].
#[derive(Clone, Debug)]
pub struct Connection {
    engine: Arc<Engine>,
}

impl Connection {
    /// A connection to `engine`.
    pub fn to(engine: &Arc<Engine>) -> Box<Self> {
        Box::new(Self { engine: Arc::clone(engine) })
    }
}

impl Journal for Connection {
    fn create(&mut self) -> Result<(), JournalError> {
        self.engine.create()
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        self.engine.bounds()
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        _: Duration,
    ) -> Result<Seq, AppendFault> {
        self.engine.append(after, Entry { nonce, block: Bytes::copy_from_slice(block) })
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.engine.read(after, bytes_max)
    }

    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError> {
        self.engine.wait(after, timeout);
        Ok(())
    }

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        self.engine.trim(before)
    }

    fn terms(&mut self) -> Result<Option<Terms>, JournalError> {
        self.engine.terms()
    }

    fn set_terms(&mut self, terms: &Terms) -> Result<(), JournalError> {
        self.engine.set_terms(terms)
    }

    fn block_bytes_max(&self) -> usize {
        BLOCK_BYTES_MAX
    }
}
