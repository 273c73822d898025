//! The chain of blocks: each names the hash of the one before it.
//!
//! All hubs read the same blocks in the same order, so each decides by itself, and all decide the
//! same, which blocks count: those that continue the chain. A block that does not is *void*: its
//! writer built it on a log that had meanwhile grown, and an engine whose compare-and-set did not
//! hold took it all the same. Its writer sees that it is void and appends its events again.

use std::fmt;

use tidings_hub::{Epoch, Position, Timestamp};

use crate::block::{Block, Content};
use crate::hash::BlockHash;
use crate::journal::Nonce;

/// The end of a chain: what the next block must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Name of the log.
    pub epoch: Epoch,
    /// Hash of the last valid block.
    pub hash: BlockHash,
    /// Position of the next record.
    pub next: Position,
    /// Time of the last valid block.
    pub time: Timestamp,
}

/// Why a block is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It continues another block than the last valid one.
    Predecessor,
    /// Its first position is not the next one.
    Position,
    /// It is of a log with another name.
    Epoch,
    /// Its time is before that of the last valid block.
    Time,
}

impl Chain {
    /// A log without blocks.
    pub fn new(epoch: Epoch) -> Self {
        let next = Position::ZERO.next();
        Self { epoch, hash: BlockHash::NONE, next, time: Timestamp::default() }
    }

    /// The chain that ends with `block`, whose predecessors are gone. `block` is trusted.
    pub fn beginning_with(block: &Block, hash: BlockHash) -> Self {
        Self { epoch: block.epoch, hash, next: block.next(), time: block.time }
    }

    /// Whether `block` continues the chain.
    ///
    /// # Errors
    ///
    /// The first reason why it does not.
    pub fn admit(&self, block: &Block) -> Result<(), Misfit> {
        // A rename has the new name, and says which one it continues.
        let continued = match &block.content {
            Content::Rename(rename) => rename.former.first().map(|name| name.epoch),
            Content::Events(_) | Content::Barrier | Content::Lost(_) | Content::Erase(_) => {
                Some(block.epoch)
            }
        };
        let rules = [
            (block.prev == self.hash, Misfit::Predecessor),
            (block.first == self.next, Misfit::Position),
            (continued == Some(self.epoch), Misfit::Epoch),
            (block.time >= self.time, Misfit::Time),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, misfit)| Err(*misfit))
    }

    /// A block that continues the chain, with the time of the one before it.
    pub fn continued_by(&self, nonce: Nonce, content: Content) -> Block {
        let Self { epoch, hash: prev, next: first, time } = *self;
        Block { epoch, first, time, prev, nonce, content }
    }

    /// Continues the chain with a block that it admits.
    pub fn extend(&mut self, block: &Block, hash: BlockHash) {
        *self = Self::beginning_with(block, hash);
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Predecessor => "it continues another block",
            Self::Position => "it has another position",
            Self::Epoch => "it is of another log",
            Self::Time => "it is earlier than the block before it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Rename;
    use tidings_hub::{Draft, FormerName, Topic};

    fn events(chain: &Chain, count: usize) -> Block {
        let draft = Draft::new(Topic::new("a").expect("a topic"), "x");
        chain.continued_by(Nonce { run: 1, number: 1 }, Content::Events(vec![draft; count]))
    }

    fn chain() -> Chain {
        let mut chain = Chain::new(Epoch::from_random(7));
        chain.time = Timestamp::from_millis(10);
        let block = events(&chain, 3);
        chain.extend(&block, BlockHash::of(&block.encode()));
        chain
    }

    #[test]
    fn a_block_must_fit_the_end_of_the_chain_in_every_respect() {
        let chain = chain();
        let fits = events(&chain, 2);
        assert_eq!(chain.admit(&fits), Ok(()));
        let misfit = |change: &dyn Fn(&mut Block)| {
            let mut block = fits.clone();
            change(&mut block);
            chain.admit(&block)
        };
        assert_eq!(misfit(&|block| block.prev = BlockHash::NONE), Err(Misfit::Predecessor));
        assert_eq!(misfit(&|block| block.first = chain.next.next()), Err(Misfit::Position));
        assert_eq!(misfit(&|block| block.epoch = Epoch::from_random(8)), Err(Misfit::Epoch));
        assert_eq!(misfit(&|block| block.time = Timestamp::from_millis(9)), Err(Misfit::Time));
    }

    #[test]
    fn blocks_without_records_take_no_position() {
        let mut chain = chain();
        let barrier = Block { content: Content::Barrier, ..events(&chain, 0) };
        let before = chain.next;
        assert_eq!(chain.admit(&barrier), Ok(()));
        chain.extend(&barrier, BlockHash::of(&barrier.encode()));
        assert_eq!(chain.next, before);
        assert_eq!(chain.admit(&events(&chain, 1)), Ok(()));
    }

    #[test]
    fn a_rename_continues_the_log_whose_name_it_replaces_and_no_other() {
        let mut chain = chain();
        let rename = |former| Block {
            epoch: Epoch::from_random(8),
            content: Content::Rename(Rename {
                former: vec![FormerName { epoch: former, upto: Position::new(2) }],
                ..Rename::default()
            }),
            ..events(&chain, 0)
        };
        assert_eq!(chain.admit(&rename(Epoch::from_random(9))), Err(Misfit::Epoch));
        let block = rename(chain.epoch);
        assert_eq!(chain.admit(&block), Ok(()));
        chain.extend(&block, BlockHash::of(&block.encode()));
        assert_eq!(chain.epoch, Epoch::from_random(8));
    }
}
