//! `tidings relay`.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::origin::{Origin, STREAM, hold};
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
    assert!(last.starts_with("relayed ") && last.ends_with("last \"6000\""), "{said}");
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
fn ids_that_two_upstreams_both_use_end_the_second_relay_unless_they_have_a_prefix() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (a, b) = (Origin::counting(90), Origin::counting(90));
    let _first = start(&hub, &a, "a", &[]);
    eventually(|| history(&hub, "a", usize::MAX).len() == 120);
    let (_, stderr, code) = said(&mut command(&hub, &b, "b", &[]));
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("hint: give the ids of this upstream a prefix"), "{stderr}");
    let prefixed = ["--id-prefix", "b/"];
    let mut second = start(&hub, &b, "b", &prefixed);
    eventually(|| history(&hub, "b", usize::MAX).len() == 120);
    second.kill();
    let mut second = start(&hub, &b, "b", &prefixed);
    eventually(|| b.requests().last().unwrap().header("last-event-id") == Some("90"));
    second.signal("TERM");
    assert!(second.wait().success());
    let stored = history(&hub, "b", usize::MAX);
    assert_eq!((stored.len(), stored[0]["id"].as_str()), (120, Some("b/1")));
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
