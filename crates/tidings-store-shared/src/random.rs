use std::hash::{BuildHasher as _, RandomState};

/// A random number. The standard library seeds its hash maps from the operating system.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
