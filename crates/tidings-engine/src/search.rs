//! Searches among the subscribers that workers serve.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tidings_hub::{CloseReason, Interest, Timestamp};

use crate::connection::ConnectionId;
use crate::term::Term;

/// What a subscription's opener wants to know it by.
pub trait Label: Any + Send + Sync {
    /// How long it may read, if that can change ([`SubscribeOptions::expires`] is then only its
    /// first end).
    ///
    /// [`SubscribeOptions::expires`]: crate::SubscribeOptions::expires
    fn term(&self) -> Option<&dyn Term> {
        None
    }

    /// The subscription has ended. Runs on the thread that served it, so it must be short.
    fn ended(&self, reason: CloseReason) {
        let _ = reason;
    }
}

/// Which subscribers to find.
pub struct Search {
    /// Only connections after this one, in the order of their ids.
    pub after: Option<ConnectionId>,
    /// Only this connection.
    pub only: Option<ConnectionId>,
    /// Maximum number of subscribers; those with the lowest ids are found.
    pub max: usize,
    /// Whether a subscriber is meant. Runs on the thread that serves it, so it must be quick.
    pub is_meant: Box<dyn Fn(&Subscriber) -> bool + Send + Sync>,
}

/// A subscriber that a worker serves.
#[derive(Clone)]
pub struct Subscriber {
    /// The name of its connection.
    pub id: ConnectionId,
    /// What it wants and may have.
    pub interest: Interest,
    /// Time at which it connected, to the second.
    pub since: Timestamp,
    /// The label of its subscription, if it has one.
    pub label: Option<Arc<dyn Label>>,
    /// Address of its peer if it has no label. `None` if the connection is gone, or if the HTTP
    /// library has it.
    pub peer: Option<SocketAddr>,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { after, max, .. } = self;
        f.debug_struct("Search").field("after", after).field("max", max).finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("id", &self.id).finish_non_exhaustive()
    }
}
