use tidings_codec::{EventId, EventType, encode};

use crate::draft::Draft;
use crate::json;
use crate::key::Key;
use crate::topic::Topic;

/// The event that tells a subscriber that a key is no longer in the state of a topic:
/// `event: tidings.removed`, with a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed<'a> {
    /// The topic.
    pub topic: &'a Topic,
    /// The key.
    pub key: &'a Key,
}

impl<'a> Removed<'a> {
    /// The event's type.
    pub const EVENT_TYPE: &'static str = "tidings.removed";

    /// What `draft` removes, if it does.
    pub fn of(draft: &'a Draft) -> Option<Self> {
        let key = draft.key.as_ref().filter(|_| draft.kind.is_removal())?;
        Some(Self { topic: &draft.topic, key })
    }

    /// The event's data.
    pub fn data(&self) -> String {
        let mut data = String::from("{\"topic\":");
        json::push_string(&mut data, self.topic.as_str());
        data.push_str(",\"key\":");
        json::push_string(&mut data, self.key.as_str());
        data.push('}');
        data
    }

    /// Appends the event with the id `id` to `out`.
    pub fn encode(&self, id: &EventId, out: &mut Vec<u8>) {
        let event_type = EventType::new(Self::EVENT_TYPE).expect("a word and a dot");
        encode::event(out, Some(id), Some(&event_type), None, &self.data());
    }
}
