//! State by key: publishing with a key, removing it, and what publishers expect of it.

use serde_json::{Value, json};
use tidings_testkit::http::Response;
use tidings_testkit::server::{EPOCH, TestServer};

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

fn remove(server: &TestServer, target: &str) -> Response {
    server.request("DELETE", target, &[], "")
}

/// The status of an answer, and its code and what it says under `member`.
fn refused(answer: &Response, member: &str) -> (u16, String, Value) {
    (answer.status(), answer.code(), answer.json()[member].clone())
}

#[test]
fn an_event_with_a_key_is_an_ordinary_event_for_live_readers() {
    for server in TestServer::both_engines() {
        let mut stream = server.subscribe("/events/stocks", &[]);
        let mut enveloped = server.subscribe("/events/stocks?envelope=json", &[]);
        let answer = server.post("/events/stocks?key=ACME&event=price", "17");
        assert_eq!((answer.status(), answer.json()), (200, json!({ "id": id(1) })));
        assert_eq!(stream.event(), Some(format!("event: price\nid: {}\ndata: 17\n\n", id(1))));
        let envelope = enveloped.event().unwrap();
        assert!(envelope.contains(r#""key":"ACME","whole":true,"event":"price""#), "{envelope}");
        let page = server.get_json("/events/stocks").json();
        assert_eq!(page["events"][0]["key"], "ACME");
        assert_eq!(page["events"][0].get("removed"), None);
    }
}

#[test]
fn a_removed_key_is_announced_where_the_hub_has_events_of_its_own_and_moves_the_place_elsewhere() {
    for server in TestServer::both_engines() {
        server.post("/events/stocks?key=A%2FB", "17");
        let mut streams = ["", "?envelope=json", "?plain"]
            .map(|query| server.subscribe(&format!("/events/stocks{query}"), &[]));
        let answer = remove(&server, "/events/stocks?key=A%2FB");
        assert_eq!((answer.status(), answer.json()), (200, json!({ "id": id(2) })));
        let data = r#"{"topic":"stocks","key":"A/B"}"#;
        let removed = format!("event: tidings.removed\nid: {}\ndata: {data}\n\n", id(2));
        assert_eq!(streams[0].event().as_ref(), Some(&removed));
        assert_eq!(streams[1].event().as_ref(), Some(&removed));
        let mut block = streams[2].block().unwrap();
        if block.starts_with("retry:") {
            block = block.split_once('\n').unwrap().1.to_owned();
        }
        assert_eq!(block, format!("id: {}\n\n", id(2)));
        let page = server.get_json("/events/stocks").json();
        let event = &page["events"][1];
        assert_eq!((&event["key"], &event["removed"]), (&json!("A/B"), &json!(true)));
        assert_eq!((&event["event"], &event["data"]), (&json!("tidings.removed"), &json!(data)));
    }
}

#[test]
fn only_a_key_that_is_there_can_be_removed() {
    let server = TestServer::start();
    let unknown = |answer: Response| {
        assert_eq!(refused(&answer, "key"), (404, "key_unknown".to_owned(), json!("A")));
    };
    unknown(remove(&server, "/events/a?key=A"));
    server.post("/events/b?key=A", "1");
    unknown(remove(&server, "/events/a?key=A"));
    assert_eq!(remove(&server, "/events/b?key=A").status(), 200);
    unknown(remove(&server, "/events/b?key=A"));
    assert_eq!(server.post("/events/b?key=A", "2").status(), 200);
    assert_eq!(remove(&server, "/events/b?key=A").status(), 200);
}

#[test]
fn a_key_of_a_topic_that_has_ended_can_be_removed_and_the_topic_stays_ended() {
    for server in TestServer::both_engines() {
        server.post("/events/a?key=A", "1");
        assert_eq!(remove(&server, "/events/a").status(), 200);
        let mut stream = server.subscribe("/events/*", &[]);
        assert_eq!(remove(&server, "/events/a?key=A").json(), json!({ "id": id(3) }));
        assert!(stream.event().unwrap().starts_with("event: tidings.removed\n"));
        let accept = [("accept", "text/event-stream")];
        assert_eq!(server.request("GET", "/events/a", &accept, "").status(), 204);
        // An event begins the topic again.
        server.post("/events/a?key=A", "2");
        assert_eq!(remove(&server, "/events/a?key=A").status(), 200);
        let topics = server.get_json("/topics?prefix=a").json();
        assert_eq!(topics["topics"][0]["ended"], false, "{topics}");
    }
}

#[test]
fn a_version_is_compared_and_set_in_one_step() {
    let server = TestServer::start();
    let put = |version: &str, data: &str| {
        server.post(&format!("/events/a?key=K&if-version={version}"), data)
    };
    let differs = |answer: &Response, current: Value| {
        assert_eq!(refused(answer, "current"), (412, "version_differs".to_owned(), current));
    };
    differs(&put(&id(1), "0"), json!(null));
    assert_eq!(put("none", "1").json(), json!({ "id": id(1) }));
    differs(&put("none", "2"), json!(id(1)));
    differs(&put(&id(7), "2"), json!(id(1)));
    assert_eq!(put(&id(1), "2").json(), json!({ "id": id(2) }));
    // The publisher's own ids are compared as ids.
    assert_eq!(server.post("/events/a?key=K&id=mine", "3").status(), 200);
    differs(&put(&id(2), "4"), json!("mine"));
    differs(&put(&id(3), "4"), json!("mine"));
    assert_eq!(put("mine", "4").status(), 200);
    // Another key, and the same key of another topic, have versions of their own.
    assert_eq!(server.post("/events/b?key=K&if-version=none", "x").status(), 200);
    let removed = |version: &str| remove(&server, &format!("/events/a?key=K&if-version={version}"));
    differs(&removed("none"), json!(id(4)));
    assert_eq!(removed(&id(4)).status(), 200);
    differs(&put(&id(4), "5"), json!(null));
    assert_eq!(put("none", "5").status(), 200);
}

#[test]
fn a_repeated_publish_with_a_version_gets_its_first_answer() {
    let server = TestServer::start();
    let put = || server.post("/events/a?key=K&id=one&if-version=none", "1").json();
    assert_eq!(put(), json!({ "id": "one" }));
    assert_eq!(put(), json!({ "id": "one", "duplicate": true }));
}

#[test]
fn of_publishers_that_expect_the_same_version_one_wins_and_the_others_learn_the_new_one() {
    let server = TestServer::start();
    server.post("/events/a?key=K", "0");
    let answers: Vec<_> = std::thread::scope(|scope| {
        let publish = |number: u64| {
            let server = &server;
            scope.spawn(move || {
                // A publisher beside them is not disturbed.
                assert_eq!(server.post("/events/a?key=other", "x").status(), 200);
                server.post(&format!("/events/a?key=K&if-version={}", id(1)), number.to_string())
            })
        };
        let threads: Vec<_> = (0..8).map(publish).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status() == 200);
    assert_eq!(won.len(), 1);
    for answer in lost {
        let current = won[0].json()["id"].clone();
        assert_eq!(refused(answer, "current"), (412, "version_differs".to_owned(), current));
    }
}

#[test]
fn a_batch_has_keys_versions_and_removals_and_is_published_all_or_nothing() {
    let server = TestServer::start();
    let batch = |lines: &[Value]| {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let kind = [("content-type", "application/x-ndjson")];
        server.request("POST", "/events/a", &kind, &body)
    };
    let answer = batch(&[
        json!({ "key": "A", "data": 1 }),
        json!({ "key": "B", "data": 2, "if_version": "none" }),
        json!({ "key": "A", "remove": true }),
        json!({ "key": "A", "data": 3, "if_version": "none" }),
    ]);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    for (lines, status, code) in [
        (
            vec![json!({ "key": "C" }), json!({ "key": "A", "if_version": "none" })],
            412,
            "version_differs",
        ),
        (vec![json!({ "key": "C" }), json!({ "key": "D", "remove": true })], 404, "key_unknown"),
        (vec![json!({ "key": "C" }), json!({ "key": "" })], 400, "invalid_field"),
        (
            vec![json!({ "key": "C" }), json!({ "key": "A", "remove": true, "data": 1 })],
            400,
            "invalid_query",
        ),
        (vec![json!({ "key": "C" }), json!({ "remove": true })], 400, "invalid_field"),
        (vec![json!({ "key": "C" }), json!({ "if_version": "none" })], 400, "invalid_query"),
        // So no key that `GET /topics` counts can be over.
        (vec![json!({ "key": "C" }), json!({ "key": "D", "ttl": "5m" })], 400, "invalid_query"),
    ] {
        let answer = batch(&lines);
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{lines:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("line 2: "), "{detail}");
    }
    // Nothing of the refused ones is there, and what they would have begun can still begin.
    let page = server.get_json("/events/a").json();
    assert_eq!(page["events"].as_array().unwrap().len(), 4);
    assert_eq!(server.post("/events/a?key=C&if-version=none", "x").status(), 200);
}

#[test]
fn keys_beyond_the_maximum_are_refused_and_those_that_are_there_go_on() {
    let server = TestServer::builder().engine(|engine| engine.keys_max = 2).start();
    for key in ["A", "B", "A"] {
        assert_eq!(server.post(&format!("/events/a?key={key}"), "x").status(), 200);
    }
    for target in ["/events/a?key=C", "/events/b?key=A"] {
        let answer = server.post(target, "x");
        assert_eq!(refused(&answer, "keys_max"), (507, "too_many_keys".to_owned(), json!(2)));
    }
    // The log still has the events of a key that was removed.
    assert_eq!(remove(&server, "/events/a?key=A").status(), 200);
    assert_eq!(server.post("/events/a?key=C", "x").status(), 507);
    assert_eq!(server.post("/events/a?key=A", "x").status(), 200);
    assert_eq!(server.post("/events/a", "x").status(), 200);
}

#[test]
fn what_is_no_key_is_named_and_changes_nothing() {
    let server = TestServer::start();
    let long = "x".repeat(257);
    for (method, target, code, parameter) in [
        ("POST", "/events/a?key=", "invalid_parameter", "key"),
        ("POST", &format!("/events/a?key={long}"), "invalid_parameter", "key"),
        ("POST", "/events/a?key=a%0Ab", "invalid_parameter", "key"),
        ("POST", "/events/a?key=a%0D", "invalid_parameter", "key"),
        ("POST", "/events/a?key=%00", "invalid_parameter", "key"),
        ("POST", "/events/a?key=a&if-version=", "invalid_parameter", "if-version"),
        ("POST", "/events/a?key=a&if-version=a%0Ab", "invalid_parameter", "if-version"),
        ("POST", "/events/a?if-version=none", "invalid_query", "if-version"),
        ("POST", "/events/a?key=a&ttl=5m", "invalid_query", "ttl"),
        ("POST", "/events/a?key=a&end", "invalid_query", "key"),
        ("DELETE", "/events/a?key=", "invalid_parameter", "key"),
        ("DELETE", "/events/a?if-version=none", "invalid_query", "if-version"),
        ("DELETE", "/events/a?key=a&event=x", "invalid_query", "event"),
        ("DELETE", "/events/a?key=a&id=x", "invalid_query", "id"),
    ] {
        let answer = server.request(method, target, &[], "");
        assert_eq!((answer.status(), answer.code().as_str()), (400, code), "{target}");
        assert_eq!(answer.json()["parameter"], parameter, "{target}");
    }
    server.post("/events/a?key=a", "1");
    assert_eq!(server.request("DELETE", "/events/a?key=a", &[], "x").code(), "invalid_query");
    assert_eq!(server.get_json("/events").json()["events"].as_array().unwrap().len(), 1);
}
