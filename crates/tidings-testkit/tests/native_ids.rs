//! Publishers' own ids in the native API: repeats, reuse, and resuming.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidings_hub::{Epoch, MemoryStore};
use tidings_testkit::http::Response;
use tidings_testkit::server::{EPOCH, TestServer};

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

#[test]
fn an_id_of_the_publishers_own_is_published_once() {
    let server = TestServer::start();
    let first = server.post("/events/a?id=order-17", "x");
    assert_eq!(first.json(), json!({ "id": "order-17" }));
    let again = server.post("/events/a?id=order-17", "x");
    assert_eq!(again.json(), json!({ "id": "order-17", "duplicate": true }));
    let mut stream = server.subscribe("/events/a?last=10", &[]);
    assert_eq!(stream.event(), Some("id: order-17\ndata: x\n\n".to_owned()));
    server.post("/events/a", "y");
    assert_eq!(stream.event(), Some(format!("id: {}\ndata: y\n\n", id(2))));
    let mut resumed = server.subscribe("/events/a", &[("last-event-id", "order-17")]);
    assert_eq!(resumed.event(), Some(format!("id: {}\ndata: y\n\n", id(2))));
}

#[test]
fn an_id_on_another_topic_is_another_event_in_every_format() {
    let server = TestServer::start();
    let ndjson = [("content-type", "application/x-ndjson")];
    let sse = [("content-type", "text/event-stream")];
    let line = |topic: &str| format!("{{\"topic\":\"{topic}\",\"id\":\"5\",\"data\":\"one\"}}\n");
    assert_eq!(server.post("/events/a?id=5", "one").json(), json!({ "id": "5" }));
    assert_eq!(server.post("/events/b?id=5", "one").json(), json!({ "id": "5" }));
    for again in [0, 1] {
        for answer in [
            server.request("POST", "/events", &ndjson, line("c")),
            server.request("POST", "/events/d", &sse, "id: 5\ndata: one\n\n"),
        ] {
            let summary = answer.json();
            assert_eq!(summary["duplicates"], again, "{summary}");
            assert_eq!(summary["published"], 1 - again, "{summary}");
        }
    }
    let both = line("e") + &line("f") + &line("e");
    let summary = server.request("POST", "/events", &ndjson, both).json();
    assert_eq!((&summary["published"], &summary["duplicates"]), (&json!(2), &json!(1)));
    for topic in ["a", "b", "c", "d", "e", "f"] {
        let page = server.get_json(&format!("/events/{topic}")).json();
        let events = page["events"].as_array().unwrap();
        assert_eq!((events.len(), &events[0]["data"]), (1, &json!("one")), "{topic}");
    }
}

#[test]
fn an_id_of_several_topics_resumes_after_its_oldest_event_on_a_requested_topic() {
    let server = TestServer::start();
    for (topic, id) in [("a", "5"), ("b", "b1"), ("b", "5"), ("a", "a1"), ("c", "end")] {
        server.post(&format!("/events/{topic}?id={id}"), topic);
    }
    for (query, rest) in [
        ("topic=a&topic=b&topic=c", &["b1", "5", "a1", "end"][..]),
        ("topic=b&topic=c", &["end"]),
        // These never had the id, and nothing of the log is dropped: it was another topic's.
        ("topic=c&topic=d/*", &["end"]),
        ("topic=*", &["b1", "5", "a1", "end"]),
    ] {
        let mut stream = server.subscribe(&format!("/events?{query}"), &[("last-event-id", "5")]);
        for id in rest {
            let event = stream.event().unwrap();
            assert!(event.starts_with(&format!("id: {id}\n")), "{query}: {event}");
        }
    }
}

#[test]
fn an_id_that_only_other_topics_have_is_a_reset_once_old_events_are_dropped() {
    let store = MemoryStore::new(Epoch::from_random(7), 1 << 16, Duration::from_secs(3600));
    let server = TestServer::builder().store(Arc::new(store)).start();
    server.post("/events/b?id=5", "of b");
    for _ in 0..200 {
        server.post("/events/b", "x".repeat(1000));
    }
    server.post("/events/a?id=5", "of a");
    server.post("/events/b", "last");
    let mut connection = server.connect();
    connection.send(b"GET /events/b HTTP/1.1\r\nhost: localhost\r\nlast-event-id: 5\r\n\r\n");
    assert_eq!(connection.head().header("tidings-resume"), Some("reset"));
    let reset = std::iter::from_fn(|| connection.event()).find(|e| e.contains("tidings.reset"));
    assert!(reset.unwrap().contains("\"unknown\""));
    // All remaining events of the topic, not only those after the other topic's event.
    assert!(connection.event().unwrap().contains("xxx"));
}

#[test]
fn an_id_with_other_content_is_rejected_by_line_and_topic_in_every_format() {
    let server = TestServer::start();
    let ndjson = [("content-type", "application/x-ndjson")];
    let sse = [("content-type", "text/event-stream")];
    server.post("/events/a?id=5&event=t&retry=2000", "one");
    server.post("/events/b?id=5", "two");
    let same = r#"{"id":"5","event":"t","retry":2000,"data":"one"}"#;
    let repeated = server.request("POST", "/events/a", &ndjson, same).json();
    assert_eq!((&repeated["published"], &repeated["duplicates"]), (&json!(0), &json!(1)));
    let refused = |answer: Response, topic: &str, place: Option<(&str, u64)>| {
        let problem = answer.json();
        assert_eq!(
            (answer.status(), problem["code"].as_str()),
            (409, Some("id_reused")),
            "{problem}"
        );
        assert_eq!((&problem["topic"], &problem["id"]), (&json!(topic), &json!("5")), "{problem}");
        if let Some((kind, number)) = place {
            assert_eq!(problem[kind], number, "{problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with(&format!("{kind} {number}: ")), "{detail}");
            assert_eq!(problem["published"], 0, "{problem}");
        }
    };
    for query in ["id=5&event=t&retry=2000", "id=5&event=u", "id=5&event=t", "id=5"] {
        refused(server.post(&format!("/events/a?{query}"), "other"), "a", None);
    }
    refused(server.post("/events/a?id=5&event=t", "one"), "a", None);
    refused(server.post("/events/a?id=5&retry=2000", "one"), "a", None);
    let lines = "{\"topic\":\"c\",\"data\":1}\n\n{\"topic\":\"b\",\"id\":\"5\",\"data\":\"one\"}\n";
    refused(server.request("POST", "/events", &ndjson, lines), "b", Some(("line", 3)));
    let events = "data: before\n\nid: 5\ndata: other\n\n";
    refused(server.request("POST", "/events/a", &sse, events), "a", Some(("event", 2)));
    // Within one body, too.
    let lines =
        "{\"topic\":\"d\",\"id\":\"5\",\"data\":1}\n{\"topic\":\"d\",\"id\":\"5\",\"data\":2}";
    refused(server.request("POST", "/events", &ndjson, lines), "d", Some(("line", 2)));
    // The rejected events left nothing.
    let page = server.get_json("/events").json();
    assert_eq!(page["events"].as_array().unwrap().len(), 2, "{page}");
}
