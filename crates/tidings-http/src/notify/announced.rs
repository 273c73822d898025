use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidings_engine::ConnectionId;
use tidings_hub::CloseReason;

use super::fact::Opened;
use super::notifier::Notifier;
use crate::auth::who::Who;

/// A stream that receivers were told of. They hear of its end exactly once, too.
pub(crate) struct Announced {
    notifier: Arc<Notifier>,
    id: ConnectionId,
    who: Arc<Who>,
    has_ended: AtomicBool,
}

impl Announced {
    /// Tells of the stream.
    pub(crate) fn new(notifier: &Arc<Notifier>, opened: Opened<'_>) -> Self {
        notifier.connected(opened);
        Self {
            notifier: Arc::clone(notifier),
            id: opened.id,
            who: Arc::clone(opened.who),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Tells of its end.
    pub(crate) fn ended(&self, reason: CloseReason) {
        if !self.has_ended.swap(true, Ordering::AcqRel) {
            self.notifier.gone(self.id, &self.who, reason);
        }
    }
}

impl Drop for Announced {
    /// One that never came to a worker: its client left before.
    fn drop(&mut self) {
        self.ended(CloseReason::PeerClosed);
    }
}

impl fmt::Debug for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announced").field("id", &self.id).finish_non_exhaustive()
    }
}
