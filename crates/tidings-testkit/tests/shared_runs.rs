//! Begins, ends and last wills of topics over HTTP, at hubs that share a log.

use std::thread;
use std::time::{Duration, Instant};

use crate::run_world::{EVENT_STREAM, FIRST, Hub, NDJSON, event, eventually};
use serde_json::json;
use tidings_testkit::shared_log::OneLog;

const TEXT: &str = "content-type: text/plain";

/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(30);

fn served(server: tidings_testkit::server::Builder) -> Hub {
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
        assert_eq!((status, &problem["code"]), (503, &json!("store_unavailable")), "{problem}");
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
            let began = Instant::now();
            loop {
                assert!(began.elapsed() < PATIENCE, "{target} is not answered");
                match hub.post(&target, &[format, FIRST], &body(format, data)).0 {
                    503 => {}
                    status => return status,
                }
            }
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
