/// A token, or an address, as a number.
pub type Key = u64;

/// The key of publishers that are unknown, or came when the table of keys was full. Limits of one
/// key alone use it, too.
pub(crate) const SHARED: Key = 0;
