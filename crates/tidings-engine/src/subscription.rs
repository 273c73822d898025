use tidings_hub::Position;

use crate::connection::Began;
use crate::counters::Permit;
use crate::hook::SubscriberHook;
use crate::sink::Sink;

/// Everything that belongs to one subscriber's connection. The shard owns it as long as the
/// subscriber is there, and it ends with the subscriber.
pub(crate) struct Subscription {
    pub(crate) sink: Sink,
    pub(crate) info: ConnectionInfo,
    pub(crate) permit: Permit,
    pub(crate) hook: Option<Box<dyn SubscriberHook>>,
}

/// Per-connection details for operators; 24 bytes of each subscriber's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    /// The number in its connection id.
    pub(crate) number: u64,
    /// The position after which it started.
    pub(crate) started: Position,
    /// Time of arrival, in seconds since the engine started.
    pub(crate) since_s: u32,
    pub(crate) began: Began,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_costs_a_subscriber_no_more_than_before() {
        assert!(size_of::<Option<Subscription>>() <= 72, "{}", size_of::<Option<Subscription>>());
    }
}
