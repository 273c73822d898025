use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidings_hub::Erase;

use crate::block::{Block, Content};
use crate::chain::Chain;
use crate::hash::BlockHash;
use crate::journal::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds};

/// A stream in memory; a clone is another connection to it.
#[derive(Clone, Default)]
pub(super) struct MemoryJournal(Arc<Mutex<Option<Stream>>>);

#[derive(Default)]
struct Stream {
    blocks: Vec<Bytes>,
    /// Number of the oldest ones that were dropped. They are still in `blocks`.
    dropped: usize,
}

impl MemoryJournal {
    /// Number of its blocks, with those that were dropped.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().as_ref().map_or(0, |stream| stream.blocks.len())
    }

    /// Loses its end.
    pub(super) fn lose_after(&self, blocks: usize) {
        self.0.lock().unwrap().as_mut().unwrap().blocks.truncate(blocks);
    }

    /// Drops its oldest blocks, so that there have been this many.
    pub(super) fn drop_oldest(&self, blocks: usize) {
        let mut stream = self.0.lock().unwrap();
        let stream = stream.as_mut().unwrap();
        stream.dropped = stream.dropped.max(blocks.min(stream.blocks.len()));
    }

    /// Is put back to when it had this many blocks, and had dropped none.
    pub(super) fn put_back(&self, blocks: usize) {
        let mut stream = self.0.lock().unwrap();
        let stream = stream.as_mut().unwrap();
        stream.blocks.truncate(blocks);
        stream.dropped = 0;
    }

    /// Number of the oldest ones that were dropped.
    pub(super) fn dropped(&self) -> usize {
        self.0.lock().unwrap().as_ref().map_or(0, |stream| stream.dropped)
    }

    /// Number of blocks up to the newest one that is neither of events nor without content.
    pub(super) fn special(&self) -> usize {
        let stream = self.0.lock().unwrap();
        let blocks = stream.as_ref().map_or(&[][..], |stream| &stream.blocks);
        let is_plain = |bytes: &Bytes| {
            let content = Block::decode(bytes).unwrap().content;
            matches!(content, Content::Events(_) | Content::Barrier)
        };
        // The first block names the log.
        blocks.iter().rposition(|bytes| !is_plain(bytes)).map_or(1, |place| place + 1)
    }

    /// Adds erasures, as hubs do.
    pub(super) fn erase(&self, erasures: impl Iterator<Item = Erase>) {
        let mut stream = self.0.lock().unwrap();
        let blocks = &mut stream.as_mut().unwrap().blocks;
        let newest = blocks.last().unwrap();
        let mut chain =
            Chain::beginning_with(&Block::decode(newest).unwrap(), BlockHash::of(newest));
        for (number, erase) in (0..).zip(erasures) {
            let nonce = Nonce { run: u64::MAX, number };
            let block = chain.continued_by(nonce, Content::Erase(erase));
            let bytes = block.encode();
            chain.extend(&block, BlockHash::of(&bytes));
            blocks.push(bytes);
        }
    }

    /// Number of erasures.
    pub(super) fn erasures(&self) -> usize {
        let stream = self.0.lock().unwrap();
        let blocks = stream
            .iter()
            .flat_map(|stream| &stream.blocks)
            .filter_map(|bytes| Block::decode(bytes).ok());
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
        Ok(stream.as_ref().map(|Stream { blocks, dropped }| SeqBounds {
            first: Seq::new(*dropped as u64 + 1),
            last: Seq::new(blocks.len() as u64),
        }))
    }

    fn append(
        &mut self,
        after: Seq,
        _: Nonce,
        block: &[u8],
        _: Duration,
    ) -> Result<Seq, AppendFault> {
        let mut stream = self.0.lock().unwrap();
        let Stream { blocks, .. } = stream.as_mut().unwrap();
        if blocks.len() as u64 != after.get() {
            return Err(AppendFault::Behind);
        }
        blocks.push(Bytes::copy_from_slice(block));
        Ok(after.next())
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        let stream = self.0.lock().unwrap();
        let (mut page, mut bytes) = (Vec::new(), 0);
        let Some(Stream { blocks, dropped }) = &*stream else { return Ok(page) };
        let skipped = (*dropped).max(after.get() as usize);
        for (place, block) in (1..).zip(blocks).skip(skipped) {
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

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        self.drop_oldest(before.previous().get() as usize);
        Ok(())
    }

    fn bytes(&mut self) -> Result<u64, JournalError> {
        let stream = self.0.lock().unwrap();
        let blocks = stream.iter().flat_map(|stream| &stream.blocks[stream.dropped..]);
        Ok(blocks.map(|block| block.len() as u64).sum())
    }

    fn block_bytes_max(&self) -> usize {
        1 << 20
    }
}
