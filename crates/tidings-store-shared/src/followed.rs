use tidings_hub::{Epoch, Position, Timestamp};

use crate::chain::Chain;
use crate::hash::BlockHash;
use crate::journal::Seq;

/// A valid block that was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) seq: Seq,
    /// The end of the chain with it.
    pub(crate) chain: Chain,
    /// Position of its first record.
    pub(crate) first: Position,
}

impl Followed {
    /// Bytes of one in the file of the cursor: sequence, hash, epoch, first and next position,
    /// time, CRC-32.
    pub(crate) const BYTES: usize = 8 + BlockHash::BYTES + Epoch::LENGTH + 8 + 8 + 8 + 4;

    /// The position after its last record.
    pub(crate) fn next(&self) -> Position {
        self.chain.next
    }

    pub(crate) fn precedes(&self, later: &Self) -> bool {
        self.seq < later.seq && self.next() <= later.first && later.first <= later.next()
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let Self { seq, chain: Chain { epoch, hash, next, time }, first } = self;
        bytes.extend_from_slice(&seq.get().to_le_bytes());
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(epoch.as_str().as_bytes());
        for number in [first.get(), next.get(), time.as_millis()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[start..]);
        bytes.extend_from_slice(&crc.to_le_bytes());
    }

    /// `None` if `bytes`, as many as an entry has, are not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (seq, rest) = content.split_first_chunk::<8>()?;
        let (hash, rest) = rest.split_first_chunk::<{ BlockHash::BYTES }>()?;
        let (epoch, rest) = rest.split_at_checked(Epoch::LENGTH)?;
        let number = |n: usize| {
            let bytes = rest.get(n * 8..n * 8 + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
        };
        let chain = Chain {
            epoch: Epoch::parse(std::str::from_utf8(epoch).ok()?).ok()?,
            hash: BlockHash::from_bytes(*hash),
            next: Position::new(number(1)?),
            time: Timestamp::from_millis(number(2)?),
        };
        let (seq, first) = (Seq::new(u64::from_le_bytes(*seq)), Position::new(number(0)?));
        Some(Self { seq, chain, first })
    }
}
