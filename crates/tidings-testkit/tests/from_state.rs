//! `?from=state`: the newest event of each key, then everything that comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidings_hub::{Epoch, MemoryStore};
use tidings_store_disk::{DiskConfig, DiskStore};
use tidings_testkit::http::{Connection, request};
use tidings_testkit::server::{EPOCH, TestServer};
use tidings_testkit::test_folder::TestFolder;

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

fn value(position: u64, data: &str) -> String {
    format!("id: {}\ndata: {data}\n\n", id(position))
}

fn complete(count: u64, upto: u64) -> String {
    let (id, data) = (id(upto), json!({ "count": count, "upto": id(upto) }));
    format!("event: tidings.state\nid: {id}\ndata: {data}\n\n")
}

fn removed(position: u64, key: &str) -> String {
    let data = format!("{{\"topic\":\"a\",\"key\":\"{key}\"}}");
    format!("event: tidings.removed\nid: {}\ndata: {data}\n\n", id(position))
}

/// The stream at `target`, and the value of `Tidings-Resume`.
fn open(server: &TestServer, target: &str, after: Option<&str>) -> (Connection, String) {
    let mut headers = vec![("accept", "text/event-stream")];
    headers.extend(after.map(|id| ("last-event-id", id)));
    let mut stream = server.connect();
    stream.send(request("GET", target, &headers, b""));
    let head = stream.head();
    assert_eq!(head.status, 200);
    let resume = head.header("tidings-resume").unwrap().to_owned();
    (stream, resume)
}

fn next(stream: &mut Connection) -> String {
    stream.event().expect("the stream goes on")
}

#[test]
fn a_stream_begins_with_the_newest_event_of_each_key_and_goes_on_live() {
    for server in TestServer::both_engines() {
        server.put("a?key=A", "1");
        server.put("a?key=B", "2");
        server.put("a?key=A", "3");
        server.put("a?key=C", "4");
        server.remove("a?key=C");
        server.put("b?key=A", "6");
        let (mut stream, resume) = open(&server, "/events/a?from=state", None);
        assert_eq!(resume, "state");
        assert_eq!(next(&mut stream), value(2, "2"));
        assert_eq!(next(&mut stream), value(3, "3"));
        assert_eq!(next(&mut stream), complete(2, 6));
        server.put("a?key=B", "7");
        server.remove("a?key=A");
        assert_eq!(next(&mut stream), value(7, "7"));
        assert_eq!(next(&mut stream), removed(8, "A"));
    }
}

#[test]
fn a_stream_that_broke_gets_what_changed_and_which_keys_were_removed() {
    for server in TestServer::both_engines() {
        for (key, data) in [("A", "1"), ("B", "2"), ("C", "3"), ("A", "4"), ("A", "5")] {
            server.put(&format!("a?key={key}"), data);
        }
        server.remove("a?key=B");
        let (mut stream, resume) = open(&server, "/events/a?from=state", Some(&id(2)));
        assert_eq!(resume, "state");
        assert_eq!(next(&mut stream), value(3, "3"));
        assert_eq!(next(&mut stream), value(5, "5"));
        assert_eq!(next(&mut stream), removed(6, "B"));
        assert_eq!(next(&mut stream), complete(3, 6));
        // At the head, nothing has changed.
        let target = format!("/events/a?from=state&after={}", id(6));
        let (mut stream, _) = open(&server, &target, None);
        assert_eq!(next(&mut stream), complete(0, 6));
    }
}

#[test]
fn a_topic_without_keys_has_one_state_and_an_empty_one_none() {
    for server in TestServer::both_engines() {
        let (mut empty, _) = open(&server, "/events/none?from=state", None);
        assert_eq!(next(&mut empty), complete(0, 0));
        server.put("a", "1");
        server.put("a", "2");
        server.put("b/x", "3");
        server.put("b/x", "4");
        let (mut stream, _) = open(&server, "/events?topic=a&topic=b/*&from=state", None);
        assert_eq!(next(&mut stream), value(2, "2"));
        assert_eq!(next(&mut stream), value(4, "4"));
        assert_eq!(next(&mut stream), complete(2, 4));
        // The events without a key are one more slot where others have keys.
        server.put("a?key=K", "5");
        let (mut stream, _) = open(&server, "/events/a?from=state", None);
        assert_eq!(next(&mut stream), value(2, "2"));
        assert_eq!(next(&mut stream), value(5, "5"));
        assert_eq!(next(&mut stream), complete(2, 5));
    }
}

#[test]
fn the_state_of_a_topic_that_has_ended_is_sent_before_its_end() {
    for server in TestServer::both_engines() {
        server.put("a?key=A", "1");
        server.put("a?key=A", "2");
        server.remove("a");
        let (mut stream, resume) = open(&server, "/events/a?from=state", None);
        assert_eq!(resume, "state");
        assert_eq!(next(&mut stream), value(2, "2"));
        assert_eq!(next(&mut stream), complete(1, 3));
        assert!(next(&mut stream).starts_with("event: end\n"));
        assert_eq!(stream.block(), None, "the stream ends clean");
        let headers = [("accept", "text/event-stream"), ("last-event-id", &*id(3))];
        let answer = server.request("GET", "/events/a?from=state", &headers, "");
        assert_eq!(answer.status(), 204);
    }
}

#[test]
fn a_page_of_the_state_has_the_ends_of_topics_that_it_passes() {
    let server = TestServer::start();
    let ended = |page: &Value| -> Value {
        let ends = page.get("ends").and_then(Value::as_array);
        let ends = ends.into_iter().flatten();
        ends.map(|end| json!([end["topic"], end["event"], end["data"], end["id"]])).collect()
    };
    let data = |page: &Value| -> Value {
        page["events"].as_array().unwrap().iter().map(|event| event["data"].clone()).collect()
    };
    server.put("a?key=A", "1");
    server.put("b?key=A", "2");
    server.put("a?key=B", "3");
    let target = "/events?topic=a&topic=b&from=state";
    let before = server.get_json(target).json();
    assert_eq!((before["complete"].as_bool(), before.get("ends")), (Some(true), None));
    server.remove("a");
    server.put("b?key=B", "5");
    server.put("b?key=C", "6");
    // It is not among the events, which are the state.
    let end = json!(["a", "end", r#"{"topic":"a"}"#, id(4)]);
    let page = server.get_json(target).json();
    assert_eq!((data(&page), ended(&page)), (json!(["1", "2", "3", "5", "6"]), json!([end])));
    // A reader that comes back gets it, as one of history does, and does not wait for more.
    let after = format!("&after={}", before["next"].as_str().unwrap());
    let page = server.get_json(&format!("{target}{after}&limit=1&wait=30s")).json();
    assert_eq!((data(&page), ended(&page)), (json!(["5"]), json!([end])));
    assert_eq!(page["complete"], false);
    let next = format!("&after={}", page["next"].as_str().unwrap());
    let page = server.get_json(&format!("{target}{next}")).json();
    assert_eq!((data(&page), ended(&page)), (json!(["6"]), json!([])), "once");
    let history = server.get_json(&format!("/events/a?{}", &after[1..])).json();
    assert_eq!((&history["events"][0]["event"], &history["events"][0]["id"]), (&end[1], &end[3]));
    let page = server.get_json(&format!("/events/a?from=state{after}&wait=30s")).json();
    assert_eq!((data(&page), ended(&page)), (json!([]), json!([end])));
    assert_eq!(page["complete"], true);
    // A topic that began again has not ended.
    server.put("a?key=A", "7");
    assert_eq!(ended(&server.get_json(target).json()), json!([]));
}

#[test]
fn an_id_that_is_not_known_is_a_reset_and_all_of_the_state() {
    for server in TestServer::both_engines() {
        server.put("a?key=A", "1");
        for unknown in ["zzzzzz:1", "never"] {
            let (mut stream, resume) = open(&server, "/events/a?from=state", Some(unknown));
            assert_eq!(resume, "reset");
            assert!(next(&mut stream).starts_with("event: tidings.reset\n"));
            assert_eq!(next(&mut stream), value(1, "1"));
            assert_eq!(next(&mut stream), complete(1, 1));
        }
    }
}

#[test]
fn a_plain_stream_has_the_state_and_no_event_of_the_hubs_own() {
    let server = TestServer::start();
    server.put("a?key=A", "1");
    server.put("a?key=A", "2");
    let (mut stream, _) = open(&server, "/events/a?plain&from=state", None);
    server.put("a?key=B", "3");
    let first = next(&mut stream);
    assert!(first.ends_with(&value(2, "2")), "{first}");
    assert_eq!(next(&mut stream), value(3, "3"));
}

#[test]
fn pages_of_the_state_follow_each_other_until_they_are_complete() {
    let server = TestServer::start();
    for number in 0..30 {
        server.put(&format!("a?key=K{}", number % 10), &number.to_string());
    }
    server.remove("a?key=K0");
    let (mut held, mut after, mut pages) = (BTreeMap::new(), String::new(), 0);
    loop {
        let target = format!("/events/a?from=state&limit=4{after}");
        let answer = server.get_json(&target);
        assert_eq!(answer.header("tidings-resume"), Some("state"));
        let page = answer.json();
        for event in page["events"].as_array().unwrap() {
            let key = event["key"].as_str().unwrap().to_owned();
            match event["removed"] == true {
                true => held.remove(&key),
                false => held.insert(key, event["data"].as_str().unwrap().to_owned()),
            };
        }
        after = format!("&after={}", page["next"].as_str().unwrap());
        pages += 1;
        if page["complete"] == true {
            break;
        }
        assert!(pages < 10, "{page}");
    }
    let expected = (1..10).map(|key| (format!("K{key}"), (20 + key).to_string())).collect();
    assert_eq!(held, expected);
    assert_eq!(pages, 3);
    let page = server.get_json(&format!("/events/a?from=state{after}")).json();
    assert_eq!((&page["events"], &page["complete"]), (&json!([]), &Value::Bool(true)));
}

#[test]
fn a_state_begins_nowhere_else() {
    let server = TestServer::start();
    for query in ["last=5", "since=1h"] {
        let target = format!("/events/a?from=state&{query}");
        assert_eq!(server.get_json(&target).code(), "invalid_query", "{query}");
    }
}

/// A server whose memory is so small that a few events of `b` push out all others.
fn with_small_memory(portable: bool) -> TestServer {
    let epoch = Epoch::parse(EPOCH).unwrap();
    let store = MemoryStore::new(epoch, 4000, Duration::from_secs(3600));
    let builder = TestServer::builder().store(Arc::new(store));
    builder.engine(|engine| engine.portable |= portable).start()
}

#[test]
fn a_reader_that_missed_too_much_can_get_the_state_in_place_of_a_reset() {
    for portable in [false, true] {
        let server = with_small_memory(portable);
        // From here on the hub knows what stands for what.
        server.get_json("/events/a?from=state");
        for n in 1..=40 {
            server.put(&format!("a?key=K{}", n % 2), &format!("{n}:{}", "x".repeat(200)));
        }
        let target = "/events/a?reset=state";
        // What is still there is history, and no state.
        let (mut stream, resume) = open(&server, target, Some(&id(39)));
        assert_eq!(resume, "resumed");
        assert!(next(&mut stream).starts_with(&format!("id: {}\ndata: 40:", id(40))));
        // Everything that is gone was superseded: the reader misses nothing of the state.
        for (target, header) in
            [(target.to_owned(), Some(id(3))), (format!("{target}&after={}", id(3)), None)]
        {
            let (mut stream, resume) = open(&server, &target, header.as_deref());
            assert_eq!(resume, "state");
            for n in [39, 40] {
                assert!(next(&mut stream).starts_with(&format!("id: {}\ndata: {n}:", id(n))));
            }
            assert_eq!(next(&mut stream), complete(2, 40));
        }
        let page = server.get_json(&format!("{target}&after={}", id(3)));
        assert_eq!(page.header("tidings-resume"), Some("state"));
        let page = page.json();
        assert_eq!(
            (&page["complete"], page["events"].as_array().unwrap().len()),
            (&json!(true), 2)
        );
        let page = server.get_json(&format!("{target}&after={}", id(39))).json();
        assert_eq!((page.get("complete"), page.get("reset")), (None, None));
        // The newest event of a key is gone: the reader has to forget it.
        for _ in 0..20 {
            server.put("b", &"x".repeat(300));
        }
        for unknown in [&*id(3), "never"] {
            let (mut stream, resume) = open(&server, target, Some(unknown));
            assert_eq!(resume, "reset", "{unknown}");
            assert!(next(&mut stream).starts_with("event: tidings.reset\n"));
            assert_eq!(next(&mut stream), complete(0, 60));
            if unknown == "never" {
                server.put("a?key=K1", "live");
                assert_eq!(next(&mut stream), value(61, "live"));
            }
        }
    }
    let server = TestServer::start();
    let answer = server.get_json("/events/a?reset=now");
    assert_eq!((answer.status(), answer.code()), (400, "invalid_parameter".to_owned()));
}

#[test]
fn the_state_is_there_again_when_a_log_on_disk_is_opened() {
    let folder = TestFolder::new("state");
    let start = || {
        let store = DiskStore::open(DiskConfig::new(folder.join("log"))).unwrap();
        TestServer::builder().store(Arc::new(store)).start()
    };
    let server = start();
    for (key, data) in [("A", "1"), ("B", "2"), ("A", "3"), ("C", "4")] {
        server.put(&format!("a?key={key}"), data);
    }
    server.put("a", "5");
    server.remove("a?key=C");
    let read = |server: &TestServer, after: &str| {
        let page = server.get_json(&format!("/events/a?from=state{after}")).json();
        let events = page["events"].as_array().unwrap().clone();
        let of = |event: &Value| json!([event["key"], event["data"], event["removed"] == true]);
        (events.iter().map(of).collect::<Vec<_>>(), page["next"].as_str().unwrap().to_owned())
    };
    let (before, next) = read(&server, "");
    assert_eq!(before.len(), 3, "{before:?}");
    drop(server);
    let server = start();
    assert_eq!(read(&server, "").0, before);
    // A reader from before the restart goes on where it was.
    assert_eq!(read(&server, &format!("&after={next}")).0, [] as [Value; 0]);
    server.remove("a?key=B");
    server.put("a?key=A", "6");
    let (changed, _) = read(&server, &format!("&after={next}"));
    assert_eq!((changed.len(), &changed[0][2], &changed[1][1]), (2, &json!(true), &json!("6")));
}

/// The fold of the events that a client gets.
#[derive(Default)]
struct Map(BTreeMap<String, String>);

impl Map {
    fn take(&mut self, event: &str) {
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        let key = data["key"].as_str().unwrap().to_owned();
        match event.starts_with("event: tidings.removed") {
            true => self.0.remove(&key),
            false => self.0.insert(key, data["data"].as_str().unwrap().to_owned()),
        };
    }
}

/// Publishers change a few keys all the time, while clients come, go and come back.
#[test]
fn at_each_completion_the_map_of_a_client_is_the_fold_of_all_events() {
    for server in TestServer::both_engines() {
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                for number in 0..1500 {
                    let key = number * 7 % 13 % 6;
                    match number % 11 {
                        0 => {
                            drop(server.request("DELETE", &format!("/events/a?key={key}"), &[], ""))
                        }
                        _ => server.put(&format!("a?key={key}"), &number.to_string()),
                    }
                }
                is_over.store(true, std::sync::atomic::Ordering::Relaxed);
                // Whoever waits for an event gets one.
                server.put("a?key=last", "last");
            });
            for client in 0..3 {
                scope.spawn(move || {
                    let (mut map, mut last) = (Map::default(), None::<String>);
                    let mut round = client;
                    while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        round += 1;
                        let target = "/events/a?from=state&envelope=json";
                        let (mut stream, resume) = open(server, target, last.as_deref());
                        assert_eq!(resume, "state");
                        // Sometimes it breaks in the middle.
                        let mut left = if round % 3 == 0 { 2 } else { 40 };
                        while left > 0 && !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                            left -= 1;
                            let event = next(&mut stream);
                            let id = event.lines().find_map(|line| line.strip_prefix("id: "));
                            let id = id.unwrap().to_owned();
                            match event.starts_with("event: tidings.state") {
                                true => assert_eq!(map.0, fold(server, &id), "at {id}"),
                                false => map.take(&event),
                            }
                            last = Some(id);
                        }
                    }
                });
            }
        });
    }
}

/// The fold of all events up to `upto`.
fn fold(server: &TestServer, upto: &str) -> BTreeMap<String, String> {
    let number = |id: &str| id.rsplit(':').next().unwrap().parse::<u64>().unwrap();
    let (mut map, mut after) = (BTreeMap::new(), String::new());
    loop {
        let page = server.get_json(&format!("/events/a?limit=1000{after}")).json();
        let events = page["events"].as_array().unwrap();
        for event in events {
            if number(event["id"].as_str().unwrap()) > number(upto) {
                return map;
            }
            let key = event["key"].as_str().unwrap().to_owned();
            match event["removed"] == true {
                true => map.remove(&key),
                false => map.insert(key, event["data"].as_str().unwrap().to_owned()),
            };
        }
        if events.is_empty() {
            return map;
        }
        after = format!("&after={}", page["next"].as_str().unwrap());
    }
}
