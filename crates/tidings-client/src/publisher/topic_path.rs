//! The path to which events on a topic are published.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidings_codec::{Event, EventId};
use url::form_urlencoded::Serializer;

use super::keyed::Keyed;
use super::terms::Terms;

/// `/events/{topic}?event=&id=&retry=&ttl=&key=&append=&at=`. `None` if the topic might not arrive
/// unchanged.
pub(super) fn with_query(
    topic: &str,
    event: &Event,
    id: Option<&EventId>,
    terms: &Terms,
) -> Option<String> {
    if !is_faithful(topic) {
        return None;
    }
    let mut path = String::from("/events/");
    path.extend(utf8_percent_encode(topic, IN_A_PATH));
    let mut query = Serializer::new(String::new());
    if let Some(event_type) = &event.event_type {
        query.append_pair("event", event_type.as_str());
    }
    if let Some(id) = id {
        query.append_pair("id", id.as_str());
    }
    if let Some(ms) = event.retry_ms {
        query.append_pair("retry", &ms.to_string());
    }
    if let Some(ttl) = terms.ttl_text() {
        query.append_pair("ttl", &ttl);
    }
    for (name, value) in terms.keyed.iter().flat_map(Keyed::fields) {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if !query.is_empty() {
        path.push('?');
        path.push_str(&query);
    }
    Some(path)
}

/// `/events/{topic}?…` of a request that needs its topic in the path, such as one about a run. A
/// topic that might not arrive unchanged has its slashes and dots encoded, too.
pub(super) fn of_run(topic: &str, query: &[(&str, String)]) -> String {
    let mut path = String::from("/events/");
    if is_faithful(topic) {
        path.extend(utf8_percent_encode(topic, IN_A_PATH));
    } else {
        path.extend(utf8_percent_encode(topic, NON_ALPHANUMERIC));
    }
    let mut separator = '?';
    for (name, value) in query {
        path.push(separator);
        path.push_str(name);
        if !value.is_empty() {
            path.push('=');
            path.push_str(&escaped(value));
        }
        separator = '&';
    }
    path
}

/// A value of a query.
pub(super) fn escaped(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// Whether a topic arrives as it is: there are clients, proxies and servers that merge slashes and
/// resolve `.` and `..`.
fn is_faithful(topic: &str) -> bool {
    topic.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

/// Characters that are encoded in a topic: all except unreserved ones (RFC 3986 §2.3) and slashes.
const IN_A_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_codec::EventType;

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_topic_keeps_its_slashes_and_nothing_else_that_could_be_misread() {
        let path = |topic| with_query(topic, &Event::new(""), None, &Terms::default());
        assert_eq!(path("a/b-c.d").unwrap(), "/events/a/b-c.d");
        assert_eq!(path("a?b#c%d é").unwrap(), "/events/a%3Fb%23c%25d%20%C3%A9");
    }

    #[test]
    fn a_topic_that_might_not_arrive_unchanged_has_no_path() {
        for topic in ["", "/", "a//b", "a/", "../admin", "a/./b", "https://h/x"] {
            assert_eq!(
                with_query(topic, &Event::new(""), None, &Terms::default()),
                None,
                "{topic}"
            );
        }
    }

    #[test]
    fn fields_other_than_the_data_are_in_the_query() {
        let mut event = Event::new("x");
        event.event_type = Some(EventType::new("a&b").unwrap());
        event.retry_ms = Some(5);
        let id = EventId::new("1 2").unwrap();
        let terms = Terms { ttl: Some(Duration::from_secs(60)), keyed: None };
        assert_eq!(
            with_query("t", &event, Some(&id), &terms).unwrap(),
            "/events/t?event=a%26b&id=1+2&retry=5&ttl=60s"
        );
        let terms = Terms { ttl: None, keyed: Some(Keyed::piece("a&b", Some(""))) };
        let path = with_query("t", &Event::new("x"), None, &terms).unwrap();
        assert_eq!(path, "/events/t?append=a%26b&at=");
        let terms = Terms { ttl: None, keyed: Some(Keyed::whole("")) };
        let path = with_query("t", &Event::new("x"), None, &terms).unwrap();
        assert_eq!(path, "/events/t?key=");
    }
}
