use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use tidings_hub::Check;

/// The hash of a block and, through the hash of its predecessor in it, of everything before.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockHash([u8; Self::BYTES]);

impl BlockHash {
    /// Bytes in a hash.
    pub const BYTES: usize = 16;

    /// The predecessor of the first block of a log.
    pub const NONE: Self = Self([0; Self::BYTES]);

    /// The hash of an encoded block.
    pub fn of(block: &[u8]) -> Self {
        let hash = digest(&SHA256, block);
        Self(hash.as_ref()[..Self::BYTES].try_into().expect("SHA-256 is longer"))
    }

    /// A hash from its bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The check of the record at `place`, counted from 0, in the block with this hash.
    pub fn check(&self, place: u32) -> Check {
        let [low, high] = [0, 8].map(|at| {
            u64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight of sixteen bytes"))
        });
        // The hash is uniform already; the places of one block need different parts of it.
        let mixed = low ^ high.wrapping_mul(u64::from(place).wrapping_mul(2).wrapping_add(1));
        Check::new((mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44) as u32)
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_checks_of_a_block_differ_from_place_to_place_and_from_block_to_block() {
        let checks: HashSet<_> = (0..100_u8)
            .flat_map(|n| (0..100).map(move |place| BlockHash::of(&[n]).check(place)))
            .collect();
        // Of 10,000 random numbers of 20 bits, some 50 pairs are equal.
        assert!(checks.len() > 9_850, "{}", checks.len());
    }

    #[test]
    fn two_histories_give_the_same_position_another_check() {
        let same = (0..100_000_u32).filter(|n| {
            let [one, other] = [0_u8, 1].map(|branch| {
                let mut bytes = n.to_le_bytes().to_vec();
                bytes.push(branch);
                BlockHash::of(&bytes)
            });
            one.check(n % 50) == other.check(n % 50)
        });
        assert!(same.count() < 5, "one in a million is the promise");
    }
}
