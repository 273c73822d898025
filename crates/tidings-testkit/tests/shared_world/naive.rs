use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tidings_store_shared::{Block, BlockHash, Chain, Content, Journal as _, JournalError, Seq};
use tidings_testkit::layers::JournalLayer;
use tidings_testkit::shared_log::{Connection, Engine};

/// A connection that makes every block fit what its hub had before: a hub behind it follows as if
/// there were no rule about void blocks, and no look back at the block before.
#[derive(Clone, Debug)]
pub(crate) struct Naive {
    inner: Connection,
    shown: Arc<Mutex<BTreeMap<Seq, (Bytes, Chain)>>>,
}

impl Naive {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self { inner: *Connection::to(engine), shown: Arc::default() }
    }

    pub(crate) fn forget(&mut self) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn show(&self, seq: Seq, bytes: &Bytes) -> Bytes {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, _)) = shown.get(&seq) {
            return known.clone();
        }
        let Ok(mut block) = Block::decode(bytes) else { return bytes.clone() };
        let before = shown.range(..seq).next_back().map(|(_, (_, chain))| *chain);
        let mut chain = match before {
            Some(chain) => {
                block.prev = chain.hash;
                block.first = chain.next;
                block.time = block.time.max(chain.time);
                if !matches!(block.content, Content::Rename(_)) {
                    block.epoch = chain.epoch;
                }
                chain
            }
            None => Chain::beginning_with(&block, block.prev),
        };
        let bytes = block.encode();
        chain.extend(&block, BlockHash::of(&bytes));
        shown.insert(seq, (bytes.clone(), chain));
        bytes
    }
}

impl JournalLayer for Naive {
    fn under(&mut self) -> Result<&mut Connection, JournalError> {
        Ok(&mut self.inner)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        let page = self.inner.read(after, bytes_max)?;
        Ok(page.into_iter().map(|(seq, bytes)| (seq, self.show(seq, &bytes))).collect())
    }
}
