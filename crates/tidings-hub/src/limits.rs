//! Every bound in the hub: its default, why, what it costs, and what happens at the edge.
//!
//! The memory of one subscriber is the sum of: its entry in the shard (under 100 bytes, see
//! [`crate::Shard`]), one entry in its group's list (4 bytes) and one in the timer wheel (8 bytes). How slow it is
//! changes nothing.

/// Longest topic, in bytes. Long enough for a URL with a query. At the edge: the topic is refused.
pub const TOPIC_BYTES_MAX: usize = 4096;
