//! What a log that is held elsewhere can do to a hub: outages, lost answers, late answers and
//! requests. (The store suite checks that it is a log: `stores.rs`.)
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_hub::{AppendError, Epoch, Interest, Log, Position, ReadQuery, Record, Timestamp};
use tidings_testkit::remote_log::{Journal, Link, Mishap, RemoteLog};
use tidings_testkit::server::TestServer;
use tidings_testkit::store_suite::{Retention, at, draft};

/// A journal, and one node on it.
struct World {
    journal: Arc<Journal>,
    link: Arc<Link>,
    log: Arc<RemoteLog>,
}

impl World {
    fn new() -> Self {
        let journal = Arc::new(Journal::new(Epoch::from_random(7)));
        let (link, log) = node(&journal);
        Self { journal, link, log }
    }

    fn append(&self, data: &str) -> Result<Position, AppendError> {
        let appended = self.log.append(vec![draft("t", data)], at(1))?;
        Ok(appended[0].position)
    }

    /// Everything that can be read.
    fn all(&self) -> Vec<String> {
        data(&*self.log)
    }
}

fn node(journal: &Arc<Journal>) -> (Arc<Link>, Arc<RemoteLog>) {
    let link = Link::new(journal, Duration::from_micros(100));
    let log = Arc::new(RemoteLog::open(journal, &link, Retention::ALL));
    (link, log)
}

fn records(log: &dyn Log) -> Vec<Arc<Record>> {
    let everything = Interest::everything();
    let query = ReadQuery { interest: Some(&everything), ..ReadQuery::everything() };
    log.read(&query).unwrap().records
}

fn data(log: &dyn Log) -> Vec<String> {
    records(log).iter().map(|record| record.data.to_string()).collect()
}

fn eventually(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "the condition never holds");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_outage_rejects_events_for_a_while_and_still_serves_readers() {
    let world = World::new();
    world.append("one").unwrap();
    world.link.down();
    assert!(matches!(world.append("lost"), Err(AppendError::Away { .. })));
    assert_eq!(world.log.health().failure.unwrap().kind(), "away");
    assert_eq!(world.all(), ["one"]);
    world.link.up();
    // No publish is needed for that.
    world.log.retain(Timestamp::default()).unwrap();
    assert!(world.log.health().failure.is_none());
    world.append("two").unwrap();
    assert_eq!(world.all(), ["one", "two"]);
}

#[test]
fn a_lost_answer_is_recovered_and_the_event_is_there_once() {
    let world = World::new();
    world.link.next_append(Mishap::AnswerLost);
    assert_eq!(world.append("one").unwrap(), Position::new(1));
    assert_eq!(world.all(), ["one"]);
    assert!(world.log.health().failure.is_none());
}

#[test]
fn a_late_request_is_shut_out_before_its_publisher_learns_that_nothing_is_stored() {
    let world = World::new();
    world.link.next_append(Mishap::Late);
    assert!(matches!(world.append("late"), Err(AppendError::Away { .. })));
    world.link.deliver_late();
    // Until the node has read the late entry, an append finds its place taken and has to be
    // repeated.
    let stored = (0..1000).any(|_| world.append("next").is_ok());
    assert!(stored);
    assert_eq!(world.all(), ["next"]);
}

#[test]
fn an_outcome_that_cannot_be_found_out_is_undecided_and_the_event_comes_once_or_never() {
    for (mishap, arrives) in [
        (Mishap::AnswerLostThenDown, true),
        (Mishap::LateThenDown, true),
        (Mishap::LateThenDown, false),
    ] {
        let world = World::new();
        world.append("one").unwrap();
        world.link.next_append(mishap);
        let undecided = world.append("two");
        assert!(matches!(undecided, Err(AppendError::Undecided { .. })), "{undecided:?}");
        assert_eq!(world.log.health().failure.unwrap().kind(), "undecided");
        assert_eq!(world.all(), ["one"], "no reader sees an undecided event");
        world.link.up();
        if arrives {
            world.link.deliver_late();
            eventually(|| world.all().len() == 2);
        }
        world.append("three").unwrap();
        let kept = records(&*world.log).iter().filter(|record| *record.data == *"two").count();
        assert_eq!(kept, usize::from(arrives), "{mishap:?}");
        world.link.deliver_late();
        assert_eq!(records(&*world.log).len(), 2 + kept, "it came too late");
    }
}

#[test]
fn two_nodes_have_one_order_and_the_slower_writer_loses_nothing() {
    let world = World::new();
    let (_link, other) = node(&world.journal);
    for n in 0..20 {
        let log: &dyn Log = if n % 2 == 0 { &*world.log } else { &*other };
        // An append that was overtaken fails and has stored nothing.
        while log.append(vec![draft("t", &n.to_string())], at(n)).is_err() {}
    }
    let expected: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    eventually(|| world.all() == expected && data(&*other) == expected);
}

#[test]
fn publishers_learn_the_fate_of_their_event_by_status_and_code() {
    let world = World::new();
    let server = TestServer::builder().store(Arc::clone(&world.log) as Arc<dyn Log>).start();
    let publish = || server.post("/events/t", "x");
    assert_eq!(publish().status(), 200);
    world.link.down();
    let refused = publish();
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("2")));
    assert_eq!(refused.json()["code"], "store_unavailable");
    world.link.up();
    assert_eq!(publish().status(), 200);
    world.link.next_append(Mishap::LateThenDown);
    let undecided = publish();
    assert_eq!((undecided.status(), undecided.header("retry-after")), (503, Some("3")));
    assert_eq!(undecided.json()["code"], "store_undecided");
    let detail = undecided.json()["detail"].to_string();
    assert!(detail.contains("not known whether the event is stored"), "{detail}");
    world.link.up();
    assert_eq!(publish().status(), 200);
}

#[test]
fn a_hub_stays_ready_for_subscribers_while_its_log_is_away_and_says_that_it_takes_no_events() {
    let world = World::new();
    let server = TestServer::builder().store(Arc::clone(&world.log) as Arc<dyn Log>).start();
    assert_eq!(server.post("/events/t", "one").status(), 200);
    let mut early = server.subscribe("/events/t", &[]);
    let ready = |query| server.get_json(&format!("/readyz{query}"));
    assert_eq!(ready("?for=publish").json()["status"], "ready");
    world.link.down();
    assert_eq!(server.post("/events/t", "lost").status(), 503);
    for query in ["", "?for=subscribe"] {
        assert_eq!(ready(query).status(), 200, "{query}");
        assert_eq!(ready(query).json()["publishing"], "store_unavailable", "{query}");
    }
    let publish = ready("?for=publish");
    assert_eq!((publish.status(), &publish.json()["status"]), (503, &"not ready".into()));
    assert_eq!(publish.json()["reasons"][0], "store_unavailable");
    assert_eq!(ready("?for=lunch").status(), 400);
    let metrics = server.request("GET", "/metrics", &[], "");
    assert!(metrics.text().contains("\ntidings_store_failure{reason=\"away\"} 1\n"));
    assert!(!metrics.text().contains("\ntidings_store_away_seconds 0\n"));
    // Newcomers are served from the copy.
    let mut late = server.subscribe("/events/t?from=start", &[]);
    assert!(late.event().unwrap().contains("data: one\n"));
    world.link.up();
    assert_eq!(server.post("/events/t", "two").status(), 200);
    for stream in [&mut early, &mut late] {
        assert!(stream.event().unwrap().contains("data: two\n"), "the stream stayed");
    }
    assert_eq!(ready("").json()["publishing"], serde_json::Value::Null);
    assert!(server.request("GET", "/metrics", &[], "").text().contains("away_seconds 0\n"));
}

#[test]
fn every_form_of_publishing_says_that_the_log_is_away_and_when_to_come_back() {
    let world = World::new();
    let server = TestServer::builder().store(Arc::clone(&world.log) as Arc<dyn Log>).start();
    world.link.down();
    let lines = [("content-type", "application/x-ndjson")];
    let events = [("content-type", "text/event-stream")];
    for (headers, body) in
        [(&[][..], "x"), (&lines[..], "{\"data\":\"x\"}\n"), (&events[..], "data: x\n\n")]
    {
        let refused = server.request("POST", "/events/t", headers, body);
        assert_eq!(refused.status(), 503, "{headers:?}");
        assert_eq!(refused.json()["code"], "store_unavailable", "{headers:?}");
        assert!(refused.header("retry-after").is_some(), "{headers:?}");
    }
    assert!(world.all().is_empty());
}

#[test]
fn a_publisher_that_repeats_an_undecided_event_with_its_id_has_one_event() {
    for arrives in [true, false] {
        let world = World::new();
        let server = TestServer::builder().store(Arc::clone(&world.log) as Arc<dyn Log>).start();
        let publish = || server.post("/events/t?id=mine", "x");
        world.link.next_append(Mishap::LateThenDown);
        assert_eq!(publish().status(), 503);
        world.link.up();
        if arrives {
            world.link.deliver_late();
            eventually(|| world.all() == ["x"]);
        }
        let repeated = publish();
        assert_eq!(repeated.status(), 200);
        assert_eq!(repeated.json()["duplicate"] == true, arrives, "{}", repeated.json());
        world.link.deliver_late();
        assert_eq!(world.all(), ["x"]);
    }
}
