//! An event as one line of JSON.

use serde::Serialize;
use tidings_codec::{Event, EventId};

use super::terms::Terms;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    append: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<&'a str>,
    data: &'a str,
}

/// Appends the line, with the line feed that ends it.
pub(super) fn append(
    out: &mut Vec<u8>,
    topic: &str,
    event: &Event,
    id: Option<&EventId>,
    terms: &Terms,
) {
    let [key, append, at] = match &terms.keyed {
        Some(keyed) => keyed.fields().map(|(_, value)| value),
        None => [None; 3],
    };
    let line = Line {
        topic,
        event: event.event_type.as_ref().map(AsRef::as_ref),
        id: id.map(EventId::as_str),
        retry: event.retry_ms,
        ttl: terms.ttl_text(),
        key,
        append,
        at,
        data: &event.data,
    };
    serde_json::to_writer(&mut *out, &line).expect("strings and numbers are always json");
    out.push(b'\n');
}

pub(super) fn encode(topic: &str, event: &Event, id: Option<&EventId>, terms: &Terms) -> Vec<u8> {
    let mut line = Vec::with_capacity(event.data.len() + topic.len() + 64);
    append(&mut line, topic, event, id, terms);
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::publisher::keyed::Keyed;

    #[test]
    fn an_event_is_one_line_whatever_its_data_contains() {
        let mut event = Event::new("two\nlines\r\"");
        event.retry_ms = Some(7);
        let terms = Terms { ttl: Some(Duration::from_millis(1001)), keyed: None };
        let line = encode("a/b", &event, Some(&EventId::new("i").unwrap()), &terms);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"topic\":\"a/b\",\"id\":\"i\",\"retry\":7,\"ttl\":\"2s\",\"data\":\"two\\nlines\\r\\\"\"}\n"
        );
        let terms = Terms { ttl: None, keyed: Some(Keyed::piece("k", Some("/d"))) };
        let line = encode("a", &Event::new("x"), None, &terms);
        let expected = "{\"topic\":\"a\",\"append\":\"k\",\"at\":\"/d\",\"data\":\"x\"}\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
        let terms = Terms { ttl: None, keyed: Some(Keyed::whole("k")) };
        let line = encode("a", &Event::new("x"), None, &terms);
        let expected = "{\"topic\":\"a\",\"key\":\"k\",\"data\":\"x\"}\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
