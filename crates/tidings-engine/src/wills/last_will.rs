use std::time::Duration;

use tidings_hub::{EventType, Topic};

/// What is published as the last event of a topic if its publisher is lost, and nobody publishes to
/// the topic or ends it in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWill {
    /// The topic that ends with it.
    pub topic: Topic,
    /// The type of the event.
    pub event_type: Option<EventType>,
    /// Its data.
    pub data: Box<str>,
    /// Time that others have to go on, from the loss on.
    pub patience: Duration,
}
