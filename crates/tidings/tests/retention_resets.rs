//! `?reset=state` under rules of retention, with the real program: what a reader gets that comes
//! back from before what is still kept.
#![cfg(unix)]

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::retention::{page, serve};
use crate::world::wire::Wire;
use crate::world::{Folder, Hub, Process, eventually};

const RULES: &str = r#"
[[retention]]
topics = ["boards/**"]
state = true
age = "1s"

[[retention]]
topics = ["short/**"]
age = "1s"
"#;

fn hub(folder: &Folder) -> Hub {
    folder.file("hub.toml", RULES);
    serve(folder)
}

fn put(hub: &Hub, target: &str, data: &str) -> String {
    hub.publish(target, data)
}

fn remove(hub: &Hub, target: &str) -> String {
    let answer = hub.curl(&["-X", "DELETE"], &format!("/events/{target}"));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn is_expired(page: &Value) -> bool {
    page.get("reset").is_some_and(|reset| reset["reason"] == "expired")
}

/// Waits until a reader of history that comes back with `id` has lost something. Meanwhile others
/// publish: rules are not applied to the newest event.
fn wait_until_lost(hub: &Hub, wire: &mut Wire, topic: &str, id: &str, mut meanwhile: impl FnMut()) {
    eventually(|| {
        meanwhile();
        put(hub, "other", "x");
        thread::sleep(Duration::from_millis(50));
        is_expired(&page(wire, &format!("/events/{topic}?after={id}")))
    });
}

/// Key, data and removal of each event of a page.
fn events(page: &Value) -> Value {
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| json!([event["key"], event["data"], event["removed"] == true])).collect()
}

/// What a stream begins with: the header `Tidings-Resume`, and the first events, each its type and
/// its data.
fn stream(hub: &Hub, path: &str, id: &str, count: usize) -> (String, Vec<(String, String)>) {
    let header = format!("last-event-id: {id}");
    let words = ["-D", "-", "-H", "accept: text/event-stream", "-H", &header];
    let mut curl: Process = hub.listen(&words, path);
    let (mut resume, mut kind, mut data, mut found) =
        (String::new(), "message".to_owned(), None::<String>, Vec::new());
    while found.len() < count {
        let line = curl.line();
        let line = line.trim_end();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("tidings-resume: ") {
            resume = value.to_owned();
        } else if let Some(value) = line.strip_prefix("event: ") {
            kind = value.to_owned();
        } else if let Some(value) = line.strip_prefix("data: ") {
            data = Some(value.to_owned());
        } else if line.is_empty() {
            let kind = std::mem::replace(&mut kind, "message".to_owned());
            found.extend(data.take().map(|data| (kind, data)));
        }
    }
    (resume, found)
}

fn message(data: &str) -> (String, String) {
    ("message".to_owned(), data.to_owned())
}

#[test]
fn a_rule_that_keeps_the_state_gives_it_in_place_of_a_reset() {
    let folder = Folder::new();
    let hub = hub(&folder);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let first = put(&hub, "boards/1?key=A", "old");
    put(&hub, "boards/1?key=A", "older");
    put(&hub, "boards/1?key=B", "b");
    put(&hub, "boards/1", "superseded");
    put(&hub, "boards/1?key=A", "a");
    let last = put(&hub, "boards/1", "retained");
    wait_until_lost(&hub, &mut wire, "boards/1", &first, || {});
    let head = put(&hub, "other", "x");
    let state = json!([["B", "b", false], ["A", "a", false], [null, "retained", false]]);

    // Of history it is a reset, and what is left of it.
    let after = format!("after={first}");
    let answer = page(&mut wire, &format!("/events/boards/1?{after}"));
    assert_eq!((is_expired(&answer), answer.get("complete")), (true, None));
    let (resume, sent) = stream(&hub, "/events/boards/1", &first, 1);
    assert_eq!((&*resume, &*sent[0].0), ("reset", "tidings.reset"));

    let answer = page(&mut wire, &format!("/events/boards/1?reset=state&{after}"));
    assert_eq!((answer.get("reset"), &answer["complete"]), (None, &json!(true)), "{answer}");
    assert_eq!((events(&answer), &answer["next"]), (state, &json!(head)));
    let (resume, sent) = stream(&hub, "/events/boards/1?reset=state", &first, 4);
    assert_eq!(resume, "state");
    assert_eq!(sent[..3], ["b", "a", "retained"].map(message));
    let complete: Value = serde_json::from_str(&sent[3].1).unwrap();
    assert_eq!((&*sent[3].0, complete), ("tidings.state", json!({"count": 3, "upto": head})));

    // A page may be cut anywhere, and is continued as one of the state.
    let answer = page(&mut wire, &format!("/events/boards/1?reset=state&limit=2&{after}"));
    assert_eq!(events(&answer), json!([["B", "b", false], ["A", "a", false]]));
    assert_eq!(answer["complete"], false);
    let next = answer["next"].as_str().unwrap();
    let answer = page(&mut wire, &format!("/events/boards/1?from=state&after={next}"));
    assert_eq!(events(&answer), json!([[null, "retained", false]]));
    assert_eq!(answer["complete"], true);

    // With nothing missing it is history.
    put(&hub, "boards/1?key=A", "live");
    let answer = page(&mut wire, &format!("/events/boards/1?reset=state&after={last}"));
    assert_eq!((answer.get("reset"), answer.get("complete")), (None, None), "{answer}");
    assert_eq!(events(&answer), json!([["A", "live", false]]));
    let (resume, sent) = stream(&hub, "/events/boards/1?reset=state", &last, 1);
    assert_eq!((&*resume, &sent[..]), ("resumed", &[message("live")][..]));
}

#[test]
fn a_removal_that_is_gone_is_a_reset_and_all_of_the_state() {
    let folder = Folder::new();
    let hub = hub(&folder);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let first = put(&hub, "boards/1?key=A", "a");
    put(&hub, "boards/1?key=B", "b");
    let removal = remove(&hub, "boards/1?key=A");
    let target = format!("/events/boards/1?reset=state&after={first}");
    // While the removal is kept, the reader gets it. Once it is gone, nothing says that the reader
    // has to forget the key.
    eventually(|| {
        put(&hub, "other", "x");
        thread::sleep(Duration::from_millis(50));
        let answer = page(&mut wire, &target);
        if !is_expired(&answer) {
            return false;
        }
        assert_eq!(events(&answer), json!([["B", "b", false]]));
        assert_eq!(answer["complete"], true);
        true
    });
    let (resume, sent) = stream(&hub, "/events/boards/1?reset=state", &first, 3);
    assert_eq!((&*resume, &*sent[0].0, &sent[1]), ("reset", "tidings.reset", &message("b")));
    assert_eq!(sent[2].0, "tidings.state");
    // A reader that has seen it misses nothing.
    let answer = page(&mut wire, &format!("/events/boards/1?reset=state&after={removal}"));
    assert_eq!((answer.get("reset"), events(&answer)), (None, json!([])));
}

#[test]
fn a_rule_that_only_has_an_age_gives_a_reset_and_all_of_the_state_that_is_left() {
    let folder = Folder::new();
    let hub = hub(&folder);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let first = put(&hub, "short/1?key=gone", "g");
    let seen = put(&hub, "short/1?key=A", "0");
    // Key `A` always has a young value; `gone` has none, and the reader has to forget it.
    let mut number = 0;
    wait_until_lost(&hub, &mut wire, "short/1", &first, || {
        number += 1;
        put(&hub, "short/1?key=A", &number.to_string());
    });
    for id in [&first, &seen] {
        let fresh = put(&hub, "short/1?key=A", "fresh");
        let target = format!("/events/short/1?reset=state&after={id}");
        let answer = page(&mut wire, &target);
        assert_eq!((is_expired(&answer), &answer["complete"]), (true, &json!(true)), "{answer}");
        assert_eq!(events(&answer), json!([["A", "fresh", false]]));
        assert_eq!(answer["next"], json!(fresh));
        // Without the flag it is a reset, and the history that is left.
        let answer = page(&mut wire, &format!("/events/short/1?after={id}"));
        assert_eq!((is_expired(&answer), answer.get("complete")), (true, None));
        let (resume, sent) = stream(&hub, "/events/short/1?reset=state", id, 2);
        assert_eq!((&*resume, &*sent[0].0), ("reset", "tidings.reset"));
    }
}
