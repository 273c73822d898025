//! Where readers start, pages of history, and long polls.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_hub::{Draft, Epoch, Log as _, MemoryStore, Timestamp, Topic};
use tidings_testkit::http::request;
use tidings_testkit::server::{EPOCH, TestServer};

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

fn data(page: &Value) -> Vec<&str> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["data"].as_str().unwrap()).collect()
}

/// Ten events, on `a` and `b` in turn, whose payload is their position.
fn with_ten_events() -> TestServer {
    let server = TestServer::start();
    for number in 1..=10 {
        let topic = if number % 2 == 1 { "a" } else { "b" };
        server.post(&format!("/events/{topic}"), number.to_string());
    }
    server
}

#[test]
fn a_page_has_all_fields_of_its_events_and_says_where_to_continue() {
    let server = TestServer::start();
    server.post("/events/a?event=chat&id=x&retry=5000", "\"quoted\"\nüber");
    server.post("/events/a", "2");
    let page = server.get_json("/events/a?limit=1");
    assert_eq!(page.header("content-type"), Some("application/json"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let page = page.json();
    let event = &page["events"][0];
    assert_eq!(event["id"], "x");
    assert_eq!(event["topic"], "a");
    assert_eq!(event["event"], "chat");
    assert_eq!(event["retry"], 5000);
    assert_eq!(event["data"], "\"quoted\"\nüber");
    let time = event["time"].as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 24, "{time}");
    let next = page["next"].as_str().unwrap();
    let page = server.get_json(&format!("/events/a?after={next}")).json();
    assert_eq!((data(&page), &page["events"][0]["event"]), (vec!["2"], &json!("message")));
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let server = with_ten_events();
    for (target, expected) in [
        ("/events/a", vec!["1", "3", "5", "7", "9"]),
        ("/events", (1..=10).map(|_| "").collect()),
        ("/events/nothing", vec![]),
    ] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = server.get_json(&format!("{target}?limit=2&after={after}")).json();
            let next = page["next"].as_str().unwrap().to_owned();
            seen.extend(data(&page).into_iter().map(str::to_owned));
            if page["events"].as_array().unwrap().is_empty() {
                break;
            }
            after = next;
        }
        assert_eq!(seen.len(), expected.len(), "{target}: {seen:?}");
        if target == "/events/a" {
            assert_eq!(seen, expected);
        }
    }
    // Where nothing matched, `next` still advances.
    let page = server.get_json("/events/nothing").json();
    assert_eq!(page["next"], id(10));
}

#[test]
fn both_faces_start_where_the_request_says() {
    let server = with_ten_events();
    let cases = [
        ("last=2", vec!["7", "9"]),
        ("last=100", vec!["1", "3", "5", "7", "9"]),
        ("last=10000", vec!["1", "3", "5", "7", "9"]),
        ("since=1h", vec!["1", "3", "5", "7", "9"]),
        ("since=2000-01-01T00:00:00Z", vec!["1", "3", "5", "7", "9"]),
        ("after=k7q2ma:6", vec!["7", "9"]),
        ("after=k7q2ma:0", vec!["1", "3", "5", "7", "9"]),
    ];
    for (query, expected) in cases {
        let target = format!("/events/a?{query}");
        assert_eq!(data(&server.get_json(&target).json()), expected, "{query}");
        let mut stream = server.subscribe(&target, &[]);
        for number in expected {
            assert!(stream.event().unwrap().ends_with(&format!("data: {number}\n\n")), "{query}");
        }
    }
    assert_eq!(data(&server.get_json("/events/a?last=0").json()), [""; 0]);
    assert_eq!(data(&server.get_json("/events/a?since=2999-01-01T00:00:00Z").json()), [""; 0]);
}

#[test]
fn an_event_with_a_time_to_live_is_delivered_and_leaves_history_after_it() {
    let server = TestServer::start();
    let mut live = server.subscribe("/events/a", &[]);
    server.post("/events/a", "1");
    let posted = server.post("/events/a?ttl=1s", "2").json();
    let line = "{\"topic\":\"a\",\"ttl\":\"1s\",\"data\":\"3\"}\n{\"topic\":\"a\",\"data\":\"4\"}";
    // What the query says is for events that do not say another.
    let other = "{\"topic\":\"a\",\"data\":\"5\"}\n{\"topic\":\"a\",\"ttl\":\"5m\",\"data\":\"6\"}";
    for (target, media_type, body) in [
        ("/events", "application/x-ndjson", line),
        ("/events?ttl=1s", "application/x-ndjson", other),
        ("/events/a?ttl=1s", "text/event-stream", "data: 7\n\n"),
    ] {
        let several = server.request("POST", target, &[("content-type", media_type)], body);
        assert_eq!(several.status(), 200, "{}", several.text());
    }
    for number in 1..=7 {
        assert!(live.event().unwrap().ends_with(&format!("data: {number}\n\n")));
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while data(&server.get_json("/events/a").json()) != ["1", "4", "6"] {
        assert!(Instant::now() < deadline, "the events are still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(data(&server.get_json("/events/a?last=3").json()), ["1", "4", "6"]);
    assert_eq!(data(&server.get_json("/events?last=3").json()), ["1", "4", "6"]);
    let mut replay = server.subscribe("/events/a?from=start", &[]);
    assert!(replay.event().unwrap().ends_with("data: 1\n\n"));
    assert!(replay.event().unwrap().ends_with("data: 4\n\n"));
    // A client that had the event resumes behind it, without a reset.
    let after = posted["id"].as_str().unwrap();
    let page = server.get_json(&format!("/events/a?after={after}"));
    assert_eq!(page.header("tidings-resume"), Some("resumed"));
    assert_eq!(data(&page.json()), ["4", "6"]);
}

#[test]
fn an_event_whose_time_to_live_ended_while_the_hub_was_stopped_is_not_in_its_first_answer() {
    let store = MemoryStore::new(Epoch::parse(EPOCH).unwrap(), 1 << 20, Duration::MAX);
    let draft = |data: &str| Draft::new(Topic::new("a").unwrap(), data);
    let passing = Draft { ttl_s: NonZeroU32::new(60), ..draft("1") };
    store.append(vec![passing, draft("2")], Timestamp::from_millis(1_000)).unwrap();
    let server = TestServer::builder().store(Arc::new(store)).start();
    assert_eq!(data(&server.get_json("/events/a").json()), ["2"]);
}

#[test]
fn last_beyond_its_bound_or_given_twice_is_answered_400() {
    let server = with_ten_events();
    for query in ["last=10001", "last=99999999999999999999", "last=-1", "last=2&last=3"] {
        let target = format!("/events/a?{query}");
        for accept in ["application/json", "text/event-stream"] {
            let answer = server.request("GET", &target, &[("accept", accept)], "");
            assert_eq!(answer.status(), 400, "{query} {accept}");
        }
    }
}

#[test]
fn last_event_id_wins_over_the_query_of_the_url() {
    let server = with_ten_events();
    let header = [("last-event-id", "k7q2ma:8")];
    for query in ["last=5", "after=k7q2ma:2", "since=1h"] {
        let mut stream = server.subscribe(&format!("/events/a?{query}"), &header);
        assert!(stream.event().unwrap().ends_with("data: 9\n\n"), "{query}");
    }
    let mut empty = server.subscribe("/events/a?after=k7q2ma:8", &[("last-event-id", "")]);
    assert!(empty.event().unwrap().ends_with("data: 9\n\n"));
}

#[test]
fn the_answer_says_whether_it_is_live_resumed_or_reset() {
    let server = with_ten_events();
    let cases = [
        ("", None, "live"),
        ("?last=1", None, "resumed"),
        ("", Some("k7q2ma:3"), "resumed"),
        ("", Some("k7q2ma:11"), "reset"),
        ("", Some("zzzzzz:3"), "reset"),
        ("", Some("never given"), "reset"),
    ];
    for (query, last, expected) in cases {
        let mut connection = server.connect();
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.map(|id| ("last-event-id", id)));
        connection.send(request("GET", &format!("/events/a{query}"), &headers, b""));
        assert_eq!(connection.head().header("tidings-resume"), Some(expected), "{last:?}");
    }
}

#[test]
fn a_reader_whose_place_is_lost_gets_a_reset_and_everything_there_is() {
    let server = with_ten_events();
    for (requested, reason) in
        [("k7q2ma:11", "unknown"), ("zzzzzz:3", "replaced"), ("gone \"x\" ü", "unknown")]
    {
        let mut stream = server.subscribe("/events/a", &[("last-event-id", requested)]);
        let reset = stream.event().unwrap();
        let begin = format!("event: tidings.reset\nid: {}\ndata: ", id(0));
        let told: Value = serde_json::from_str(reset.strip_prefix(&begin).unwrap()).unwrap();
        let expected = json!({ "reason": reason, "requested": requested, "first": id(1) });
        assert_eq!(told, expected);
        assert!(stream.event().unwrap().ends_with("data: 1\n\n"));
        let page = server.request(
            "GET",
            "/events/a",
            &[("accept", "application/json"), ("last-event-id", requested)],
            "",
        );
        assert_eq!(page.header("tidings-resume"), Some("reset"));
        assert_eq!(page.json()["reset"], expected);
        assert_eq!(data(&page.json()).len(), 5);
    }
}

#[test]
fn a_reader_older_than_the_log_gets_a_reset() {
    let epoch = Epoch::parse(EPOCH).unwrap();
    let store = MemoryStore::new(epoch, 2000, Duration::from_secs(3600));
    let server = TestServer::builder().store(Arc::new(store)).start();
    for number in 0..100 {
        server.post("/events/a", number.to_string());
    }
    let first = server.get_json("/events/a").json()["events"][0]["id"].as_str().unwrap().to_owned();
    let mut stream = server.subscribe("/events/a", &[("last-event-id", &id(1))]);
    let reset = stream.event().unwrap();
    assert!(reset.contains("\"reason\":\"expired\"") && reset.contains(&first), "{reset}");
    assert!(stream.event().unwrap().starts_with(&format!("id: {first}\n")));
}

#[test]
fn a_long_poll_answers_as_soon_as_there_is_an_event() {
    let server = with_ten_events();
    let accept = [("accept", "application/json")];
    let mut poll = server.connect();
    poll.send(request("GET", "/events/a?after=k7q2ma:10&wait=50s", &accept, b""));
    // This is not the event it waits for.
    server.post("/events/b", "11");
    server.post("/events/a", "12");
    let page = poll.response().json();
    assert_eq!(data(&page), ["12"]);
    assert_eq!(page["next"], id(12));
    // A poll for an existing event is answered at once.
    let page = server.get_json("/events/a?after=k7q2ma:10&wait=50s").json();
    assert_eq!(data(&page), ["12"]);
}

#[test]
fn a_long_poll_that_finds_nothing_says_how_far_it_looked() {
    let server = with_ten_events();
    let page = server.get_json("/events/a?last=0&wait=10ms").json();
    assert_eq!((data(&page), &page["next"]), (vec![], &json!(id(10))));
    let accept = [("accept", "application/json")];
    let mut poll = server.connect();
    poll.send(request("GET", "/events/a?last=0&wait=300ms", &accept, b""));
    server.post("/events/b", "11");
    let page = poll.response().json();
    let next = page["next"].as_str().unwrap();
    assert!([id(10), id(11)].iter().any(|id| id == next), "{next}");
}
