use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::block::{Block, Content};
use crate::journal::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds};

/// A stream in memory; a clone is another connection to it.
#[derive(Clone, Default)]
pub(super) struct MemoryJournal(Arc<Mutex<Option<Vec<Bytes>>>>);

impl MemoryJournal {
    /// Number of its blocks.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// Loses its end.
    pub(super) fn lose_after(&self, blocks: usize) {
        self.0.lock().unwrap().as_mut().unwrap().truncate(blocks);
    }

    /// Number of erasures.
    pub(super) fn erasures(&self) -> usize {
        let stream = self.0.lock().unwrap();
        let blocks = stream.iter().flatten().filter_map(|bytes| Block::decode(bytes).ok());
        blocks.filter(|block| matches!(block.content, Content::Erase(_))).count()
    }
}

impl Journal for MemoryJournal {
    fn create(&mut self) -> Result<(), JournalError> {
        self.0.lock().unwrap().get_or_insert_default();
        Ok(())
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        let stream = self.0.lock().unwrap();
        let last = |blocks: &Vec<Bytes>| Seq::new(blocks.len() as u64);
        Ok(stream.as_ref().map(|blocks| SeqBounds { first: Seq::new(1), last: last(blocks) }))
    }

    fn append(
        &mut self,
        after: Seq,
        _: Nonce,
        block: &[u8],
        _: Duration,
    ) -> Result<Seq, AppendFault> {
        let mut stream = self.0.lock().unwrap();
        let blocks = stream.as_mut().unwrap();
        if blocks.len() as u64 != after.get() {
            return Err(AppendFault::Behind);
        }
        blocks.push(Bytes::copy_from_slice(block));
        Ok(after.next())
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        let stream = self.0.lock().unwrap();
        let (mut page, mut bytes) = (Vec::new(), 0);
        for (place, block) in (1..).zip(stream.iter().flatten()).skip(after.get() as usize) {
            if page.len() >= 2 && bytes >= bytes_max {
                break;
            }
            bytes += block.len();
            page.push((Seq::new(place), block.clone()));
        }
        Ok(page)
    }

    fn wait(&mut self, _: Seq, _: Duration) -> Result<(), JournalError> {
        Ok(())
    }

    fn trim(&mut self, _: Seq) -> Result<(), JournalError> {
        Ok(())
    }

    fn block_bytes_max(&self) -> usize {
        1 << 20
    }
}
