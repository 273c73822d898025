/// A token, or an address, as a number.
pub(crate) type Key = u64;
