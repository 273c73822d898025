use std::sync::Arc;

use tidings_hub::{EventId, Interest, Outcome, Position, StateStart, Topic};

use crate::connection::ConnectionId;
use crate::counters::Permit;
use crate::search::Label;

/// A subscription whose start has been found, and the place held for its subscriber.
#[derive(Debug)]
pub struct PendingSubscription {
    /// What is wanted.
    pub interest: Interest,
    /// Position after which events are delivered.
    pub position: Position,
    /// Position up to which the subscriber knows of losses.
    pub(crate) told: Position,
    /// If it begins with the state: how.
    pub(crate) state: Option<StateStart>,
    /// The event id of that position.
    pub id: EventId,
    /// Which of the three this connection is.
    pub outcome: Outcome,
    /// The event from which on nothing is missing, for a `tidings.reset`: the oldest there is,
    /// unless newer ones were lost.
    pub first_id: EventId,
    /// The name of the connection.
    pub connection: ConnectionId,
    /// Everything that is there is sent.
    pub(crate) from_the_oldest: bool,
    /// Topics of the subscription that have ended, each with the position of its end. When all
    /// have, the subscriber is closed once it has the end.
    pub(crate) ended: Vec<(Topic, Position)>,
    /// Whether the body is compressed.
    pub(crate) is_compressed: bool,
    pub(crate) permit: Permit,
}

impl PendingSubscription {
    /// Compresses the body, if the engine [compresses](crate::Engine::compression) at all. Its
    /// client must have said that it reads gzip, and the response must say that it is.
    pub fn compress(&mut self) {
        self.is_compressed = true;
    }

    /// Whether everything that is there will be sent.
    pub fn is_from_the_oldest(&self) -> bool {
        self.from_the_oldest
    }

    /// Labels the subscriber, for [searches](crate::Search), and for the [`Term`](crate::Term) of
    /// its grant.
    pub fn set_label(&mut self, label: Arc<dyn Label>) {
        self.permit.set_label(label);
    }

    /// Keeps `what` until the subscriber is gone: its place in a count of somebody else's.
    pub fn hold(&mut self, what: Option<impl Send + 'static>) {
        if let Some(what) = what {
            self.permit.hold(what);
        }
    }
}
