use std::fmt;
use std::sync::Arc;

use tidings_hub::Notice;

/// Lives as long as a subscriber, and is dropped when the subscriber is gone, for whatever reason.
///
/// Both its method and its `drop` run on the thread that serves the subscriber, between two writes:
/// they must be short.
pub trait SubscriberHook: Send + fmt::Debug {
    /// The subscriber is attached: every event and notice from now on reaches it. Returns earlier
    /// notices that it is to get as well.
    fn arrived(&mut self) -> Vec<Arc<Notice>>;
}
