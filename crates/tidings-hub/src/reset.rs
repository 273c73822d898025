use tidings_codec::{EventId, EventType, encode};

use crate::json;
use crate::start::ResetReason;
use crate::topic::Topic;

/// The event that tells a subscriber it may have missed something: `event: tidings.reset`, with a
/// JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset<'a> {
    /// Why.
    pub reason: ResetReason,
    /// The id after which the subscriber asked to continue.
    pub requested: &'a str,
    /// Id of the place from which nothing is missing: of the oldest event that is still there, or
    /// the next one to come.
    pub first: &'a EventId,
    /// The event's own id: the subscriber's position after it.
    pub id: &'a EventId,
    /// If it is about one topic only: which. Nothing of others is missing.
    pub topic: Option<&'a Topic>,
}

impl<'a> Reset<'a> {
    /// The event that tells subscribers of the topic that everything before `id` was erased.
    pub fn of_erasure(topic: &'a Topic, id: &'a EventId) -> Self {
        let (reason, topic) = (ResetReason::Erased, Some(topic));
        Self { reason, requested: id.as_str(), first: id, id, topic }
    }
}

impl Reset<'_> {
    /// The event's type.
    pub const EVENT_TYPE: &'static str = "tidings.reset";

    /// The event's data.
    pub fn data(&self) -> String {
        let mut data = String::from("{\"reason\":");
        json::push_string(&mut data, self.reason.name());
        data.push_str(",\"requested\":");
        json::push_string(&mut data, self.requested);
        data.push_str(",\"first\":");
        json::push_string(&mut data, self.first.as_str());
        if let Some(topic) = self.topic {
            data.push_str(",\"topic\":");
            json::push_string(&mut data, topic.as_str());
        }
        data.push('}');
        data
    }

    /// Appends the event to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let event_type = EventType::new(Self::EVENT_TYPE).expect("a word and a dot");
        encode::event(out, Some(self.id), Some(&event_type), None, &self.data());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_requested_comes_back_as_a_json_string() {
        let id = |text| EventId::new(text).expect("a valid id");
        let mut out = Vec::new();
        Reset {
            reason: ResetReason::Unknown,
            requested: "a\"b\\c\r\nd\u{85}é",
            first: &id("k7q2ma:3"),
            id: &id("k7q2ma:2"),
            topic: None,
        }
        .encode(&mut out);
        let expected = concat!(
            "event: tidings.reset\nid: k7q2ma:2\n",
            r#"data: {"reason":"unknown","requested":"a\"b\\c\r\nd\u0085é","#,
            r#""first":"k7q2ma:3"}"#,
            "\n\n"
        );
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }
}
