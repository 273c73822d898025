//! Erasing events over HTTP: what is answered, what subscribers get, and what is left.

use serde_json::{Value, json};
use tidings_testkit::http::Response;
use tidings_testkit::server::{EPOCH, TestServer};

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

fn erase(server: &TestServer, target: &str) -> Response {
    server.request("DELETE", target, &[], "")
}

/// The status of an answer, and how many events it says were erased.
fn erased(answer: &Response) -> (u16, Value) {
    (answer.status(), answer.json()["erased"].clone())
}

fn all_data(server: &TestServer, path: &str) -> Vec<String> {
    let page = server.get_json(path).json();
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["data"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_event_goes_without_a_word_and_a_second_time_there_is_nothing() {
    for server in TestServer::both_engines() {
        for data in ["one", "two", "three"] {
            server.post("/events/a", data);
        }
        let target = format!("/events/a?erase={}", id(2));
        assert_eq!(erased(&erase(&server, &target)), (200, json!(1)));
        // However its name is written, the parameter has a value.
        let target = format!("/events/a?%65rase={}", id(2));
        assert_eq!(erased(&erase(&server, &target)), (200, json!(0)));
        assert_eq!(all_data(&server, "/events/a"), ["one", "three"]);
        let resumed = [("Last-Event-ID", &*id(1))];
        let mut stream = server.subscribe("/events/a", &resumed);
        assert_eq!(stream.event(), Some(format!("id: {}\ndata: three\n\n", id(3))));
        let unknown = erase(&server, &format!("/events/b?erase={}", id(1)));
        assert_eq!((unknown.status(), unknown.code()), (404, "event_unknown".to_owned()));
    }
}

#[test]
fn an_erased_id_is_not_published_again_and_another_one_is() {
    let server = TestServer::start();
    server.post("/events/a?id=order-1", "secret");
    assert_eq!(erased(&erase(&server, "/events/a?erase=order-1")), (200, json!(1)));
    assert_eq!(erased(&erase(&server, "/events/a?erase=order-1")), (200, json!(0)));
    let repeated = server.post("/events/a?id=order-1", "secret");
    assert_eq!((repeated.status(), repeated.code()), (409, "event_erased".to_owned()));
    assert_eq!(server.post("/events/b?id=order-1", "another").status(), 200);
    assert_eq!(server.post("/events/a?id=order-2", "another").status(), 200);
}

#[test]
fn subscribers_of_an_erased_topic_get_a_reset_and_those_who_come_back_too() {
    for server in TestServer::both_engines() {
        server.post("/events/a", "one");
        let mut stream = server.subscribe("/events/a", &[]);
        server.post("/events/a", "two");
        assert_eq!(stream.event(), Some(format!("id: {}\ndata: two\n\n", id(2))));
        assert_eq!(erased(&erase(&server, "/events/a?erase")), (200, json!(2)));
        let reset = stream.event().unwrap();
        let begins = format!("event: tidings.reset\nid: {}\ndata: {{\"reason\":\"erased\"", id(3));
        assert!(reset.starts_with(&begins) && reset.contains(r#""topic":"a""#), "{reset}");
        assert_eq!(erased(&erase(&server, "/events/a?erase")), (200, json!(0)));
        server.post("/events/a", "new");
        let resumed = [("Last-Event-ID", &*id(1))];
        let mut late = server.subscribe("/events/a", &resumed);
        assert_eq!(late.event(), Some(reset));
        let new = Some(format!("id: {}\ndata: new\n\n", id(4)));
        assert_eq!((stream.event(), late.event()), (new.clone(), new));
        let unknown = erase(&server, "/events/never?erase");
        assert_eq!((unknown.status(), unknown.code()), (404, "event_unknown".to_owned()));
    }
}

#[test]
fn an_erased_key_leaves_the_state_with_all_its_events() {
    for server in TestServer::both_engines() {
        server.post("/events/people?key=ann", "old");
        server.post("/events/people?key=bob", "b");
        server.post("/events/people?key=ann", "new");
        let mut stream = server.subscribe("/events/people", &[]);
        assert_eq!(erased(&erase(&server, "/events/people?key=ann&erase")), (200, json!(2)));
        let removed = stream.event().unwrap();
        assert!(removed.starts_with("event: tidings.removed\n"), "{removed}");
        assert_eq!(all_data(&server, "/events/people"), ["b"]);
        assert_eq!(all_data(&server, "/events/people?from=state"), ["b"]);
        assert_eq!(erased(&erase(&server, "/events/people?key=ann&erase")), (200, json!(0)));
        assert_eq!(erase(&server, "/events/people?key=eve&erase").status(), 404);
        // Whoever has a state from before is given all of it.
        let resumed = [("Last-Event-ID", &*id(3))];
        let mut late = server.subscribe("/events/people?from=state", &resumed);
        let reset = late.event().unwrap();
        assert!(reset.starts_with("event: tidings.reset\n"), "{reset}");
    }
}

#[test]
fn no_older_value_comes_back_when_the_newest_event_of_a_key_is_erased() {
    let server = TestServer::start();
    server.post("/events/people?key=ann", "old");
    server.post("/events/people?key=ann", "new");
    let target = format!("/events/people?erase={}", id(2));
    assert_eq!(erased(&erase(&server, &target)), (200, json!(1)));
    assert_eq!(all_data(&server, "/events/people?from=state"), [""; 0]);
}

#[test]
fn what_is_asked_for_must_be_clear() {
    let server = TestServer::start();
    server.post("/events/a?key=K", "one");
    for query in
        ["erase=", "%65rase=", "erase=x&key=K", "key=&erase", "erase&event=x", "erase&if-version=x"]
    {
        let answer = erase(&server, &format!("/events/a?{query}"));
        assert_eq!(answer.status(), 400, "{query}");
    }
    let with_body = server.request("DELETE", "/events/a?erase", &[], "last words");
    assert!([400, 413].contains(&with_body.status()), "{}", with_body.status());
    assert_eq!(all_data(&server, "/events/a"), ["one"]);
}
