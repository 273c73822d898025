//! Growing events: `?append=`, `?at=`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tidings_store_disk::{DiskConfig, DiskStore};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::server::{EPOCH, TestServer};

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

fn value(position: u64, data: &str) -> String {
    format!("id: {}\ndata: {data}\n\n", id(position))
}

/// The status and the code of the answer to a rejected event.
fn refused(answer: &Response) -> (u16, String) {
    (answer.status(), answer.code())
}

fn open(server: &TestServer, target: &str, after: Option<&str>) -> Connection {
    let mut headers = vec![("accept", "text/event-stream")];
    headers.extend(after.map(|id| ("last-event-id", id)));
    let mut stream = server.connect();
    stream.send(request("GET", target, &headers, b""));
    assert_eq!(stream.head().status, 200);
    stream
}

fn next(stream: &mut Connection) -> String {
    stream.event().expect("the stream goes on")
}

/// The events of the state of topic `a`, in one page: key, data, id and type of each.
fn state(server: &TestServer) -> Value {
    let page = server.get_json("/events/a?from=state").json();
    assert_eq!(page["complete"], true, "{page}");
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| json!([event["key"], event["data"], event["id"], event["event"]])).collect()
}

#[test]
fn live_readers_get_the_pieces_and_the_state_has_one_event_with_all_of_them() {
    for server in TestServer::both_engines() {
        let mut live = server.subscribe("/events/a", &[]);
        server.put("a?append=K&event=start", "The sky");
        server.put("a?append=L", "other");
        server.put("a?append=K&event=more", " is\nblü");
        assert_eq!(next(&mut live), format!("event: start\nid: {}\ndata: The sky\n\n", id(1)));
        assert_eq!(next(&mut live), value(2, "other"));
        let piece = format!("event: more\nid: {}\ndata:  is\ndata: blü\n\n", id(3));
        assert_eq!(next(&mut live), piece);
        let mut stream = open(&server, "/events/a?from=state", None);
        assert_eq!(next(&mut stream), value(2, "other"));
        let whole = format!("event: more\nid: {}\ndata: The sky is\ndata: blü\n\n", id(3));
        assert_eq!(next(&mut stream), whole);
        assert!(next(&mut stream).starts_with("event: tidings.state\n"));
        server.put("a?append=K", "e");
        assert_eq!(next(&mut stream), value(4, "e"));
        let expected =
            json!([["L", "other", id(2), "message"], ["K", "The sky is\nblüe", id(4), "message"]]);
        assert_eq!(state(&server), expected);
        // History has the pieces.
        let page = server.get_json("/events/a").json();
        let event =
            |at: usize| (page["events"][at]["data"].clone(), page["events"][at]["whole"].clone());
        // The first one is all of its value.
        assert_eq!(event(0), (json!("The sky"), json!(true)));
        assert_eq!(event(2), (json!(" is\nblü"), json!(false)));
        assert_eq!(event(3), (json!("e"), json!(false)));
        let mut resumed = open(&server, "/events/a", Some(&id(2)));
        assert_eq!(next(&mut resumed), piece);
        assert_eq!(next(&mut resumed), value(4, "e"));
    }
}

#[test]
fn a_value_grows_at_a_json_pointer_and_all_else_is_of_the_newest_piece() {
    let server = TestServer::start();
    server.put("a?key=K", r#"{"choices":[{"delta":"a\n"}],"n":1}"#);
    server.put("a?append=K&at=/choices/0/delta", r#"{"n":2,"choices":[{"delta":"\"é"}]}"#);
    let mut enveloped = server.subscribe("/events/a?envelope=json", &[]);
    server.put("a?append=K&at=/choices/0/delta", r#"{"choices":[{"delta":"😀"}],"end":true}"#);
    let envelope = next(&mut enveloped);
    let about = r#""key":"K","whole":false,"at":"/choices/0/delta","event":"message""#;
    assert!(envelope.contains(about), "{envelope}");
    let expected = r#"{"choices":[{"delta":"a\n\"é😀"}],"end":true}"#;
    assert_eq!(state(&server), json!([["K", expected, id(3), "message"]]));
    let mut stream = open(&server, "/events/a?from=state&envelope=json", None);
    assert!(next(&mut stream).contains(r#""key":"K","whole":true,"event":"message""#));
    // The whole document can be the string.
    server.put("a?append=L&at=", r#""x""#);
    server.put("a?append=L&at=", r#" "y" "#);
    assert_eq!(state(&server)[1], json!(["L", r#" "xy" "#, id(5), "message"]));
    let page = server.get_json("/events/a?last=1").json();
    assert_eq!(
        (&page["events"][0]["whole"], &page["events"][0]["at"]),
        (&json!(false), &json!(""))
    );
}

#[test]
fn a_whole_event_replaces_a_value_and_a_removal_ends_it() {
    let server = TestServer::start();
    server.put("a?append=K", "1");
    server.put("a?append=K", "2");
    server.put("a?key=K", "3");
    assert_eq!(state(&server), json!([["K", "3", id(3), "message"]]));
    server.put("a?append=K", "4");
    assert_eq!(state(&server), json!([["K", "34", id(4), "message"]]));
    server.remove("a?key=K");
    assert_eq!(state(&server), json!([]));
    server.put("a?append=K", "5");
    server.put("a?append=K", "");
    server.put("a?append=K", "6");
    assert_eq!(state(&server), json!([["K", "56", id(8), "message"]]));
    // Events without a key, and the same key elsewhere, are no part of it.
    server.put("a", "keyless");
    server.put("b?append=K", "elsewhere");
    assert_eq!(state(&server)[0], json!(["K", "56", id(8), "message"]));
}

#[test]
fn what_cannot_be_added_to_a_value_is_rejected_and_changes_nothing() {
    let server = TestServer::start();
    let post =
        |target: &str, data: &str| refused(&server.post(&format!("/events/a?{target}"), data));
    let invalid = (400, "invalid_query".to_owned());
    for target in ["key=K&append=K", "at=/x", "key=K&at=/x", "append=K&ttl=5m", "append=K&end"] {
        assert_eq!(post(target, "x"), invalid, "{target}");
    }
    for target in ["append=", "append=K&at=x", "append=K&at=/~", "append=K%0A"] {
        assert_eq!(post(target, "x"), (400, "invalid_parameter".to_owned()), "{target}");
    }
    let delete = server.request("DELETE", "/events/a?append=K", &[], "");
    assert_eq!(refused(&delete), invalid);
    for data in ["x", r#"{"d":1}"#, r#"{"d":"\ud83d"}"#, "{", ""] {
        assert_eq!(post("append=K&at=/d", data), (422, "invalid_piece".to_owned()), "{data}");
    }
    assert_eq!(server.get_json("/events/a").json()["events"], json!([]));
    let mismatch = (409, "append_mismatch".to_owned());
    server.put("a?key=K", r#"{"d":"x","n":1}"#);
    assert_eq!(post("append=K&at=/n", r#"{"n":"x"}"#), mismatch);
    assert_eq!(post("append=K&at=/z", r#"{"z":"x"}"#), mismatch);
    server.put("a?append=K&at=/d", r#"{"d":"y"}"#);
    assert_eq!(post("append=K", "z"), mismatch);
    assert_eq!(post("append=K&at=/e", r#"{"e":"z"}"#), mismatch);
    assert_eq!(post("append=K&at=/d&if-version=none", r#"{"d":"z"}"#).0, 412);
    server.put(&format!("a?append=K&at=/d&if-version={}", id(2)), r#"{"d":"z"}"#);
    assert_eq!(state(&server), json!([["K", r#"{"d":"xyz"}"#, id(3), "message"]]));
}

#[test]
fn a_value_is_not_larger_than_an_event_may_be() {
    let server = TestServer::builder()
        .config(|config| config.http.event_bytes_max = 100)
        .engine(|engine| engine.value_bytes_max = 100)
        .start();
    server.put("a?append=K", &"x".repeat(60));
    server.put("a?append=K", &"y".repeat(40));
    let answer = server.post("/events/a?append=K", "é");
    assert_eq!(refused(&answer), (413, "value_full".to_owned()));
    assert_eq!((&answer.json()["size"], &answer.json()["limit"]), (&json!(102), &json!(100)));
    server.put("a?append=K", "");
    // All of the event counts, with what is not text.
    server.put("a?append=J&at=/d", &json!({ "d": "x".repeat(80) }).to_string());
    let answer =
        server.post("/events/a?append=J&at=/d", json!({ "d": "x".repeat(13) }).to_string());
    assert_eq!(answer.json()["size"], 101);
    server.put("a?append=J&at=/d", &json!({ "d": "x".repeat(12) }).to_string());
    // In a batch, pieces before count.
    let line = |key: &str, text: &str| json!({ "append": key, "data": text }).to_string() + "\n";
    let lines = [line("B", "1"), line("B", &"x".repeat(99)), line("B", "2")].concat();
    let headers = [("content-type", "application/x-ndjson")];
    let answer = server.request("POST", "/events/a", &headers, &lines);
    assert_eq!(refused(&answer), (413, "value_full".to_owned()));
    assert_eq!((&answer.json()["line"], &answer.json()["published"]), (&json!(3), &json!(0)));
    let lines = [line("B", "3"), line("B", &"x".repeat(99))].concat();
    assert_eq!(server.request("POST", "/events/a", &headers, &lines).status(), 200);
    let whole = format!("3{}", "x".repeat(99));
    assert_eq!(state(&server)[2][1], json!(whole));
}

#[test]
fn lines_are_pieces_too_and_a_repeated_one_is_recognised() {
    let server = TestServer::start();
    let lines = [
        json!({ "key": "K", "data": { "d": "1" } }),
        json!({ "append": "K", "at": "/d", "data": { "d": "2" }, "id": "two" }),
        json!({ "append": "T", "data": "a" }),
        json!({ "append": "K", "at": "/d", "data": { "d": "3" } }),
        json!({ "append": "T", "data": "b" }),
    ];
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let headers = [("content-type", "application/x-ndjson")];
    assert_eq!(server.request("POST", "/events/a", &headers, &lines).status(), 200);
    let again = || server.post("/events/a?append=K&at=/d&id=two", r#"{"d":"2"}"#);
    assert_eq!(again().json(), json!({ "id": "two", "duplicate": true }));
    let other = server.post("/events/a?append=K&id=two", r#"{"d":"2"}"#);
    assert_eq!(refused(&other), (409, "id_reused".to_owned()));
    let expected =
        json!([["K", r#"{"d":"123"}"#, id(4), "message"], ["T", "ab", id(5), "message"]]);
    assert_eq!(state(&server), expected);
    let wrong = json!({ "append": "K", "remove": true }).to_string();
    let answer = server.request("POST", "/events/a", &headers, &wrong);
    assert_eq!(refused(&answer), (400, "invalid_query".to_owned()));
}

/// A folder that is removed with this.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("tidings-append-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_log_on_disk_has_its_values_again_when_it_is_opened() {
    let folder = Folder::new("open");
    let open = || {
        let store = DiskStore::open(DiskConfig::new(&folder.0)).unwrap();
        TestServer::builder().store(Arc::new(store)).start()
    };
    let server = open();
    server.put("a?key=K", "1");
    server.put("a?append=J&at=/d", r#"{"d":"x"}"#);
    server.put("a?append=K", "2");
    drop(server);
    let server = open();
    server.put("a?append=K", "3");
    server.put("a?append=J&at=/d", r#"{"d":"y"}"#);
    let data = |server: &TestServer| -> Value {
        state(server).as_array().unwrap().iter().map(|event| event[1].clone()).collect()
    };
    assert_eq!(data(&server), json!(["123", r#"{"d":"xy"}"#]));
    drop(server);
    assert_eq!(data(&open()), json!(["123", r#"{"d":"xy"}"#]));
}

#[test]
fn a_value_of_which_retention_has_dropped_a_part_is_gone_and_does_not_grow() {
    let store = tidings_hub::MemoryStore::new(
        tidings_hub::Epoch::parse(EPOCH).unwrap(),
        4000,
        std::time::Duration::from_secs(3600),
    );
    let server = TestServer::builder().store(Arc::new(store)).start();
    server.put("a?append=K", "1");
    server.put("a?append=K", "2");
    let before = server.get_json("/events/a?from=state").json()["next"].clone();
    server.put("b", "x");
    server.put("a?append=K", "3");
    assert_eq!(state(&server)[0][1], "123");
    let is_cut = (0..20).any(|_| {
        server.put("b", &"x".repeat(300));
        state(&server) == json!([])
    });
    assert!(is_cut, "its beginning is gone");
    assert_eq!(server.get_json("/events/a").json()["events"][0]["data"], "3", "the rest is there");
    let answer = server.post("/events/a?append=K", "4");
    assert_eq!(refused(&answer), (409, "append_mismatch".to_owned()));
    let target = format!("/events/a?from=state&after={}", before.as_str().unwrap());
    let page = server.get_json(&target).json();
    let event = &page["events"][0];
    assert_eq!((&event["key"], &event["removed"]), (&json!("K"), &json!(true)), "{page}");
    server.put("a?key=K", "5");
    server.put("a?append=K", "6");
    assert_eq!(state(&server)[0][1], "56");
}

/// What a client makes of the events that it gets.
#[derive(Clone, Debug, Default, PartialEq)]
struct Map(BTreeMap<String, String>);

impl Map {
    fn take(&mut self, event: &Value) {
        let (key, data) = (event["key"].as_str().unwrap(), event["data"].as_str().unwrap());
        if event["removed"] == true {
            self.0.remove(key);
        } else if event["whole"] == true {
            self.0.insert(key.to_owned(), data.to_owned());
        } else if let Some(value) = self.0.get_mut(key) {
            match event["at"].as_str() {
                None => value.push_str(data),
                Some(at) => {
                    let mut newest: Value = serde_json::from_str(data).unwrap();
                    let before: Value = serde_json::from_str(value).unwrap();
                    let text =
                        [&before, &newest].map(|it| it.pointer(at).unwrap().as_str().unwrap());
                    let text = text.concat();
                    *newest.pointer_mut(at).unwrap() = Value::String(text);
                    *value = newest.to_string();
                }
            }
        }
    }

    fn take_block(&mut self, event: &str) {
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let mut data: Value = serde_json::from_str(data).unwrap();
        if event.starts_with("event: tidings.removed") {
            data["removed"] = true.into();
            data["data"] = "".into();
        }
        self.take(&data);
    }
}

/// The fold of all events up to `upto`.
fn fold(server: &TestServer, upto: &str) -> Map {
    let number = |id: &str| id.rsplit(':').next().unwrap().parse::<u64>().unwrap();
    let (mut map, mut after) = (Map::default(), String::new());
    loop {
        let page = server.get_json(&format!("/events/a?limit=1000{after}")).json();
        let events = page["events"].as_array().unwrap();
        for event in events {
            if number(event["id"].as_str().unwrap()) > number(upto) {
                return map;
            }
            map.take(event);
        }
        if events.is_empty() {
            return map;
        }
        after = format!("&after={}", page["next"].as_str().unwrap());
    }
}

#[test]
fn at_each_completion_the_map_of_a_client_is_the_fold_of_all_pieces() {
    for server in TestServer::both_engines() {
        clients_have_the_fold(&server);
    }
}

#[test]
fn at_each_completion_the_map_of_a_client_of_a_log_on_disk_is_the_fold_of_all_pieces() {
    let folder = Folder::new("fold");
    let store = DiskStore::open(DiskConfig::new(&folder.0)).unwrap();
    clients_have_the_fold(&TestServer::builder().store(Arc::new(store)).start());
}

/// Publishers let values grow, replace and remove them all the time, while clients come, go and
/// come back, with streams and with pages.
fn clients_have_the_fold(server: &TestServer) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let is_over = &is_over;
        scope.spawn(move || {
            for number in 0..1500 {
                let key = number * 7 % 13 % 6;
                let text = format!("é{number}😀,");
                match number % 23 {
                    0 => drop(server.request("DELETE", &format!("/events/a?key={key}"), &[], "")),
                    1 if key < 3 => server.put(&format!("a?key={key}"), &text),
                    1 => server.put(&format!("a?key={key}"), &json!({ "d": text }).to_string()),
                    _ if key < 3 => server.put(&format!("a?append={key}"), &text),
                    _ => {
                        let data = json!({ "n": number, "d": text }).to_string();
                        server.put(&format!("a?append={key}&at=/d"), &data);
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
            // A client that waits for an event gets one.
            server.put("a?key=last", "last");
        });
        for client in 0..3 {
            scope.spawn(move || {
                let (mut map, mut last) = (Map::default(), None::<String>);
                let mut round = client;
                while !is_over.load(Ordering::Relaxed) {
                    round += 1;
                    let target = "/events/a?from=state&envelope=json";
                    let mut stream = open(server, target, last.as_deref());
                    // Sometimes it breaks in the middle.
                    let mut left = if round % 3 == 0 { 2 } else { 40 };
                    while left > 0 && !is_over.load(Ordering::Relaxed) {
                        left -= 1;
                        let event = next(&mut stream);
                        let id = event.lines().find_map(|line| line.strip_prefix("id: "));
                        let id = id.unwrap().to_owned();
                        match event.starts_with("event: tidings.state") {
                            true => assert_eq!(map, fold(server, &id), "stream, {id}"),
                            false => map.take_block(&event),
                        }
                        last = Some(id);
                    }
                }
            });
        }
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let (mut map, mut after) = (Map::default(), String::new());
                loop {
                    let target = format!("/events/a?from=state&limit=2{after}");
                    let page = server.get_json(&target).json();
                    for event in page["events"].as_array().unwrap() {
                        map.take(event);
                    }
                    let id = page["next"].as_str().unwrap();
                    after = format!("&after={id}");
                    if page["complete"] == true {
                        assert_eq!(map, fold(server, id), "page, {id}");
                        break;
                    }
                }
            }
        });
    });
}
