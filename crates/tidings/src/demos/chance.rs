//! Chance enough for a demo.

use std::hash::{BuildHasher, RandomState};

/// A number below `bound`.
pub(super) fn below(bound: usize) -> usize {
    // Fresh keys make a fresh number.
    RandomState::new().hash_one(bound) as usize % bound.max(1)
}

/// One of `items`.
pub(super) fn one_of<T>(items: &[T]) -> &T {
    &items[below(items.len())]
}

/// A number from -1 to 1.
pub(super) fn swing() -> f64 {
    below(2001) as f64 / 1000.0 - 1.0
}
