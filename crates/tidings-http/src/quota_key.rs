/// A token, or an address, as a number.
pub type Key = u64;
