//! A Bloom filter over the topics and ids of a sealed segment, held in memory.
//!
//! Most segments do not have the id or the topic that is looked for, and the filter knows that
//! without reading the disk. It is wrong in one case out of a hundred, which costs one needless
//! read.

use crate::limits::FILTER_BITS_PER_KEY;

/// Bits set per key: the best number for ten bits a key.
const PROBES: u64 = 7;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<u64>);

/// The kind of a key. The same text can be a topic and an id.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyKind {
    Topic,
    Id,
}

impl Filter {
    /// A filter for `keys` keys.
    pub(super) fn new(keys: usize) -> Self {
        Self(vec![0; Self::bytes_for(keys) / 8])
    }

    /// Bytes that a filter takes for `keys` keys.
    pub(super) fn bytes_for(keys: usize) -> usize {
        (keys * FILTER_BITS_PER_KEY).div_ceil(64).max(1) * 8
    }

    pub(super) fn insert(&mut self, kind: KeyKind, key: &str) {
        for bit in self.bits(kind, key) {
            self.0[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Whether it may hold the key; `false` is certain.
    pub(super) fn may_hold(&self, kind: KeyKind, key: &str) -> bool {
        self.bits(kind, key).all(|bit| self.0[bit / 64] & (1 << (bit % 64)) != 0)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let words = bytes.chunks_exact(8);
        Self(words.map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect())
    }

    fn bits(&self, kind: KeyKind, key: &str) -> impl Iterator<Item = usize> + use<> {
        let hash = hash(kind, key);
        let bits = self.0.len() as u64 * 64;
        // Two hashes make all the others (Kirsch and Mitzenmacher, 2006).
        let step = (hash >> 32) | 1;
        (0..PROBES).map(move |n| (hash.wrapping_add(n.wrapping_mul(step)) % bits) as usize)
    }
}

/// FNV-1a, then mixed: it is written to disk, so it must never change.
fn hash(kind: KeyKind, key: &str) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325 ^ kind as u64;
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserted_keys_are_found_and_few_others() {
        let mut filter = Filter::new(10_000);
        for n in 0..10_000 {
            filter.insert(KeyKind::Topic, &format!("topic/{n}"));
        }
        let filter = Filter::from_bytes(&filter.to_bytes());
        assert!((0..10_000).all(|n| filter.may_hold(KeyKind::Topic, &format!("topic/{n}"))));
        let wrong = (0..10_000).filter(|n| filter.may_hold(KeyKind::Id, &format!("topic/{n}")));
        let wrong = wrong.count();
        assert!(wrong < 200, "{wrong} of 10,000");
    }
}
