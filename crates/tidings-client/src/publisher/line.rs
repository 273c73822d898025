//! An event as one line of JSON.

use std::time::Duration;

use serde::Serialize;
use tidings_codec::{Event, EventId};

#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    data: &'a str,
}

/// Appends the line, with the line feed that ends it.
pub(super) fn append(
    out: &mut Vec<u8>,
    topic: &str,
    event: &Event,
    id: Option<&EventId>,
    ttl: Option<Duration>,
) {
    let line = Line {
        topic,
        event: event.event_type.as_ref().map(AsRef::as_ref),
        id: id.map(EventId::as_str),
        retry: event.retry_ms,
        ttl: ttl.map(ttl_text),
        data: &event.data,
    };
    serde_json::to_writer(&mut *out, &line).expect("strings and numbers are always json");
    out.push(b'\n');
}

pub(super) fn encode(
    topic: &str,
    event: &Event,
    id: Option<&EventId>,
    ttl: Option<Duration>,
) -> Vec<u8> {
    let mut line = Vec::with_capacity(event.data.len() + topic.len() + 64);
    append(&mut line, topic, event, id, ttl);
    line
}

/// A time to live as the hub reads it, which has whole seconds.
pub(super) fn ttl_text(ttl: Duration) -> String {
    format!("{}s", ttl.as_millis().div_ceil(1000))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_its_data_contains() {
        let mut event = Event::new("two\nlines\r\"");
        event.retry_ms = Some(7);
        let ttl = Some(Duration::from_millis(1001));
        let line = encode("a/b", &event, Some(&EventId::new("i").unwrap()), ttl);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"topic\":\"a/b\",\"id\":\"i\",\"retry\":7,\"ttl\":\"2s\",\"data\":\"two\\nlines\\r\\\"\"}\n"
        );
    }
}
