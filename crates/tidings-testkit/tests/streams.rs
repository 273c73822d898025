//! What a native event stream says of itself, and how it ends: clean if every topic of it has
//! ended, cut if its client should come back.
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::http2::{INTERNAL_ERROR, Peer, kind};
use tidings_testkit::server::TestServer;

const SSE: (&str, &str) = ("accept", "text/event-stream");

fn id(position: u64) -> String {
    format!("k7q2ma:{position}")
}

fn event(position: u64, data: &str) -> String {
    format!("id: {}\ndata: {data}\n\n", id(position))
}

/// The stream, whose head must be a 200. Nothing of its body has been read.
fn open(server: &TestServer, target: &str, headers: &[(&str, &str)]) -> Connection {
    let mut stream = server.connect();
    let headers: Vec<_> = [SSE].iter().chain(headers).copied().collect();
    stream.send(request("GET", target, &headers, b""));
    assert_eq!(stream.head().status, 200, "{target}");
    stream
}

fn get(server: &TestServer, target: &str, headers: &[(&str, &str)]) -> Response {
    let headers: Vec<_> = [SSE].iter().chain(headers).copied().collect();
    server.request("GET", target, &headers, "")
}

/// Everything that comes until the stream ends, and whether it was cut.
fn rest(mut stream: Connection) -> (String, bool) {
    let mut text = String::new();
    while let Some(block) = stream.block_or_rest() {
        text.push_str(&block);
    }
    let was_cut = stream.is_cut();
    (text, was_cut)
}

fn is_retry_line(line: &str) -> bool {
    line.strip_prefix("retry: ").is_some_and(|ms| ms.parse::<u64>().is_ok())
}

/// Safari says that a stream is open only once it has a byte of it.
#[test]
fn a_stream_begins_with_bytes_of_its_own_before_any_event() {
    for portable in [false, true] {
        let server = TestServer::builder()
            .engine(|engine| {
                engine.portable = portable;
                engine.heartbeat = Duration::from_secs(3600);
            })
            .start();
        for (target, begin) in
            [("/events/a", "event: tidings.open\nid: "), ("/events/a?plain", "retry: ")]
        {
            let mut stream = open(&server, target, &[]);
            assert!(stream.reads(begin.as_bytes()), "HTTP/1.1, {target}");

            let mut stream = server.connect();
            stream.send(format!("GET {target} HTTP/1.0\r\nhost: localhost\r\n\r\n"));
            assert_eq!(stream.head().status, 200);
            assert!(stream.reads(begin.as_bytes()), "HTTP/1.0, {target}");

            let mut peer = Peer::connect(server.address(), &[]);
            peer.ask(1, target);
            peer.until(|frame| frame.kind == kind::HEADERS && frame.stream == 1);
            let next = peer.until(|frame| frame.stream == 1);
            assert!(next.payload.starts_with(begin.as_bytes()), "HTTP/2, {target}: {next:?}");
        }
    }
}

#[test]
fn the_head_of_a_stream_asks_not_to_be_held_back_and_says_how_it_resumes() {
    for server in TestServer::both_engines() {
        for _ in 0..3 {
            server.post("/events/a", "x");
        }
        let lost = ("last-event-id", "another:1");
        for (target, headers, kind) in [
            ("/events/a", &[][..], "live"),
            ("/events/a?last=2", &[], "resumed"),
            ("/events/a", &[lost], "reset"),
        ] {
            let mut stream = server.connect();
            let headers: Vec<_> = [SSE].iter().chain(headers).copied().collect();
            stream.send(request("GET", target, &headers, b""));
            let head = stream.head();
            assert_eq!(head.header("incremental"), Some("?1"), "{target}");
            let timing = head.header("server-timing").unwrap();
            let ms = timing.strip_prefix(&format!("resume;desc=\"{kind}\";dur="));
            let ms: f64 = ms.unwrap_or_else(|| panic!("{timing}")).parse().unwrap();
            assert!(ms >= 0.0, "{timing}");
        }
        // What no stream is of, says nothing of one.
        let page = server.get_json("/events/a?last=2");
        assert_eq!(page.header("incremental"), None);
        let mut asked = server.connect();
        asked.send(request("HEAD", "/events/a", &[SSE], b""));
        let head = asked.head();
        assert_eq!(head.header("incremental"), Some("?1"));
        assert_eq!(head.header("server-timing"), None);
    }
}

#[test]
fn a_stream_ends_clean_if_all_its_topics_have_ended_and_only_then() {
    for server in TestServer::both_engines() {
        for topic in ["a", "b"] {
            server.post(&format!("/events/{topic}"), "x");
        }
        let one = open(&server, "/events/a", &[]);
        let two = open(&server, "/events?topic=a&topic=b", &[]);
        server.request("DELETE", "/events/a", &[], "");
        let (text, was_cut) = rest(one);
        assert!(text.contains("event: end\n") && !was_cut, "{text}");
        server.request("DELETE", "/events/b", &[], "");
        let (text, was_cut) = rest(two);
        assert!(!was_cut, "{text}");
        let ends: Vec<_> = text.split("\n\n").filter(|b| b.contains("event: end")).collect();
        assert_eq!(ends.len(), 2, "{text}");
        assert!(!ends[0].contains("retry") && ends[1].contains("\nretry: 86400000\n"), "{text}");
        assert!(ends.iter().all(|end| end.contains("\ndata: {\"topic\":")), "{text}");
    }
}

#[test]
fn a_drain_cuts_and_says_when_to_come_back() {
    for server in TestServer::both_engines() {
        let default = open(&server, "/events/a", &[]);
        let plain = open(&server, "/events/a?plain", &[]);
        let mercure = open(&server, "/.well-known/mercure?topic=a", &[]);
        server.stop();
        let (text, was_cut) = rest(default);
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        assert!(was_cut && last.starts_with("event: tidings.open\nretry: "), "{text}");
        let (text, was_cut) = rest(plain);
        assert!(was_cut && text.lines().all(is_retry_line), "{text}");
        assert_eq!(text.lines().count(), 2, "one at the beginning, one at the end: {text}");
        assert!(rest(mercure).1);
    }
}

#[test]
fn where_there_is_no_room_the_answer_is_a_cut_in_every_form() {
    let server = TestServer::builder().engine(|engine| engine.subscribers_max = 1).start();
    let _first = server.subscribe("/events/a", &[]);
    let (text, was_cut) = rest(open(&server, "/events/a?plain", &[]));
    assert!(was_cut && is_retry_line(text.trim_end()), "{text}");
    let (text, was_cut) = rest(open(&server, "/.well-known/mercure?topic=a", &[]));
    assert!(was_cut && text.starts_with(":\nretry: "), "{text}");

    let mut peer = Peer::connect(server.address(), &[]);
    peer.ask(1, "/events/a");
    let data = peer.until(|frame| frame.kind == kind::DATA);
    assert!(!data.ends_stream() && data.payload.starts_with(b"event: tidings.open\n"));
    let reset = peer.until(|frame| frame.kind == kind::RST_STREAM);
    assert_eq!(reset.error(), Some(INTERNAL_ERROR));
}

#[test]
fn over_http_2_an_end_is_an_end_and_a_cut_is_a_reset() {
    let server = TestServer::start();
    server.post("/events/a", "x");
    let mut peer = Peer::connect(server.address(), &[]);
    peer.ask(1, "/events/a");
    peer.until(|frame| frame.kind == kind::DATA);
    server.request("DELETE", "/events/a", &[], "");
    let end = peer.until(|frame| frame.ends_stream() || frame.kind == kind::RST_STREAM);
    assert_ne!(end.kind, kind::RST_STREAM);
}

#[test]
fn a_plain_stream_holds_nothing_but_the_publishers_blocks() {
    for portable in [false, true] {
        let server = TestServer::builder()
            .engine(|c| (c.portable, c.heartbeat) = (portable, Duration::from_millis(200)))
            .start();
        server.post("/events/a", "one");
        let mut stream = open(&server, "/events/a?plain&from=start", &[]);
        assert!(stream.reads(b"data: one\n\n"));
        thread::sleep(Duration::from_millis(900)); // some heartbeats
        server.post("/events/a?event=t", "two");
        server.request("DELETE", "/events/a", &[], "");
        let (text, was_cut) = rest(stream);
        assert!(!was_cut, "a clean end, without an `end`: {text}");
        let (retry, text) = text.split_once('\n').unwrap();
        assert!(is_retry_line(retry));
        assert!(text.contains(":\n"), "heartbeats: {text}");
        let without_comments: String =
            text.lines().filter(|line| *line != ":").map(|line| format!("{line}\n")).collect();
        let expected = format!("{}event: t\n{}", event(1, "one"), event(2, "two"));
        assert_eq!(without_comments, expected);
        assert!(!text.contains(":\n\n"), "a comment is no block: {text}");
        assert_eq!(get(&server, "/events/a?plain", &[]).status(), 204);
    }
}

#[test]
fn a_plain_reader_whose_cursor_is_lost_is_answered_410() {
    let server = TestServer::start();
    server.post("/events/a", "x");
    let answer = get(&server, "/events/a?plain", &[("last-event-id", "k7q2ma:99")]);
    assert_eq!((answer.status(), answer.code().as_str()), (410, "cursor_lost"));
    assert_eq!(answer.json()["reason"], "unknown");
    assert_eq!(answer.json()["first"], id(1));
    // Without `plain` the stream itself says so.
    let mut stream = open(&server, "/events/a", &[("last-event-id", "k7q2ma:99")]);
    assert!(stream.block().unwrap().starts_with("event: tidings.open\nretry: "), "and no id");
    assert!(stream.reads(b"event: tidings.reset\n"));
}

#[test]
fn a_client_that_always_asks_for_json_gets_the_stream_that_its_url_is_of() {
    let server = TestServer::start();
    server.post("/events/a", "one");
    let mut stream = server.connect();
    let accept = [("accept", "application/json")];
    stream.send(request("GET", "/events/a?plain&from=start", &accept, b""));
    assert_eq!(stream.head().header("content-type"), Some("text/event-stream"));
    assert!(stream.reads(b"data: one\n\n"));
}

#[test]
fn a_reader_that_comes_with_the_end_gets_every_event_before_the_clean_end() {
    let server = TestServer::start();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Others publish, so that deliveries are behind what is stored.
        for writer in 0..2 {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    server.post(&format!("/events/busy/{writer}"), "x");
                }
            });
        }
        for round in 0..200 {
            let topic = format!("/events/run/{round}");
            server.post(&topic, "half");
            server.request("DELETE", &topic, &[], "the rest");
            let (text, was_cut) = rest(open(&server, &format!("{topic}?from=start"), &[]));
            assert!(text.contains("data: half\n") && !was_cut, "{round}: {text}");
            assert!(text.contains("data: the rest\n"), "{round}: {text}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_envelope_says_which_event_it_is_of_which_topic() {
    for server in TestServer::both_engines() {
        server.post("/events/rooms/1?event=chat", "history");
        let mut stream = server.subscribe("/events/rooms/*?envelope=json&from=start", &[]);
        server.post("/events/rooms/2?id=own", "{\"a\":1}\nb");
        let mut next = || {
            let block = stream.event().unwrap();
            assert!(!block.contains("event:"), "every event is a message: {block}");
            let data = block.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let mut envelope: Value = serde_json::from_str(data).unwrap();
            let time = envelope.as_object_mut().unwrap().remove("time").unwrap();
            assert!(time.as_str().unwrap().ends_with('Z'));
            (envelope, block)
        };
        let (first, block) = next();
        let expected =
            json!({ "id": id(1), "topic": "rooms/1", "event": "chat", "data": "history" });
        assert_eq!(first, expected);
        assert!(block.starts_with(&format!("id: {}\n", id(1))), "{block}");
        // With an id of the publisher's own the place in the log stands beside it.
        let expected = json!({
            "id": "own", "position": id(2), "topic": "rooms/2", "event": "message",
            "data": "{\"a\":1}\nb"
        });
        assert_eq!(next().0, expected);
        let accept = [("accept", "application/json")];
        let page = server.request("GET", "/events/rooms/2", &accept, "");
        assert_eq!(page.json()["events"][0]["position"], id(2));
        // The hub's own words are not wrapped, so that no publisher can forge them.
        let mut ended = server.subscribe("/events/rooms/1?envelope=json", &[]);
        server.request("DELETE", "/events/rooms/1", &[], "");
        assert!(ended.event().unwrap().starts_with("event: end\n"));
    }
}

#[test]
fn a_reader_may_begin_with_all_that_is_kept_with_what_comes_or_after_an_event() {
    for server in TestServer::both_engines() {
        for data in ["one", "two"] {
            server.post("/events/a", data);
        }
        let first = |target: &str, headers: &[(&str, &str)]| {
            let mut stream = server.subscribe(target, headers);
            server.post("/events/a", "next");
            stream.event().unwrap().trim_end().lines().last().map(str::to_owned)
        };
        let data = |text: &str| Some(format!("data: {text}"));
        assert_eq!(first("/events/a?from=start", &[]), data("one"));
        assert_eq!(first(&format!("/events/a?from={}", id(1)), &[]), data("two"));
        assert_eq!(first("/events/a?from=now", &[]), data("next"));
        // Clients repeat their URL when they come back.
        let header = [("last-event-id", &*id(1))];
        for began in ["from=start", "last=5", "since=1h"] {
            assert_eq!(first(&format!("/events/a?{began}"), &header), data("two"), "{began}");
            for name in ["lastEventId", "last_event_id", "lastEventID"] {
                let target = format!("/events/a?{began}&{name}={}", id(1));
                assert_eq!(first(&target, &[]), data("two"), "{target}");
            }
        }
    }
}

#[test]
fn a_reader_may_ask_only_for_a_run_that_is_open() {
    for server in TestServer::both_engines() {
        assert_eq!(get(&server, "/events/a?if=open", &[]).status(), 204, "not begun");
        server.post("/events/a", "one");
        let mut stream = server.subscribe("/events/a?if=open&from=start", &[]);
        assert_eq!(stream.event(), Some(event(1, "one")));
        server.request("DELETE", "/events/a", &[], "");
        assert_eq!(get(&server, "/events/a?if=open&from=start", &[]).status(), 204, "ended");
        // A reader that was cut in the last moment gets the end, and then a clean end.
        let (text, was_cut) =
            rest(open(&server, "/events/a?if=open&from=start", &[("last-event-id", &id(1))]));
        assert!(text.contains("event: end\n") && !was_cut, "{text}");
        let pattern = get(&server, "/events/a/*?if=open", &[]);
        assert_eq!(pattern.code(), "invalid_query");
    }
}

#[test]
fn an_htmx_reader_of_what_has_ended_is_told_so_in_a_block() {
    let server = TestServer::start();
    server.post("/events/a", "x");
    server.request("DELETE", "/events/a", &[], "");
    let answer = get(&server, "/events/a", &[("hx-request", "true")]);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let text = answer.text();
    assert!(text.starts_with("event: end\nid: "), "{text}");
    assert!(text.ends_with("\nretry: 86400000\ndata: {\"topic\":\"a\"}\n\n"), "{text}");
}

#[test]
fn parameters_of_clients_are_ignored_and_slips_are_refused_with_what_was_meant() {
    let server = TestServer::start();
    server.post("/events/a", "x");
    for query in ["datastar=%7B%7D", "_=1", "stream_mode=values", "cancel_on_disconnect=0", "v=3"] {
        server.subscribe(&format!("/events/a?{query}"), &[]);
    }
    for (query, meant) in [("lst=5", "`last`"), ("form=now", "`from`"), ("Plain", "`plain`")] {
        let refused = get(&server, &format!("/events/a?{query}"), &[]);
        assert_eq!(refused.code(), "invalid_query");
        assert!(refused.json()["detail"].as_str().unwrap().contains(meant), "{query}");
    }
    // A page of history is asked for in code that can be mended.
    assert_eq!(server.get_json("/events/a?v=3").code(), "invalid_query");
}
