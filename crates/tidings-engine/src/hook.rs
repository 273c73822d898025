use std::fmt;
use std::sync::Arc;

use tidings_hub::Notice;

/// Goes with a subscriber, and is dropped when the subscriber is gone, however that came.
///
/// Both happen on the thread that serves the subscriber, between two turns: what is done there must
/// be short.
pub trait SubscriberHook: Send + fmt::Debug {
    /// The subscriber has its seat: what is published, and given notice of, from now on reaches it.
    /// Returns notices from before that it is to be given too.
    fn arrived(&mut self) -> Vec<Arc<Notice>>;
}
