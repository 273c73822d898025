//! Ends of grants that can move while their bearers read.

use tidings_hub::Timestamp;

use crate::connection::ConnectionId;

/// How long a subscriber may read, where that can change while it reads. Any number of subscribers
/// may have the same one: prolonging it costs the same for all of them.
pub trait Term: Send + Sync {
    /// Looks at the grant of `connection`, on the thread that serves it. Called again at the moment
    /// that the last look named, and at no other.
    fn look(&self, connection: ConnectionId, now: Timestamp) -> Look;
}

/// What a look at a grant found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is over.
    Ended,
    /// It is good. Look again at `next`, which is later than now; `block` is for the subscriber.
    Good {
        /// The moment of the next look.
        next: Timestamp,
        /// A block of the event stream, sent between two events.
        block: Option<Box<[u8]>>,
    },
}
