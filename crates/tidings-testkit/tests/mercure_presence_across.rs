//! Presence over several hubs of one log.

use crate::mercure;
use std::time::{Duration, Instant};

use crate::mercure::{HUB, Tokens, bearer, event, zero};
use serde_json::{Value, json};
use tidings_testkit::http::Connection;
use tidings_testkit::server::TestServer;
use tidings_testkit::wires::Wires;

const API: &str = "/.well-known/mercure/subscriptions";
/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(30);

fn hub(wires: &Wires, seed: u64) -> TestServer {
    TestServer::builder()
        .wire(wires.wire())
        .config(mercure::configure)
        .engine(|engine| engine.seed = seed)
        .start()
}

fn subscribe(hub: &TestServer, topic: &str) -> Connection {
    let rights = json!({ "subscribe": ["*"], "payload": { "user": topic } });
    let token = zero(&json!({ "mercure": rights }));
    hub.subscribe(&format!("{HUB}?topic={topic}"), &[("authorization", &bearer(&token))])
}

/// The topics on the list of `hub`, in order, without those of watchers.
fn listed(hub: &TestServer) -> Vec<String> {
    let all = bearer(&Tokens::everything().zero);
    let answer = hub.request("GET", API, &[("authorization", &all)], "").json();
    let is_watcher = |one: &Value| one["topic"].as_str().unwrap().starts_with(API);
    let subscriptions = answer["subscriptions"].as_array().unwrap().iter();
    let subscriptions = subscriptions.filter(|one| !is_watcher(one));
    let topics = subscriptions.map(|one| {
        assert_eq!(one["payload"]["user"], one["topic"]);
        one["topic"].as_str().unwrap().to_owned()
    });
    let mut topics: Vec<_> = topics.collect();
    topics.sort();
    topics
}

fn eventually_listed(hub: &TestServer, topics: &[&str]) {
    let began = Instant::now();
    while listed(hub) != topics {
        assert!(began.elapsed() < PATIENCE, "{:?} and not {topics:?}", listed(hub));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A subscriber to the events about subscriptions to `topic`.
fn watch(hub: &TestServer, topic: &str) -> Connection {
    let token = bearer(&Tokens::everything().zero);
    let selector = format!("{API}/{topic}/%7Bsubscriber%7D");
    hub.subscribe(&format!("{HUB}?topic={selector}"), &[("authorization", &token)])
}

fn is_active(watcher: &mut Connection) -> bool {
    let block = event(watcher);
    let lines = block.lines().filter_map(|line| line.strip_prefix("data: "));
    let json: Value = serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    json["active"].as_bool().unwrap()
}

#[test]
fn every_hub_lists_the_subscribers_of_all_and_announces_who_comes_and_leaves() {
    let wires = Wires::default();
    let (one, two) = (hub(&wires, 1), hub(&wires, 2));
    let _here = subscribe(&one, "a");
    let there = subscribe(&two, "b");
    for hub in [&one, &two] {
        eventually_listed(hub, &["a", "b"]);
    }
    let mut watcher = watch(&one, "c");
    let later = subscribe(&two, "c");
    assert!(is_active(&mut watcher));
    drop((there, later));
    assert!(!is_active(&mut watcher));
    drop(watcher);
    eventually_listed(&one, &["a"]);

    // A hub that is new learns who is there.
    let three = hub(&wires, 3);
    eventually_listed(&three, &["a"]);
    let _there = subscribe(&three, "d");
    eventually_listed(&two, &["a", "d"]);
    one.stop();
    eventually_listed(&two, &["d"]);
}

#[test]
fn the_subscribers_of_a_lost_hub_leave_the_lists_and_are_back_with_it() {
    let wires = Wires::default();
    let (one, two) = (hub(&wires, 1), hub(&wires, 2));
    let first = subscribe(&two, "a");
    eventually_listed(&one, &["a"]);
    let mut watcher = watch(&one, "a");
    wires.cut(1, true);
    assert!(!is_active(&mut watcher), "the hub is silent");
    drop(watcher);
    eventually_listed(&one, &[]);
    // The hub tells what happens there meanwhile when it is back.
    let _second = subscribe(&two, "b");
    drop(first);
    eventually_listed(&two, &["b"]);
    wires.cut(1, false);
    eventually_listed(&one, &["b"]);
}
