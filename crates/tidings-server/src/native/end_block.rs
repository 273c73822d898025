use serde_json::json;
use tidings_codec::encode;
use tidings_hub::{EventId, EventType, Topic, limits::END_RETRY_MS};

/// The type of the event by which the hub ends a topic.
pub(super) const END: &str = "end";

/// The data of the event by which the hub ends `topic`.
pub(super) fn end_data(topic: &Topic) -> String {
    json!({ "topic": topic.as_str() }).to_string()
}

/// The last event of a stream whose only topic is `topic`, as the hub sends it.
pub(super) fn last_block(id: &EventId, topic: &Topic) -> Vec<u8> {
    let mut block = Vec::with_capacity(128);
    let end = EventType::new(END).expect("a word");
    encode::event(&mut block, Some(id), Some(&end), Some(END_RETRY_MS), &end_data(topic));
    block
}
