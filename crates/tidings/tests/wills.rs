//! Last wills over the deaths of hubs: the real program is killed with SIGKILL, and the next one
//! over the same history carries out what is left.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::world::{Folder, Hub, eventually};
use serde_json::Value;

/// A `curl` that sends a body as it is made.
pub(crate) struct Producer(Child);

impl Producer {
    /// Sends `one` to the topic; there is a will for it.
    pub(crate) fn begin(hub: &Hub, topic: &str, lost: &str) -> Self {
        let url = hub.url(&format!("/events/{topic}?end&will=gone&will-event=error&lost={lost}"));
        let mut curl = Command::new("curl");
        curl.args([
            "-s",
            "-X",
            "POST",
            "-H",
            "expect:",
            "-H",
            "content-type: application/x-ndjson",
        ]);
        curl.args(["-T", ".", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = curl.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"{\"data\":\"one\"}\n").unwrap();
        eventually(|| data(hub, topic) == ["one"]);
        Self(child)
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

pub(crate) fn data(hub: &Hub, topic: &str) -> Vec<String> {
    let page = hub.curl(&["-H", "accept: application/json"], &format!("/events/{topic}"));
    let page: Value = serde_json::from_str(&page).unwrap();
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["data"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn is_ended(hub: &Hub, topic: &str) -> bool {
    let page: Value = serde_json::from_str(&hub.curl(&[], "/topics")).unwrap();
    let topics = page["topics"].as_array().unwrap();
    topics.iter().any(|state| state["topic"] == topic && state["ended"] == true)
}

/// Leaves a will that is due after all others, and waits for it.
fn wait_for_a_later_will(hub: &Hub, topic: &str, lost: &str) {
    Producer::begin(hub, topic, lost).kill();
    eventually(|| is_ended(hub, topic));
}

/// Kills a producer, and waits until the hub has noted its loss: until a position is the hub's own.
fn lose(hub: &Hub, producer: Producer) {
    let position = || -> u64 {
        let id = hub.publish("probe", "x");
        id.rsplit(':').next().unwrap().parse().unwrap()
    };
    let mut last = position();
    producer.kill();
    eventually(|| {
        let before = std::mem::replace(&mut last, position());
        last > before + 1
    });
}

#[test]
fn a_hub_that_was_killed_with_its_producers_carries_out_their_wills_once() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &[]);
    let producer = Producer::begin(&hub, "run", "300ms");
    hub.process.kill();
    drop(hub);
    producer.kill();
    let mut hub = Hub::serve(&folder, &[]);
    eventually(|| is_ended(&hub, "run"));
    assert_eq!(data(&hub, "run"), ["one", "gone"]);
    // Crossed out with what it said: the next hub has nothing to do, also if the topic goes on.
    hub.publish("run", "next");
    hub.process.kill();
    drop(hub);
    let hub = Hub::serve(&folder, &[]);
    wait_for_a_later_will(&hub, "later", "500ms");
    assert_eq!(data(&hub, "run"), ["one", "gone", "next"]);
    assert!(!is_ended(&hub, "run"));
}

#[test]
fn a_hub_that_is_killed_while_a_will_waits_carries_it_out_after_two_restarts() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &[]);
    let producer = Producer::begin(&hub, "run", "2s");
    lose(&hub, producer);
    for _ in 0..2 {
        hub.process.kill();
        drop(hub);
        hub = Hub::serve(&folder, &[]);
        assert_eq!(data(&hub, "run"), ["one"], "the whole time begins anew");
    }
    eventually(|| is_ended(&hub, "run"));
    assert_eq!(data(&hub, "run"), ["one", "gone"]);
}

#[test]
fn a_producer_that_goes_on_before_or_after_the_death_of_the_hub_is_not_ended() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &[]);
    lose(&hub, Producer::begin(&hub, "before", "1s"));
    hub.publish("before", "two");
    let producer = Producer::begin(&hub, "after", "1s");
    hub.process.kill();
    drop(hub);
    producer.kill();
    let hub = Hub::serve(&folder, &[]);
    hub.publish("after", "two");
    wait_for_a_later_will(&hub, "later", "1200ms");
    for topic in ["before", "after"] {
        assert_eq!(data(&hub, topic), ["one", "two"]);
        assert!(!is_ended(&hub, topic), "{topic}");
    }
}

#[test]
fn a_hub_that_leaves_in_good_order_leaves_its_producers_wills_to_the_next() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &["--drain-window", "100ms"]);
    let producer = Producer::begin(&hub, "run", "1s");
    hub.process.signal("TERM");
    hub.process.wait();
    drop(hub);
    producer.kill();
    let hub = Hub::serve(&folder, &[]);
    eventually(|| is_ended(&hub, "run"));
    assert_eq!(data(&hub, "run"), ["one", "gone"]);
}
