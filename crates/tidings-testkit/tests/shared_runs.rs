//! Begins, ends and last wills of topics over HTTP, at hubs that share a log.

use std::thread;
use std::time::Duration;

use crate::run_world::{EVENT_STREAM, FIRST, Hub, NDJSON, event, eventually, read_to_end};
use serde_json::json;
use tidings_testkit::shared_log::OneLog;

const TEXT: &str = "content-type: text/plain";

/// Time that a hub has to say that it is there. In these tests those that are asked are gone.
const HUB_PATIENCE: Duration = Duration::from_millis(200);

fn served(server: tidings_testkit::server::Builder) -> Hub {
    let server = server.engine(|config| config.hub_patience = HUB_PATIENCE);
    Hub { server: server.start(), protocol: "--http1.1" }
}

fn body(format: &str, data: &str) -> String {
    if format == TEXT { data.to_owned() } else { event(format, data) }
}

#[test]
fn a_hub_that_has_not_followed_begins_no_topic_that_another_one_has_begun() {
    let log = OneLog::new("shared-runs");
    let [a, b] = ["a", "b"].map(|name| served(log.deaf_hub(name)));
    for format in [TEXT, NDJSON, EVENT_STREAM] {
        let target = format!("/events/run/{}", format.len());
        assert_eq!(a.post(&target, &[format, FIRST], &body(format, "a")).0, 200);
        // To this hub the topic is new. It finds out as it appends, and stores nothing.
        let (status, problem) = b.post(&target, &[format, FIRST], &body(format, "b"));
        assert_eq!((status, &problem["code"]), (412, &json!("topic_exists")), "{problem}");
        assert_eq!(b.data(&target["/events/".len()..]), ["a"]);
    }
}

#[test]
fn one_of_many_publishers_at_two_hubs_begins_a_topic() {
    let log = OneLog::new("shared-runs");
    let hubs = ["a", "b"].map(|name| served(log.hub(name)));
    for round in 0..8 {
        let topic = format!("run/{round}");
        let target = format!("/events/{topic}");
        let attempt = |hub: &Hub, format: &str, data: &str| {
            hub.post(&target, &[format, FIRST], &body(format, data)).0
        };
        let attempt = &attempt;
        let winners = thread::scope(|scope| {
            let attempts = [TEXT, NDJSON, EVENT_STREAM].into_iter().flat_map(|format| {
                hubs.iter().zip(["a", "b"]).map(move |(hub, name)| {
                    let data = format!("{name} {}", format.len());
                    scope.spawn(move || (attempt(hub, format, &data), data))
                })
            });
            let attempts: Vec<_> = attempts.collect();
            let answers = attempts.into_iter().map(|attempt| attempt.join().unwrap());
            let answers: Vec<_> = answers.collect();
            assert!(answers.iter().all(|(status, _)| [200, 412].contains(status)), "{answers:?}");
            let winners = answers.into_iter().filter(|(status, _)| *status == 200);
            winners.map(|(_, data)| data).collect::<Vec<_>>()
        });
        assert_eq!(winners.len(), 1, "{winners:?}");
        for hub in &hubs {
            eventually("the hub follows", || hub.is_ended(&topic).is_some());
            assert_eq!(hub.data(&topic), winners);
        }
    }
}

/// Stops a hub, on which a producer has left the will `gone` on this topic.
fn stop_with_a_will(hub: Hub, topic: &str, lost: &str) {
    let target = format!("/events/{topic}?end&will=gone&lost={lost}");
    let mut producer = hub.produce(&target, &[NDJSON]);
    producer.send(&event(NDJSON, "one"));
    eventually("one is there", || hub.is_ended(topic).is_some());
    drop(hub);
    producer.kill();
}

#[test]
fn a_topic_is_ended_once_also_by_a_hub_that_has_not_followed() {
    let log = OneLog::new("shared-runs");
    let [a, b] = ["a", "b"].map(|name| served(log.deaf_hub(name)));
    assert_eq!(a.post("/events/run", &[], "one").0, 200);
    // It follows what is there as it appends.
    assert_eq!(b.post("/events/run", &[], "two").0, 200);
    assert_eq!(a.ask("DELETE", "/events/run", &[], "over").0, 200);
    // As at a hub that knows it.
    let again = b.ask("DELETE", "/events/run", &[], "over");
    assert_eq!(again, a.ask("DELETE", "/events/run", &[], "over"));
    assert_eq!(b.data("run"), ["one", "two", "over"]);
}

#[test]
fn a_will_at_a_hub_that_is_gone_is_carried_out_by_another_one_that_starts() {
    let log = OneLog::new("shared-runs");
    let other = served(log.hub("b"));
    stop_with_a_will(served(log.hub("a")), "run", "200ms");
    let stream = other.server.subscribe("/events/run?last=10", &[]);
    let third = served(log.hub("c"));
    eventually("the will is carried out", || third.is_ended("run") == Some(true));
    assert_eq!(read_to_end(stream), (vec!["one".into(), "gone".into()], false));
    assert_eq!(third.data("run"), ["one", "gone"]);
    // The hub itself has nothing more to carry out.
    let again = served(log.hub("a"));
    again.post("/events/run", &[], "again");
    stop_with_a_will(served(log.hub("d")), "later", "300ms");
    let last = served(log.hub("e"));
    eventually("a later will is carried out", || last.is_ended("later") == Some(true));
    assert_eq!(last.data("run"), ["one", "gone", "again"]);
    assert_eq!(last.is_ended("run"), Some(false));
}

#[test]
fn a_will_that_two_hubs_find_at_once_is_carried_out_once() {
    let log = OneLog::new("shared-runs");
    stop_with_a_will(served(log.hub("a")), "run", "3s");
    // Each finds it as it starts. None sees what the other one appends before it appends itself.
    let hubs = ["b", "c"].map(|name| served(log.deaf_hub(name)));
    for hub in &hubs {
        eventually("the hub carries it out, or finds it done", || {
            hub.is_ended("run") == Some(true)
        });
    }
    for hub in &hubs {
        hub.post("/events/after", &[], "x");
        assert_eq!(hub.data("run"), ["one", "gone"]);
    }
}
