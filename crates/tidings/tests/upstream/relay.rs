//! `tidings relay`.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::origin::{Origin, STREAM, hold};
use crate::world::{Folder, Hub, Process, eventually, said};

#[test]
fn a_relay_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    const COUNT: u64 = 6000;
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &[]);
    let origin = Origin::counting(COUNT);
    let expected = Origin::counted(COUNT);
    for killed_at in [300, 1100, 2200, 2300, 3900, 5000] {
        let mut relay = start(&hub, &origin, "numbers", &[]);
        eventually(|| history(&hub, "numbers", killed_at).len() == killed_at);
        relay.kill();
        if killed_at == 2200 {
            // The hub too, while the next relay is there already: it waits for it.
            let address = hub.address.clone();
            let mut next = start(&hub, &origin, "numbers", &[]);
            hub.process.kill();
            hub = serve_at(&folder, &address);
            eventually(|| history(&hub, "numbers", 2250).len() == 2250);
            next.kill();
        }
    }
    let mut relay = start(&hub, &origin, "numbers", &[]);
    eventually(|| history(&hub, "numbers", usize::MAX).len() >= expected.len());
    relay.signal("TERM");
    assert!(relay.wait().success());
    let stored = history(&hub, "numbers", usize::MAX);
    let data: Vec<_> = stored.iter().map(|event| event["data"].as_str().unwrap()).collect();
    assert_eq!(data, expected);
    for event in &stored {
        let (id, data) = (event["id"].as_str().unwrap(), event["data"].as_str().unwrap());
        let number = data.split(' ').nth(1).unwrap();
        assert_eq!(id.split('~').next(), Some(number), "the upstream's ids are kept: {data}");
        assert_eq!(id == number, data.starts_with("event"), "{id}");
    }
    let said = relay.stderr();
    assert!(said.contains("from the last event of the topic"), "{said}");
    let last = said.lines().last().unwrap();
    // The one before may have come to the end before it was killed; then this one begins there.
    assert!(last.starts_with("relayed ") && said.contains("\"6000\""), "{said}");
}

#[test]
fn a_subscriber_who_moves_from_the_upstream_to_the_hub_goes_on_where_it_was() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let origin = Origin::counting(50);
    let _relay = start(&hub, &origin, "numbers", &[]);
    eventually(|| history(&hub, "numbers", usize::MAX).len() == 66);
    let mut moved = hub.listen(&["-H", "Last-Event-ID: 47"], "/events/numbers");
    let expected = ["event 48", "note 48", "event 49", "event 50"];
    assert_eq!(moved.values("data: ", 4), expected);
}

#[test]
fn two_relays_of_one_upstream_publish_each_event_once() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let origin = Origin::counting(1500);
    let expected = Origin::counted(1500);
    let mut one = start(&hub, &origin, "numbers", &[]);
    let mut other = start(&hub, &origin, "numbers", &[]);
    eventually(|| history(&hub, "numbers", usize::MAX).len() >= expected.len());
    for relay in [&mut one, &mut other] {
        relay.signal("TERM");
        assert!(relay.wait().success());
    }
    let stored = history(&hub, "numbers", usize::MAX);
    let data: Vec<_> = stored.iter().map(|event| event["data"].as_str().unwrap()).collect();
    assert_eq!(data, expected);
}

#[test]
fn two_upstreams_that_use_the_same_ids_lose_nothing_and_a_prefix_tells_them_apart() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (a, b) = (Origin::counting(90), Origin::counting(90));
    let _first = start(&hub, &a, "a", &[]);
    let _second = start(&hub, &b, "b", &[]);
    eventually(|| history(&hub, "a", usize::MAX).len() == 120);
    eventually(|| history(&hub, "b", usize::MAX).len() == 120);
    let prefixed = ["--id-prefix", "b/"];
    let mut third = start(&hub, &b, "c", &prefixed);
    eventually(|| history(&hub, "c", usize::MAX).len() == 120);
    third.kill();
    let mut third = start(&hub, &b, "c", &prefixed);
    eventually(|| b.requests().last().unwrap().header("last-event-id") == Some("90"));
    third.signal("TERM");
    assert!(third.wait().success());
    let stored = history(&hub, "c", usize::MAX);
    assert_eq!((stored.len(), stored[0]["id"].as_str()), (120, Some("b/1")));
}

#[test]
fn an_upstream_that_counts_from_one_again_loses_no_event() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let lives = Arc::new(AtomicU64::new(0));
    let origin = Origin::start(move |_, socket| {
        let life = lives.fetch_add(1, Ordering::Relaxed);
        let events: String = (1..=3).map(|n| format!("id: {n}\ndata: {life}/{n}\n\n")).collect();
        // An event without an id that says what the one before it says.
        let events = format!("{events}data: {life}/3\n\n");
        let _ = write!(socket, "{STREAM}{events}");
        if life >= 2 {
            hold(socket);
        }
    });
    let mut relay = start(&hub, &origin, "t", &[]);
    eventually(|| history(&hub, "t", usize::MAX).len() >= 12);
    relay.signal("TERM");
    assert!(relay.wait().success());
    let stored = history(&hub, "t", usize::MAX);
    let data: Vec<_> = stored.iter().map(|event| event["data"].as_str().unwrap()).collect();
    assert_eq!(
        data,
        ["0/1", "0/2", "0/3", "0/3", "1/1", "1/2", "1/3", "1/3", "2/1", "2/2", "2/3", "2/3"]
    );
    let said = relay.stderr();
    assert_eq!(said.matches("sends another event under the id").count(), 1, "{said}");
}

#[test]
fn an_event_whose_other_name_is_taken_gets_a_further_one_and_quiet_does_not_hide_it() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let mut taken = vec!["1".to_owned()];
    // Each round finds the names taken that the round before had given.
    for round in 0..3 {
        let topic = format!("t{round}");
        for id in &taken {
            hub.curl(&["--data", "other"], &format!("/events/{topic}?id={id}"));
        }
        let connections = AtomicU64::new(0);
        let origin = Origin::start(move |_, socket| {
            // All of it twice, and then an event that shows that all has been seen.
            let events = "retry: 100\nid: 1\ndata: b\n\ndata: ping\n\n";
            if connections.fetch_add(1, Ordering::Relaxed) == 0 {
                let _ = write!(socket, "{STREAM}{events}");
            } else {
                let _ = write!(socket, "{STREAM}{events}id: 2\ndata: end\n\n");
                hold(socket);
            }
        });
        let mut relay = start(&hub, &origin, &topic, &["--quiet"]);
        eventually(|| history(&hub, &topic, usize::MAX).iter().any(|e| e["data"] == "end"));
        relay.signal("TERM");
        assert!(relay.wait().success());
        let given = history(&hub, &topic, usize::MAX).split_off(taken.len());
        let data: Vec<_> = given.iter().map(|event| event["data"].as_str().unwrap()).collect();
        assert_eq!(data, ["b", "ping", "end"], "round {round}");
        let said = relay.stderr();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("sends another event under the id"), "{said}");
        taken.extend(given[..2].iter().map(|event| event["id"].as_str().unwrap().to_owned()));
    }
}

#[test]
fn a_relay_of_a_relay_goes_on_where_it_was_whatever_the_ids_look_like() {
    let folders = [Folder::new(), Folder::new()];
    let [first, second] = [0, 1].map(|n| Hub::serve(&folders[n], &[]));
    let more = Arc::new(AtomicU64::new(0));
    let wanted = Arc::clone(&more);
    let origin = Origin::start(move |_, socket| {
        let _ = write!(socket, "{STREAM}data: 0\n\ndata: 1\n\n");
        while wanted.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = write!(socket, "data: 2\n\nid: 17\ndata: 3\n\ndata: 4\n\n");
        while wanted.load(Ordering::Relaxed) == 1 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = write!(socket, "data: 5\n\nid: 18~\ndata: 6\n\n");
        hold(socket);
    });
    let _relay = start(&first, &origin, "t", &[]);
    let url = format!("http://{}/events/t?last=1000", first.address);
    for (round, count) in [2, 5, 7].into_iter().enumerate() {
        let mut relay = Process::spawn(second.command(&["relay", &url, "t"]).stdin(Stdio::null()));
        eventually(|| history(&second, "t", usize::MAX).len() >= count);
        relay.kill();
        more.store(round as u64 + 1, Ordering::Relaxed);
        // It comes while no second relay is there.
        let next = [5, 7, 7][round];
        eventually(|| history(&first, "t", usize::MAX).len() == next);
    }
    let stored = history(&second, "t", usize::MAX);
    let data: Vec<_> = stored.iter().map(|event| event["data"].as_str().unwrap()).collect();
    assert_eq!(data, ["0", "1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_relay_goes_on_from_its_file_or_behind_what_others_published() {
    let folder = Folder::new();
    let since = folder.path().join("since");
    let hub = Hub::serve(&folder, &[]);
    let origin = Origin::counting(30);
    let with_file = ["--since-file", since.to_str().unwrap()];
    let mut relay = start(&hub, &origin, "t", &with_file);
    eventually(|| fs::read_to_string(&since).is_ok_and(|id| id == "30\n"));
    relay.kill();
    for data in ["one", "two"] {
        hub.publish("t", data);
    }
    for (words, from) in [(&with_file[..], "the since-file"), (&[], "the last event of the topic")]
    {
        let asked = origin.requests().len();
        let mut relay = start(&hub, &origin, "t", words);
        eventually(|| origin.requests().len() > asked);
        assert_eq!(origin.requests()[asked].header("last-event-id"), Some("30"));
        relay.signal("TERM");
        assert!(relay.wait().success());
        let said = relay.stderr();
        assert!(said.contains(&format!("going on after \"30\", from {from}")), "{said}");
    }
    assert_eq!(history(&hub, "t", usize::MAX).len(), 42);
}

#[test]
fn types_are_kept_and_the_words_of_another_hub_are_told_as_the_upstreams() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &["--max-event-bytes", "64KiB"]);
    let origin = Origin::start(|_, socket| {
        let large = "x".repeat(100 << 10);
        let _ = write!(
            socket,
            "{STREAM}event: trade\ndata: 1\n\nid: 1\nretry: 5\ndata: a\ndata: b\n\nid: 2\n\
             data: {large}\n\nevent: tidings.reset\nid: 3\ndata: \
             {{\"reason\":\"expired\",\"requested\":\"0\"}}\n\n"
        );
        hold(socket);
    });
    let mut relay = start(&hub, &origin, "t", &["--report-every", "10ms"]);
    eventually(|| history(&hub, "t", usize::MAX).len() == 3);
    relay.signal("TERM");
    assert!(relay.wait().success());
    let stored = history(&hub, "t", usize::MAX);
    let field = |name: &str| -> Vec<_> {
        stored.iter().map(|event| event[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(field("event"), ["trade", "message", "upstream.reset"]);
    assert_eq!(field("data")[..2], ["1", "a\nb"]);
    assert!(stored.iter().all(|event| event.get("retry").is_none()));
    let said = relay.stderr();
    for part in ["the event \"2\" is left out", "events after \"0\" may be missing", "1 left out"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_relay_ends_in_good_order_when_its_upstream_does() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let origin = Origin::start(|request, socket| {
        let _ = match request.header("last-event-id") {
            None => write!(socket, "{STREAM}id: 1\ndata: last words\n\n"),
            Some(_) => write!(socket, "HTTP/1.1 204 No Content\r\n\r\n"),
        };
    });
    let (_, stderr, code) = said(&mut command(&hub, &origin, "t", &[]));
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("the upstream has ended the stream\nrelayed 1 events"), "{stderr}");
    assert_eq!(history(&hub, "t", usize::MAX)[0]["data"], "last words");
    let (_, stderr, code) = said(&mut hub.command(&["relay", "t", "http://127.0.0.1:1/"]));
    assert_eq!(code, 2, "{stderr}");
}

fn command(hub: &Hub, origin: &Origin, topic: &str, words: &[&str]) -> Command {
    let mut command = hub.command(&["relay", &origin.url(), topic]);
    command.args(words);
    command
}

fn start(hub: &Hub, origin: &Origin, topic: &str, words: &[&str]) -> Process {
    Process::spawn(command(hub, origin, topic, words).stdin(Stdio::null()))
}

/// A hub on an address that another one had.
fn serve_at(folder: &Folder, address: &str) -> Hub {
    let mut serve = crate::world::tidings();
    serve.args(["serve", "--log", "warn", "--listen", address, "--data"]);
    serve.arg(folder.path().join("data"));
    let mut process = Process::spawn(serve.stdin(Stdio::null()));
    process.line_with("listening on ");
    let history = process.line();
    Hub { process, scheme: "http".to_owned(), address: address.to_owned(), history }
}

/// The first events of a topic, as the hub has them.
fn history(hub: &Hub, topic: &str, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = String::new();
    while events.len() < count {
        let path = format!("/events/{topic}?limit={}{after}", (count - events.len()).min(1000));
        let page = hub.curl(&["-H", "Accept: application/json"], &path);
        let page: Value = serde_json::from_str(&page).unwrap();
        let found = page["events"].as_array().unwrap();
        if found.is_empty() {
            break;
        }
        events.extend(found.iter().cloned());
        after = format!("&after={}", page["next"].as_str().unwrap());
    }
    events
}
