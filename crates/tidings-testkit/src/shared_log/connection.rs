use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings_store_shared::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds, Terms};

use super::engine::{BLOCK_BYTES_MAX, Engine, Entry, Heard};

/// A connection to an [`Engine`].
///
/// It has heard of blocks up to some sequence: from the engine's bell, which rings for each block,
/// from its own appends, and from what it was shown. A page has at least two blocks if there are
/// two, and further ones only as far as it has heard.
#[derive(Clone, Debug)]
pub struct Connection {
    engine: Arc<Engine>,
    heard: Arc<Heard>,
}

impl Connection {
    /// A connection to `engine` that has heard of all that is there now.
    pub fn to(engine: &Arc<Engine>) -> Box<Self> {
        Box::new(Self { engine: Arc::clone(engine), heard: engine.listen() })
    }

    /// Blocks after `after`: at least `count` if there are that many, and further ones only as far
    /// as the connection has heard, until they have `bytes_max` bytes. (A [`Journal`] must show at
    /// least two.)
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn read_at_least(
        &mut self,
        count: usize,
        after: Seq,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        let page = self.engine.read(after, self.heard.get(), count, bytes_max)?;
        if let Some((newest, _)) = page.last() {
            self.heard.hear(*newest);
        }
        Ok(page)
    }
}

impl Journal for Connection {
    fn create(&mut self) -> Result<(), JournalError> {
        self.engine.create()
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        let bounds = self.engine.bounds()?;
        if let Some(SeqBounds { last, .. }) = bounds {
            self.heard.hear(last);
        }
        Ok(bounds)
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        _: Duration,
    ) -> Result<Seq, AppendFault> {
        let entry = Entry { nonce, block: Bytes::copy_from_slice(block) };
        let appended = self.engine.append(after, entry, &self.heard);
        if let Ok(seq) = appended {
            self.heard.hear(seq);
        }
        appended
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.read_at_least(2, after, bytes_max)
    }

    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError> {
        self.engine.wait(after, timeout, &self.heard);
        Ok(())
    }

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        self.engine.trim(before)
    }

    fn bytes(&mut self) -> Result<u64, JournalError> {
        self.engine.bytes()
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
