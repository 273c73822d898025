use tidings_hub::{
    Audience, ControlStyle, EventForm, EventId, Interest, Outcome, Position, Timestamp, Topic,
};

use crate::connection::ConnectionId;
use crate::counters::Permit;
use crate::hook::SubscriberHook;

/// A subscription whose start has been found: what to tell the subscriber, and the place held for
/// it.
#[derive(Debug)]
pub struct PendingSubscription {
    /// What is wanted.
    pub interest: Interest,
    /// Position after which events are delivered.
    pub position: Position,
    /// Which of the three this connection is.
    pub outcome: Outcome,
    /// The oldest event there is, for a `tidings.reset`.
    pub first_id: EventId,
    /// The name of the connection.
    pub connection: ConnectionId,
    /// Everything that is there is sent.
    pub(crate) from_the_oldest: bool,
    /// Topics of the subscription that have ended, each with the position of its end. When all
    /// have, the subscriber is closed once it has the end.
    pub(crate) ended: Vec<(Topic, Position)>,
    pub(crate) permit: Permit,
}

impl PendingSubscription {
    /// Whether everything that is there will be sent.
    pub fn is_from_the_oldest(&self) -> bool {
        self.from_the_oldest
    }

    /// Keeps `what` until the subscriber is gone: its place in a count of somebody else's.
    pub fn hold(&mut self, what: Option<impl Send + 'static>) {
        if let Some(what) = what {
            self.permit.hold(what);
        }
    }
}

/// A subscriber's settings besides its [`PendingSubscription`].
#[derive(Debug)]
pub struct SubscribeOptions {
    /// How to speak to it.
    pub control_style: ControlStyle,
    /// How the publishers' events are encoded.
    pub event_form: EventForm,
    /// Blocks of the event stream to send before the first event: a comment, a `retry`, an id, a
    /// reset.
    pub preface: Vec<u8>,
    /// End of its grant, at which it is closed.
    pub expires: Option<Timestamp>,
    /// Audience whose notices it gets, if any.
    pub audience: Option<Audience>,
    /// Who goes with it.
    pub hook: Option<Box<dyn SubscriberHook>>,
}
