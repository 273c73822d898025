//! Growing events over HTTP, at hubs that share a log.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_testkit::server::TestServer;
use tidings_testkit::shared_log::OneLog;

/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(30);

/// Key and data of each event of the topic's state.
fn state(hub: &TestServer, topic: &str) -> Value {
    let page = hub.get_json(&format!("/events/{topic}?from=state")).json();
    assert_eq!(page["complete"], true, "{page}");
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| json!([event["key"], event["data"]])).collect()
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "the condition never holds");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_piece_that_loses_the_race_to_another_hub_comes_after_what_was_faster() {
    let log = OneLog::new("shared-values");
    let [a, b] = ["a", "b"].map(|name| log.deaf_hub(name).start());
    a.put("t?append=K", "a1 ");
    // To this hub the key is new: at the place that it thinks of, the value would begin anew.
    b.put("t?append=K&id=b1", "b1 ");
    assert_eq!(state(&b, "t"), json!([["K", "a1 b1 "]]));
    let lines = concat!(
        "{\"topic\":\"t\",\"append\":\"L\",\"data\":\"first\"}\n",
        "{\"topic\":\"t\",\"append\":\"K\",\"data\":\"a2\"}\n",
    );
    let batch = || a.request("POST", "/events", &[("content-type", "application/x-ndjson")], lines);
    assert_eq!(batch().status(), 200);
    assert_eq!(state(&a, "t"), json!([["L", "first"], ["K", "a1 b1 a2"]]));
    // Another key of the same topic is no reason.
    b.put("t?append=M", "m");
    assert_eq!(state(&b, "t"), json!([["L", "first"], ["K", "a1 b1 a2"], ["M", "m"]]));
}

#[test]
fn a_value_to_which_two_hubs_append_at_once_has_every_acknowledged_piece_once_and_in_order() {
    const PIECES: usize = 40;
    let log = OneLog::new("shared-values");
    let hubs = ["a", "b"].map(|name| log.hub(name).start());
    thread::scope(|scope| {
        for (name, hub) in ["a", "b"].into_iter().zip(&hubs) {
            scope.spawn(move || {
                for n in 0..PIECES {
                    let target = format!("/events/t?append=K&id={name}-{n}");
                    let began = Instant::now();
                    loop {
                        assert!(began.elapsed() < PATIENCE, "{target} is not taken");
                        match hub.post(&target, format!("{name}{n};")).status() {
                            200 => break,
                            status => assert_eq!(status, 503),
                        }
                    }
                }
            });
        }
    });
    let [a, b] = &hubs;
    eventually(|| state(a, "t") == state(b, "t"));
    let state = state(a, "t");
    let value = state[0][1].as_str().unwrap();
    let pieces: Vec<_> = value.split_terminator(';').collect();
    assert_eq!((state.as_array().unwrap().len(), pieces.len()), (1, 2 * PIECES), "{value}");
    for name in ["a", "b"] {
        let own = pieces.iter().filter(|piece| piece.starts_with(name));
        assert!(own.eq(&(0..PIECES).map(|n| format!("{name}{n}")).collect::<Vec<_>>()), "{value}");
    }
    // History has the same pieces.
    let history = b.get_json("/events/t?limit=1000").json();
    let events = history["events"].as_array().unwrap().iter();
    let joined: String = events.map(|event| event["data"].as_str().unwrap()).collect();
    assert_eq!(joined, value);
}
