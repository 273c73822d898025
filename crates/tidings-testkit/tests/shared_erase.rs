//! Erasing at one of several hubs that share a log: what the readers of the others get, and what
//! none of them gets any more.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_hub::Epoch;
use tidings_testkit::http::request;
use tidings_testkit::remote_log::{Journal, Link, RemoteLog};
use tidings_testkit::server::TestServer;
use tidings_testkit::shared_log::OneLog;
use tidings_testkit::store_suite::Retention;

/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(30);

const SSE: (&str, &str) = ("accept", "text/event-stream");

fn eventually(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "the condition never holds");
        thread::sleep(Duration::from_millis(20));
    }
}

fn erase(hub: &TestServer, target: &str) -> Value {
    let answer = hub.request("DELETE", target, &[], "");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

/// Publishes; the event's id.
fn publish(hub: &TestServer, target: &str, data: &str) -> String {
    let answer = hub.post(target, data);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn data(hub: &TestServer, target: &str) -> Vec<String> {
    let page = hub.get_json(target).json();
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["data"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_topic_that_is_erased_at_one_hub_is_erased_at_all_and_their_readers_get_a_reset() {
    let log = OneLog::new("shared-erase");
    let [a, b] = ["a", "b"].map(|name| log.hub(name).start());
    publish(&a, "/events/users%2F7?id=one", "secret 1");
    publish(&b, "/events/users%2F7", "secret 2");
    eventually(|| b.engine().head() == a.engine().head());
    let mut live = b.subscribe("/events/users%2F7", &[]);
    let answer = erase(&a, "/events/users%2F7?erase");
    assert_eq!(answer["erased"], 2);
    assert!(answer["note"].as_str().unwrap().contains("servers of the log keep"), "{answer}");
    let reset = live.event().unwrap();
    assert!(reset.starts_with("event: tidings.reset\n"), "{reset}");
    assert!(reset.contains("\"reason\":\"erased\"") && reset.contains("users/7"), "{reset}");
    let is_gone = |text: &str| !text.contains("secret");
    eventually(|| is_gone(b.get_json("/events/users%2F7?last=10").text()));
    assert!(is_gone(b.get_json("/events/users%2F7?from=state").text()));
    assert!(is_gone(b.get_json("/events?since=24h").text()));
    // Its id stays used, at every hub.
    for hub in [&a, &b] {
        let again = hub.post("/events/users%2F7?id=one", "secret 1");
        assert_eq!((again.status(), again.code()), (409, "event_erased".to_owned()));
    }
    // A hub that is new, and one that is started again, too.
    let c = log.hub("c").start();
    assert!(is_gone(c.get_json("/events/users%2F7?last=10").text()));
    b.stop();
    let b = log.hub("b").start();
    assert!(is_gone(b.get_json("/events/users%2F7?last=10").text()));
    publish(&b, "/events/users%2F7", "after");
    eventually(|| data(&c, "/events/users%2F7").contains(&"after".to_owned()));
}

#[test]
fn readers_of_every_hub_get_the_removal_of_a_key_before_it_is_erased_with_the_rest() {
    let log = OneLog::new("shared-erase");
    let [a, b] = ["a", "b"].map(|name| log.hub(name).start());
    let mut live = b.subscribe("/events/t", &[]);
    // Again and again, because one hub may read the log while another thread of it erases.
    for n in 0..30 {
        publish(&a, &format!("/events/t?key=K{n}"), "secret");
        assert!(live.event().unwrap().contains("secret"));
        assert_eq!(erase(&a, &format!("/events/t?key=K{n}&erase"))["erased"], 1);
        let removed = live.event().unwrap();
        assert!(removed.starts_with("event: tidings.removed\n"), "{n}: {removed}");
        assert!(removed.contains(&format!("\"K{n}\"")), "{removed}");
    }
    eventually(|| data(&b, "/events/t?last=100").is_empty());
    assert_eq!(data(&b, "/events/t?from=state"), Vec::<String>::new());
}

#[test]
fn one_event_goes_without_a_word_and_its_id_is_a_place_to_resume_at_every_hub() {
    let log = OneLog::new("shared-erase");
    let [a, b] = ["a", "b"].map(|name| log.hub(name).start());
    let ids = ["one", "two", "three"].map(|data| publish(&a, "/events/t", data));
    assert_eq!(erase(&a, &format!("/events/t?erase={}", ids[1]))["erased"], 1);
    // Asked for again: it is in the log once more, and no hub has anything left.
    assert_eq!(erase(&b, &format!("/events/t?erase={}", ids[1]))["erased"], 0);
    for hub in [&a, &b] {
        eventually(|| data(hub, "/events/t?last=10") == ["one", "three"]);
        let mut resumed = hub.connect();
        resumed.send(request("GET", "/events/t", &[SSE, ("last-event-id", &ids[1])], b""));
        assert_eq!(resumed.head().header("tidings-resume"), Some("resumed"));
        assert_eq!(resumed.event(), Some(format!("id: {}\ndata: three\n\n", ids[2])));
    }
}

/// Data of an event of which some are more than sockets hold.
const LARGE_BYTES: usize = 1_000_000;

#[test]
fn a_slow_reader_of_another_hub_gets_nothing_of_an_erased_event_from_its_memory() {
    let log = OneLog::new("shared-erase");
    let [a, b] = ["a", "b"].map(|name| log.hub(name).start());
    let first = publish(&a, "/events/t", "small");
    eventually(|| b.engine().head() == a.engine().head());
    let mut slow = TcpStream::connect(b.address()).unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = request("GET", "/events/t", &[SSE, ("last-event-id", &first)], b"");
    slow.write_all(&ask).unwrap();
    eventually(|| b.engine().status().subscribers == 1);
    for letter in 'a'..='p' {
        publish(&a, "/events/t", &letter.to_string().repeat(LARGE_BYTES));
    }
    eventually(|| b.engine().head() == a.engine().head());
    assert_eq!(erase(&a, "/events/t?erase")["erased"], 17);
    eventually(|| data(&b, "/events/t").iter().all(|data| data.len() < LARGE_BYTES));
    // It is cut, so that it comes back: what the kernel had was on its way.
    let mut bytes = Vec::new();
    match slow.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection is not closed: {error}"),
    }
    assert!(!bytes.contains(&b'p') || !String::from_utf8_lossy(&bytes).contains("pppp"));
    let mut back = b.subscribe("/events/t", &[("last-event-id", &first)]);
    assert!(back.event().unwrap().starts_with("event: tidings.reset\n"));
}

#[test]
fn an_erasure_that_waits_for_a_backup_of_a_copy_is_counted_at_that_hub() {
    let log = OneLog::new("shared-erase");
    let [a, b] = ["a", "b"].map(|name| log.hub(name).start());
    publish(&a, "/events/t", "secret");
    eventually(|| data(&b, "/events/t") == ["secret"]);
    // As a backup of the copy does.
    let path = log.folder_of("b").join("log/copying");
    let copying = File::options().write(true).create(true).truncate(false).open(path).unwrap();
    copying.lock_shared().unwrap();
    assert_eq!(erase(&a, "/events/t?erase")["erased"], 1);
    let pending = |hub: &TestServer, count: u64| {
        let line = format!("\ntidings_store_erasures_pending {count}\n");
        let metrics = hub.request("GET", "/metrics", &[], "");
        let stats = hub.get_json("/stats").json();
        metrics.text().contains(&line) && stats["shared_log"]["erasures_pending"] == count
    };
    eventually(|| pending(&b, 1));
    assert!(pending(&a, 0));
    drop(copying);
    eventually(|| pending(&b, 0));
    assert!(!data(&b, "/events/t").contains(&"secret".to_owned()));
}

#[test]
fn a_hub_that_was_away_erases_before_it_serves_anybody() {
    let log = OneLog::new("shared-erase");
    let [a, b] = ["a", "b"].map(|name| log.hub(name).start());
    publish(&a, "/events/t?id=one", "secret");
    eventually(|| data(&b, "/events/t") == ["secret"]);
    b.stop();
    assert_eq!(erase(&a, "/events/t?erase=one")["erased"], 1);
    let b = log.hub("b").start();
    assert_eq!(b.get_json("/events/t?last=10").json()["events"], json!([]));
}

#[test]
fn a_hub_that_is_behind_erases_what_it_has_not_followed_and_404_is_about_the_whole_log() {
    let log = OneLog::new("shared-erase");
    let (a, deaf) = (log.hub("a").start(), log.deaf_hub("deaf").start());
    publish(&a, "/events/t?id=one", "secret");
    assert_eq!(erase(&deaf, "/events/t?erase=one")["erased"], 1);
    publish(&a, "/events/u", "secret");
    assert_eq!(erase(&deaf, "/events/u?erase")["erased"], 1);
    for target in ["/events/v?erase", "/events/t?erase=two", "/events/t?key=K&erase"] {
        let answer = deaf.request("DELETE", target, &[], "");
        assert_eq!((answer.status(), answer.code()), (404, "event_unknown".to_owned()), "{target}");
    }
}

#[test]
fn a_store_that_cannot_erase_says_so_before_anybody_hears_of_it() {
    let journal = Arc::new(Journal::new(Epoch::from_random(7)));
    let link = Link::new(&journal, Duration::from_micros(100));
    let log = Arc::new(RemoteLog::open(&journal, &link, Retention::ALL));
    let hub = TestServer::builder().store(log).start();
    hub.put("t?key=K&id=one", "1");
    hub.put("t", "2");
    let before = hub.engine().head();
    for query in ["erase", "erase=one", "key=K&erase"] {
        let answer = hub.request("DELETE", &format!("/events/t?{query}"), &[], "");
        assert_eq!((answer.status(), answer.code()), (501, "erase_unsupported".to_owned()));
    }
    assert_eq!(hub.engine().head(), before, "no reset, and no removal of a key");
    assert_eq!(data(&hub, "/events/t?last=10"), ["1", "2"]);
}
