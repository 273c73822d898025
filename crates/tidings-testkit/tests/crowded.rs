//! More than the hub has room for, over real sockets: bodies that never come, connections beyond
//! the bound.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidings_server::Config;
use tidings_server::limits::{BODIES_BYTES_MAX, EVENT_BYTES_MAX, RESERVE_CONNECTIONS};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::server::TestServer;

const PATIENCE: Duration = Duration::from_secs(60);

fn server(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::builder().config(change).start()
}

/// A request with an announced body, of which only `sent` bytes are sent.
fn begun(server: &TestServer, target: &str, length: usize, sent: usize) -> Connection {
    let length = length.to_string();
    let headers =
        [("content-length", &*length), ("content-type", "application/x-www-form-urlencoded")];
    let mut connection = server.connect();
    connection.send(request("POST", target, &headers, &vec![b'a'; sent]));
    connection
}

/// Puts others in the place of connections that have their answer: they had to wait too long for
/// room themselves.
fn replace_answered(holders: &mut [Connection], holder: impl Fn() -> Connection) {
    for held in holders {
        if held.has_input() {
            *held = holder();
        }
    }
}

/// Sends `piece` on all connections from time to time, until their list is dropped.
fn drip(holders: &Arc<Mutex<Vec<Connection>>>, piece: &'static str) {
    let holders = Arc::downgrade(holders);
    std::thread::spawn(move || {
        while let Some(holders) = holders.upgrade() {
            holders.lock().unwrap().iter_mut().for_each(|holder| holder.send(piece));
            drop(holders);
            std::thread::sleep(Duration::from_millis(50));
        }
    });
}

/// Repeats a request until the answer is as wanted.
fn eventually(
    mut ask: impl FnMut() -> Response,
    mut wanted: impl FnMut(&Response) -> bool,
) -> Response {
    let since = Instant::now();
    loop {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        assert!(since.elapsed() < PATIENCE, "{answer:?}");
    }
}

#[test]
fn a_body_that_drips_without_a_pause_is_ended_and_none_of_it_is_published() {
    let server = server(|config| config.http.body_pause_max = Duration::from_millis(400));
    let chunked = "POST /events/drip HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n";
    let mut in_chunks = server.connect();
    in_chunks.send(format!("{chunked}\r\n"));
    let mut batch = server.connect();
    batch.send(request(
        "POST",
        "/events/drip",
        &[("content-type", "application/x-ndjson"), ("content-length", "100000")],
        b"",
    ));
    let mercure = begun(&server, "/.well-known/mercure", 100_000, 0);
    let native = begun(&server, "/events/drip", 100_000, 0);
    // No pause is too long, and the end is far away.
    std::thread::scope(|scope| {
        for (mut connection, drop) in
            [(native, "a"), (mercure, "a"), (batch, " "), (in_chunks, "1\r\na\r\n")]
        {
            scope.spawn(move || {
                let since = Instant::now();
                while !connection.has_input() {
                    connection.send(drop);
                    assert!(since.elapsed() < PATIENCE, "it is read for ever");
                    std::thread::sleep(Duration::from_millis(20));
                }
                assert_eq!(connection.head().status, 408);
            });
        }
    });
    let topics = server.get_json("/topics").json();
    assert_eq!(topics["topics"].as_array().unwrap().len(), 0);
}

#[test]
fn a_body_that_comes_slowly_but_fast_enough_is_published() {
    let server = server(|config| config.http.body_pause_max = Duration::from_millis(400));
    let mut connection = begun(&server, "/events/t", 64 << 10, 16 << 10);
    // In total more than the longest allowed pause.
    for _ in 0..48 {
        std::thread::sleep(Duration::from_millis(20));
        connection.send(vec![b'b'; 1 << 10]);
    }
    assert_eq!(connection.response().status(), 200);
}

#[test]
fn incomplete_bodies_share_a_bound_and_one_too_many_is_asked_to_come_back() {
    let server = server(|config| config.http.body_pause_max = Duration::from_secs(1));
    // Fast enough for some seconds, and then a byte from time to time.
    let holder = || begun(&server, "/events/big", EVENT_BYTES_MAX, 128 << 10);
    let holders = Arc::new(Mutex::new(Vec::new()));
    drip(&holders, "a");
    (0..BODIES_BYTES_MAX / EVENT_BYTES_MAX).for_each(|_| holders.lock().unwrap().push(holder()));
    let refused = |ask: &dyn Fn() -> Response| {
        let refused = eventually(ask, |answer| {
            replace_answered(&mut holders.lock().unwrap(), holder);
            answer.status() != 200
        });
        assert_eq!(refused.status(), 503);
        assert!(refused.header("retry-after").is_some());
        refused
    };
    assert_eq!(refused(&|| server.post("/events/t", "x")).code(), "too_many_bodies");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    refused(&|| server.request("POST", "/.well-known/mercure", &form, "topic=t&data=x"));
    // One request waits, and gets its turn as soon as there is room.
    let mut waiting = begun(&server, "/events/t", 1, 1);
    drop(holders);
    let answer = waiting.response();
    assert_eq!(answer.status(), 200, "{answer:?}");
}

/// A stream of events that has begun one, of which `sent` bytes are sent.
fn begun_event(server: &TestServer, media_type: &str, begin: &str, sent: usize) -> Connection {
    let headers = [("content-type", media_type), ("transfer-encoding", "chunked")];
    let mut connection = server.connect();
    connection.send(request("POST", "/events/big", &headers, b""));
    let begin = format!("{begin}{}", "a".repeat(sent));
    connection.send(format!("{:x}\r\n{begin}\r\n", begin.len()));
    connection
}

/// The beginnings of an event in either format for streams.
const BEGINNINGS: [(&str, &str); 2] =
    [("application/x-ndjson", "{\"data\":\""), ("text/event-stream", "data:")];

#[test]
fn streams_of_events_share_the_room_of_the_other_bodies() {
    for (media_type, begin) in BEGINNINGS {
        let server = server(|config| config.http.body_pause_max = Duration::from_secs(3));
        // They leave less room than one more needs, and have nearly two minutes for their rest.
        let bytes = EVENT_BYTES_MAX * 7 / 8;
        let holder = || begun_event(&server, media_type, begin, bytes);
        let mut holders: Vec<_> = (0..BODIES_BYTES_MAX / bytes).map(|_| holder()).collect();
        let mut refusal = |ask: &dyn Fn() -> Response| {
            let refused = eventually(ask, |answer| {
                replace_answered(&mut holders, holder);
                answer.status() != 200
            });
            assert_eq!((refused.status(), &*refused.code()), (503, "too_many_bodies"));
            assert!(refused.header("retry-after").is_some());
            refused
        };
        let large = vec![b'x'; bytes];
        refusal(&|| server.post("/events/t", &large));
        // A stream that needs more room gets the same answer, with what came before.
        let refused = refusal(&|| {
            let line = "{\"data\":\"first\"}\n";
            let mut stream = begun_event(&server, "application/x-ndjson", line, 0);
            let event = format!("{{\"data\":\"{}\"}}\n", "a".repeat(bytes));
            stream.send(format!("{:x}\r\n{event}\r\n0\r\n\r\n", event.len()));
            stream.response()
        });
        assert_eq!(refused.json()["published"], 1);
        drop(holders);
        eventually(|| server.post("/events/t", &large), |answer| answer.status() == 200);
    }
}

#[test]
fn an_event_that_a_stream_has_begun_must_come_to_its_end() {
    for (media_type, begin) in BEGINNINGS {
        let server = server(|config| config.http.body_pause_max = Duration::from_millis(200));
        let mut large = begun_event(&server, media_type, begin, 8 << 10);
        // A short beginning may wait as long as a stream may pause.
        let mut short = begun_event(&server, media_type, begin, 100);
        let refused = large.response();
        assert_eq!((refused.status(), &*refused.code()), (408, "request_timeout"));
        let end = if media_type == "text/event-stream" { "\n\n" } else { "\"}\n" };
        short.send(format!("{:x}\r\n{end}\r\n0\r\n\r\n", end.len()));
        let answer = short.response();
        assert_eq!((answer.status(), &answer.json()["published"]), (200, &1.into()));
    }
}

#[test]
fn a_full_hub_answers_probes_and_asks_every_other_client_to_come_back() {
    let server = server(|config| config.http.connections_max = 2);
    let full = [(); 2].map(|()| begun(&server, "/events/slow", 1000, 1));
    let refused = eventually(|| server.post("/events/t", "x"), |answer| answer.status() != 200);
    assert_eq!((refused.status(), &*refused.code()), (503, "hub_full"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("connection"), Some("close"));

    // Many more unfinished bodies are answered, and so keep no other client out.
    let _more: Vec<_> = (0..50).map(|_| begun(&server, "/events/slow", 1000, 1)).collect();
    for probe in ["/healthz", "/readyz"] {
        let answer = server.request("GET", probe, &[], "");
        assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    }
    for target in ["/topics", "/", "/events/t?limit=1"] {
        let answer = server.get_json(target);
        assert_eq!((answer.status(), &*answer.code()), (503, "hub_full"), "{target}");
    }
    let mercure = server.request("POST", "/.well-known/mercure", &[], "topic=a");
    assert_eq!(mercure.status(), 503);
    assert!(mercure.header("retry-after").is_some());
    for target in ["/events/t", "/.well-known/mercure?topic=t"] {
        // Another status would end a browser's subscription for good.
        let mut subscriber = server.subscribe(target, &[]);
        assert!(subscriber.reads(b"retry: "), "{target}");
    }

    drop(full);
    eventually(|| server.post("/events/t", "x"), |answer| answer.status() == 200);
}

#[test]
fn silent_connections_beyond_the_bound_are_cut_and_probes_get_in() {
    let server = server(|config| config.http.connections_max = 1);
    let _full = begun(&server, "/events/slow", 1000, 1);
    eventually(|| server.post("/events/t", "x"), |answer| answer.status() == 503);
    let mut silent: Vec<_> = (0..2 * RESERVE_CONNECTIONS).map(|_| server.connect()).collect();
    assert_eq!(server.request("GET", "/healthz", &[], "").status(), 200);
    for connection in &mut silent {
        assert!(connection.is_closed());
    }
}
