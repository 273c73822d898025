use tidings_hub::{Audience, ControlStyle, EventForm, Timestamp};

use crate::hook::SubscriberHook;

/// A subscriber's settings besides its
/// [`PendingSubscription`](crate::PendingSubscription).
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
    /// Hook that lives as long as the subscriber.
    pub hook: Option<Box<dyn SubscriberHook>>,
}
