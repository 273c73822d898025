//! Last wills: what ends a topic whose publisher is lost, over both protocols and both engines.

use std::time::Duration;

use crate::run_world::{EVENT_STREAM, FIRST, Hub, NDJSON, event, eventually, hubs, read_to_end};
use serde_json::json;
use tidings_testkit::server::TestServer;

const WILL: &str = "end&will=gone&will-event=error";

/// Leaves a will on a topic of its own that is due after all that were left before.
fn wait_for_a_later_will(hub: &Hub, topic: &str, lost: &str) {
    let mut producer =
        hub.produce(&format!("/events/{topic}?end&will=late&lost={lost}"), &[NDJSON]);
    producer.send("{\"data\":\"one\"}\n");
    eventually("the later producer is there", || hub.is_ended(topic).is_some());
    producer.kill();
    eventually("the later will is carried out", || hub.is_ended(topic) == Some(true));
    assert_eq!(hub.data(topic), ["one", "late"]);
}

#[test]
fn a_killed_producer_has_its_will_carried_out() {
    for hub in hubs() {
        for format in [NDJSON, EVENT_STREAM] {
            let topic = format!("run/{}", format.len());
            let stream = hub.server.subscribe(&format!("/events/{topic}"), &[]);
            let target = format!("/events/{topic}?{WILL}&lost=200ms");
            let mut producer = hub.produce(&target, &[format]);
            producer.send(&event(format, "one"));
            eventually("one is there", || hub.is_ended(&topic).is_some());
            producer.kill();
            assert_eq!(read_to_end(stream), (vec!["one".into(), "gone".into()], false));
            let expected = [("message".into(), "one".into()), ("error".into(), "gone".into())];
            assert_eq!(hub.events(&topic), expected);
            assert_eq!(hub.is_ended(&topic), Some(true));
        }
    }
}

#[test]
fn a_producer_that_is_killed_before_its_first_event_has_its_will_carried_out() {
    for hub in hubs() {
        for format in [NDJSON, EVENT_STREAM, "content-type: text/plain"] {
            let topic = format!("run/{}", format.len());
            let target = format!("/events/{topic}?{WILL}&lost=200ms");
            let before = hub.server.engine().head().get();
            let mut producer = hub.produce(&target, &[format]);
            producer.send("half");
            eventually("the will is there", || hub.server.engine().head().get() > before);
            producer.kill();
            eventually("the topic has ended", || hub.is_ended(&topic) == Some(true));
            assert_eq!(hub.data(&topic), ["gone"]);
        }
    }
}

#[test]
fn a_producer_that_is_silent_for_too_long_is_lost() {
    for portable in [false, true] {
        let server = TestServer::builder()
            .engine(|config| config.portable = portable)
            .config(|config| config.ingest_pause_max = Duration::from_millis(200));
        let hub = Hub { server: server.start(), protocol: "--http1.1" };
        let mut producer = hub.produce(&format!("/events/run?{WILL}&lost=200ms"), &[NDJSON]);
        producer.send("{\"data\":\"one\"}\n");
        eventually("the topic has ended", || hub.is_ended("run") == Some(true));
        assert_eq!(hub.data("run"), ["one", "gone"]);
    }
}

#[test]
fn a_body_that_ends_well_leaves_nothing_to_be_carried_out() {
    for hub in hubs() {
        let target = format!("/events/run?{WILL}&lost=100ms");
        for (format, sized) in [(NDJSON, true), (NDJSON, false), (EVENT_STREAM, false)] {
            let (status, summary) = if sized {
                hub.post(&target, &[format], &event(format, "one"))
            } else {
                let mut producer = hub.produce(&target, &[format]);
                producer.send(&event(format, "one"));
                producer.finish()
            };
            assert_eq!((status, &summary["published"]), (200, &json!(1)), "{summary}");
        }
        let mut single = hub.produce(&target, &["content-type: text/plain"]);
        single.send("one");
        assert_eq!(single.finish().0, 200);
        // It goes on: had a will been left over, it would come behind this.
        hub.post("/events/run", &[], "next");
        wait_for_a_later_will(&hub, "later", "300ms");
        assert_eq!(hub.data("run"), ["one", "one", "one", "one", "next"]);
        assert_eq!(hub.is_ended("run"), Some(false));
    }
}

#[test]
fn whoever_goes_on_in_time_keeps_the_will_from_being_carried_out() {
    for hub in hubs() {
        let target = format!("/events/run?{WILL}&lost=1s");
        let mut producer = hub.produce(&target, &[NDJSON]);
        producer.send("{\"data\":\"one\"}\n");
        eventually("one is there", || hub.is_ended("run").is_some());
        let before = hub.server.engine().head().get();
        producer.kill();
        eventually("the loss is noted", || hub.server.engine().head().get() > before);
        let mut next = hub.produce(&target, &[EVENT_STREAM]);
        next.send("data: two\n\n");
        eventually("two is there", || hub.data("run").len() == 2);
        wait_for_a_later_will(&hub, "later", "1100ms");
        assert_eq!(hub.is_ended("run"), Some(false));
        assert_eq!(next.finish().0, 200);
        assert_eq!(hub.data("run"), ["one", "two"]);
    }
}

#[test]
fn a_topic_that_somebody_else_has_ended_gets_no_will() {
    for hub in hubs() {
        for lost_first in [true, false] {
            let topic = format!("run/{lost_first}");
            let target = format!("/events/{topic}");
            let mut producer = hub.produce(&format!("{target}?{WILL}&lost=400ms"), &[NDJSON]);
            producer.send("{\"data\":\"one\"}\n");
            eventually("one is there", || hub.is_ended(&topic).is_some());
            if lost_first {
                producer.kill();
                assert_eq!(hub.ask("DELETE", &target, &[], "stop").0, 200);
            } else {
                assert_eq!(hub.ask("DELETE", &target, &[], "stop").0, 200);
                assert_eq!(producer.answer().0, 409);
                // Somebody begins it again, and takes his time.
                hub.post(&target, &[], "again");
            }
            wait_for_a_later_will(&hub, &format!("later/{lost_first}"), "500ms");
            let expected: &[_] =
                if lost_first { &["one", "stop"] } else { &["one", "stop", "again"] };
            assert_eq!(hub.data(&topic), expected);
            assert_eq!(hub.is_ended(&topic), Some(lost_first));
        }
    }
}

#[test]
fn whoever_may_not_begin_a_topic_leaves_no_will_for_it() {
    for hub in hubs() {
        let target = format!("/events/run?{WILL}&lost=100ms");
        // Both are there before there is an event.
        let mut first = hub.produce(&target, &[NDJSON, FIRST]);
        let mut second = hub.produce(&target, &[NDJSON, FIRST]);
        eventually("both wills are there", || hub.server.engine().head().get() == 2);
        first.send("{\"data\":\"one\"}\n");
        eventually("one is there", || hub.is_ended("run").is_some());
        second.send("{\"data\":\"mine\"}\n");
        assert_eq!(second.answer().0, 412);
        wait_for_a_later_will(&hub, "later", "300ms");
        assert_eq!(hub.is_ended("run"), Some(false));
        assert_eq!(first.finish().0, 200);
        assert_eq!(hub.data("run"), ["one"]);
    }
}

#[test]
fn wills_are_shown_to_nobody() {
    for hub in hubs() {
        let everything = hub.server.subscribe("/events?topic=**&last=100", &[]);
        let mut producer = hub.produce(&format!("/events/run?{WILL}&lost=100ms"), &[NDJSON]);
        producer.send("{\"data\":\"one\"}\n");
        eventually("one is there", || hub.is_ended("run").is_some());
        producer.kill();
        eventually("the will is carried out", || hub.is_ended("run") == Some(true));
        let topics = hub.server.get_json("/topics").json();
        let names: Vec<_> = topics["topics"].as_array().unwrap().iter().collect();
        assert_eq!(names.len(), 1, "{topics}");
        assert_eq!(names[0]["topic"], "run");
        let page = hub.server.get_json("/events?topic=**").json();
        assert_eq!(page["events"].as_array().unwrap().len(), 2, "{page}");
        assert!(!page.to_string().contains("notes"), "{page}");
        let metrics = hub.server.request("GET", "/metrics", &[], "");
        assert!(metrics.text().contains("\ntidings_topics 1\n"), "{}", metrics.text());
        for target in ["/events/%01notes", "/events?topic=%01notes"] {
            assert_eq!(hub.server.request("GET", target, &[], "").status(), 400, "{target}");
        }
        assert_eq!(hub.post("/events/%01notes", &[], "x").0, 400);
        hub.post("/events/after", &[], "last");
        let mut everything = everything;
        let events: Vec<_> = (0..3).map(|_| everything.event().unwrap()).collect();
        let data = events.iter().map(|event| event.trim_end().lines().last().unwrap());
        assert_eq!(data.collect::<Vec<_>>(), ["data: one", "data: gone", "data: last"]);
    }
}

#[test]
fn a_will_that_cannot_be_meant_is_refused_and_says_what_to_do() {
    for hub in hubs() {
        let long = format!("/events/run?end&will={}", "x".repeat(5000));
        for (target, says) in [
            ("/events/run?will=x", "add `end`"),
            ("/events/run?end&lost=5s", "`will`"),
            ("/events/run?end&will-event=x", "`will`"),
            ("/events/run?end&will=x&lost=5", "`30s`"),
            ("/events/run?end&will=x&lost=2d", "24h"),
            ("/events/run?end&will=x&lost=1ms", "100ms"),
            ("/events/run?end&will=x&will=y", "only once"),
            ("/events/run?end&will=a%00b", "NUL"),
            ("/events/run?end&will=x&will-event=tidings.reset", "tidings."),
            ("/events/run?end&will=x&will-event=a%0Ab", "event type"),
            ("/events?end&will=x", "/events/{topic}"),
            (&*long, "4096 bytes"),
        ] {
            for format in [NDJSON, EVENT_STREAM, "content-type: text/plain"] {
                if target.starts_with("/events?") && format != NDJSON {
                    continue;
                }
                let (status, problem) = hub.post(target, &[format], "\n");
                assert_eq!(status, 400, "{target} {problem}");
                let detail = problem["detail"].as_str().unwrap();
                assert!(detail.contains(says), "{target} {problem}");
            }
        }
        assert_eq!(hub.server.engine().head().get(), 0, "nothing is stored");
    }
}
