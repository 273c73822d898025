//! Receivers get the news of connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tidings_server::{ApiKey, Config, NotifyReceiver, NotifySecrets};
use tidings_testkit::backend::{Asked, Backend, Reply};
use tidings_testkit::server::{Builder, TestServer};

const KEY: (&str, &str) = ("authorization", "Bearer key-0123456789abcdef");
const SECRETS: [[u8; 24]; 2] = [[7; 24], [9; 24]];

/// Time to wait before a test fails. A hub whose receiver was away tries again after up to 72
/// seconds (a minute and 20 % jitter), and a slow test keeps it away until pauses are that long.
const PATIENCE: Duration = Duration::from_secs(120);

fn texts(secrets: &[[u8; 24]]) -> Vec<String> {
    secrets.iter().map(|secret| format!("whsec_{}", STANDARD.encode(secret))).collect()
}

fn told_by(receiver: NotifyReceiver) -> Builder {
    TestServer::builder().config(|config: &mut Config| {
        config.http.notify = vec![receiver];
        config.http.api_keys =
            vec![ApiKey::new("door", "key-0123456789abcdef", &["**"], &["**"]).unwrap()];
    })
}

fn receiver(backend: &Backend) -> NotifyReceiver {
    let secrets = NotifySecrets::new(&texts(&SECRETS)).unwrap();
    NotifyReceiver::new(&backend.url("/hub/connections?of=1"), secrets).unwrap()
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

/// Waits until the messages of a receiver say what is wanted.
fn wait(backend: &Backend, what: &str, is_there: impl Fn(&[Asked]) -> bool) -> Vec<Asked> {
    let begun = Instant::now();
    loop {
        let asked = backend.asked();
        if is_there(&asked) {
            return asked;
        }
        assert!(begun.elapsed() < PATIENCE, "no {what} in {asked:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All messages by the order of their numbers; retries count once.
fn messages(asked: &[Asked]) -> Vec<Value> {
    let mut messages: Vec<_> = asked.iter().map(body).collect();
    messages.dedup_by_key(|message| message["data"]["seq"].clone());
    messages
}

/// Everything in one list of all messages.
fn facts(asked: &[Asked], list: &str) -> Vec<Value> {
    let messages = messages(asked);
    let lists = messages.iter().flat_map(|message| message["data"][list].as_array().unwrap());
    lists.cloned().collect()
}

/// The value of a metric.
fn metric(server: &TestServer, name: &str) -> u64 {
    let answer = server.request("GET", "/metrics", &[KEY], "");
    let page = answer.text();
    let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "there is never {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_comes_and_who_goes_is_told_signed_and_in_order_however_streams_leave_the_hub() {
    for portable in [false, true] {
        let backend = Backend::start(|_| Reply::status(204));
        let server = told_by(receiver(&backend)).engine(|c| c.portable = portable).start();
        wait(&backend, "beginning", |asked| !asked.is_empty());
        let stream = server.subscribe("/events/a?topic=b/*", &[KEY]);
        let connected = wait(&backend, "arrival", |asked| !facts(asked, "connected").is_empty());
        drop(stream);
        let mut gone = wait(&backend, "leaving", |asked| !facts(asked, "gone").is_empty());
        let (arrival, leaving) = (&facts(&connected, "connected")[0], &facts(&gone, "gone")[0]);
        assert_eq!(arrival["topics"], serde_json::json!(["a", "b/*"]));
        assert_eq!((&arrival["id"], &arrival["key"]), (&leaving["id"], &"door".into()));
        assert_eq!(arrival.get("address"), None, "addresses are not told unasked");
        assert!(["peer_closed", "peer_reset"].contains(&leaving["reason"].as_str().unwrap()));
        assert!(arrival["since"].as_str().unwrap() <= leaving["at"].as_str().unwrap());
        // The shutdown closes streams, and that is news, too.
        let _stream = server.subscribe("/events/c", &[KEY]);
        drop(server);
        gone = wait(&backend, "shutdown", |asked| facts(asked, "gone").len() == 2);
        assert_eq!(facts(&gone, "gone")[1]["reason"], "draining");
        for (place, asked) in gone.iter().enumerate() {
            let message = body(asked);
            assert_eq!(message["type"], "tidings.connections");
            let data = &message["data"];
            assert_eq!((&data["seq"], &data["lost"]), (&(place + 1).into(), &0.into()));
            assert_eq!(data["began"] == true, place == 0);
            let id = format!("msg_{}_{}", data["run"].as_str().unwrap(), data["seq"]);
            assert_eq!(asked.header("webhook-id"), Some(&*id));
            assert_eq!(asked.header("content-type"), Some("application/json"));
            assert_eq!(asked.target, "/hub/connections?of=1");
            assert!(SECRETS.iter().all(|secret| asked.is_signed_with(secret)), "{asked:?}");
            assert!(!asked.is_signed_with(&[8; 24]));
        }
    }
}

#[test]
fn a_receiver_that_was_away_gets_everything_once_and_in_order() {
    let failures = AtomicUsize::new(0);
    let backend = Backend::start(move |_| match failures.fetch_add(1, Ordering::AcqRel) {
        1 => Reply::status(500),
        2 => Reply::status(302).with_header("location: /elsewhere"),
        3 => Reply::status(401),
        _ => Reply::ok("{}"),
    });
    let server = told_by(receiver(&backend)).start();
    wait(&backend, "beginning", |asked| !asked.is_empty());
    let streams: Vec<_> =
        (0..20).map(|n| server.subscribe(&format!("/events/t/{n}"), &[KEY])).collect();
    let asked = wait(&backend, "arrivals", |asked| {
        asked.len() >= 5 && facts(asked, "connected").len() == 20
    });
    let topics: Vec<_> =
        facts(&asked, "connected").iter().map(|fact| fact["topics"][0].to_string()).collect();
    assert_eq!(topics, (0..20).map(|n| format!("\"t/{n}\"")).collect::<Vec<_>>());
    // Retries are the same message, signed at another time.
    for retry in &asked[2..5] {
        assert_eq!(retry.header("webhook-id"), asked[1].header("webhook-id"));
        assert_eq!(retry.body, asked[1].body);
        assert!(retry.is_signed_with(&SECRETS[0]));
    }
    assert!(asked.iter().all(|one| one.target == "/hub/connections?of=1"), "no redirect");
    let failed =
        || metric(&server, "tidings_notify_messages_total{receiver=\"1\",outcome=\"failed\"}");
    let before = failed();
    backend.set_down(true);
    drop(streams);
    eventually("a failure", || failed() > before);
    let _stream = server.subscribe("/events/u", &[KEY]);
    backend.set_down(false);
    let asked = wait(&backend, "leaving", |asked| {
        facts(asked, "gone").len() == 20 && facts(asked, "connected").len() == 21
    });
    assert!(asked.iter().all(|one| body(one)["data"]["lost"] == 0));
}

#[test]
fn a_receiver_that_is_gone_is_told_no_more_and_metrics_say_so() {
    let backend = Backend::start(|_| Reply::status(410));
    let server = told_by(receiver(&backend)).start();
    eventually("an end", || metric(&server, "tidings_notify_off{receiver=\"1\"}") == 1);
    drop(server.subscribe("/events/a", &[KEY]));
    drop(server.subscribe("/events/b", &[KEY]));
    assert_eq!(metric(&server, "tidings_notify_waiting{receiver=\"1\"}"), 0);
    assert_eq!(backend.asked().len(), 1);
}

#[test]
fn new_secrets_count_from_the_next_message_and_addresses_are_told_if_asked_for() {
    let backend = Backend::start(|_| Reply::status(200));
    let mut receiver = receiver(&backend);
    receiver.addresses = true;
    let secrets = receiver.secrets().clone();
    let server = told_by(receiver).start();
    wait(&backend, "beginning", |asked| !asked.is_empty());
    secrets.replace(&texts(&[[8; 24]])).unwrap();
    let _stream = server.subscribe("/events/a", &[KEY]);
    let asked = wait(&backend, "arrival", |asked| !facts(asked, "connected").is_empty());
    let last = asked.last().unwrap();
    assert!(last.is_signed_with(&[8; 24]) && !last.is_signed_with(&SECRETS[0]));
    assert_eq!(facts(&asked, "connected")[0]["address"], "127.0.0.1");
}

#[test]
fn what_is_too_much_for_a_receiver_that_is_away_is_lost_from_its_beginning_and_counted() {
    let backend = Backend::start(|_| Reply::status(204));
    let server = told_by(receiver(&backend)).start();
    wait(&backend, "beginning", |asked| !asked.is_empty());
    backend.set_down(true);
    let lost = || metric(&server, "tidings_notify_lost_total{receiver=\"1\"}");
    // Each says what it reads: about six thousand bytes.
    let rest: Vec<_> = (0..2).map(|place| format!("{place}/{}", "x".repeat(3000))).collect();
    let rest = rest.join("&topic=");
    let mut opened = 0;
    while lost() == 0 {
        assert!(opened < 2000, "nothing is ever lost");
        for _ in 0..100 {
            drop(server.subscribe(&format!("/events/first/{opened}?topic={rest}"), &[KEY]));
            opened += 1;
        }
    }
    // Then no more is lost.
    let subscribers = || {
        let page = server.request("GET", "/metrics", &[KEY], "").text().to_owned();
        let lines = page.lines().filter(|line| line.starts_with("tidings_subscribers{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    eventually("an end of all streams", || subscribers() == 0);
    let before = backend.asked().len();
    backend.set_down(false);
    let is_told = |asked: &[Asked]| {
        let mut said = asked[before..].iter().map(|one| body(one)["data"]["lost"].clone());
        said.any(|lost| lost != 0)
    };
    let asked = wait(&backend, "word of what is lost", is_told);
    let (mut kept, mut told) = (None, 0);
    for message in messages(&asked[before..]) {
        let data = &message["data"];
        told += data["lost"].as_u64().unwrap();
        if told > 0 && kept.is_none() {
            let topics = data["connected"][0]["topics"].as_array();
            let mut topics = topics.into_iter().flatten().filter_map(Value::as_str);
            kept = topics.find_map(|topic| topic.strip_prefix("first/")?.parse::<u64>().ok());
        }
    }
    assert_eq!(told, lost(), "each fact once");
    // The first arrival after the gap is not the first of all.
    let number = kept.expect("an arrival after the gap");
    assert!(number > 0 && number < opened, "{number} of {opened}");
}
