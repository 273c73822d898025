use std::fmt;

/// Messages between the hubs of a shared log, past the log.
///
/// Every message goes to all other hubs, at most once: it may be lost, and is never changed. Those
/// of one hub arrive in the order in which they were sent. Nothing is stored, so a hub that was not
/// there does not hear of it.
pub trait Wire: fmt::Debug + Send + Sync + 'static {
    /// Sends a message. Does not block: one that cannot be sent at once is lost.
    fn say(&self, message: Vec<u8>);

    /// Calls `heard` with every message of another hub from now on. It is called on a thread of the
    /// wire, and does not block. A hub may hear its own messages, too.
    fn listen(&self, heard: Heard);

    /// Whether the others can be reached, as far as this hub can tell.
    fn is_connected(&self) -> bool;
}

/// What is called with a message of another hub.
pub type Heard = Box<dyn Fn(&[u8]) + Send + Sync>;
