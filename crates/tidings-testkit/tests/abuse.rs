//! Malicious clients, over real sockets: whatever they do, the hub keeps serving others.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use tidings_testkit::http::request;
use tidings_testkit::http2::{
    END_HEADERS, Frame, INTERNAL_ERROR, PREFACE, Peer, frame, frames, get, get_from, kind,
};
use tidings_testkit::server::TestServer;

/// Checks that another client can subscribe, publish, and get the event.
fn still_serves(server: &TestServer) {
    let mut stream = server.subscribe("/events/others", &[]);
    assert_eq!(server.post("/events/others", "still here").status(), 200);
    assert!(stream.event().unwrap().contains("data: still here\n"));
}

/// The names of all topics that anything was published to.
fn topics(server: &TestServer) -> Vec<String> {
    let list = server.get_json("/topics").json();
    let topics = list["topics"].as_array().unwrap().iter();
    topics.map(|topic| topic["topic"].as_str().unwrap().to_owned()).collect()
}

/// Writes until the server takes no more, or `count` times; then reads to the end, or until nothing
/// more comes. (A portable engine reads nothing after a subscription, so it sees no end there: the
/// subscriber stays, and gets a heartbeat every 15 seconds.)
fn flood(address: SocketAddr, begin: &[u8], again: &[u8], count: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(8))).unwrap();
    let mut written = stream.write_all(begin).is_ok();
    for _ in 0..count {
        written = written && stream.write_all(again).is_ok();
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn a_thousand_silent_connections_keep_no_other_client_out() {
    let server = TestServer::start();
    let silent: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    still_serves(&server);
    drop(silent);
    still_serves(&server);
}

#[test]
fn heads_and_bodies_that_trickle_in_are_ended_and_keep_no_other_client_out() {
    let server = TestServer::builder()
        .config(|config| {
            config.http.head_time_max = Duration::from_millis(300);
            config.http.body_pause_max = Duration::from_millis(300);
        })
        .start();
    let mut slow: Vec<_> = (0..200)
        .map(|number| {
            let mut connection = server.connect();
            connection.send(match number % 2 {
                0 => "GET /events/a HTTP/1.1\r\nx-a: ".into(),
                _ => request("POST", "/events/slow", &[("content-length", "1000")], b"a"),
            });
            connection
        })
        .collect();
    still_serves(&server);
    for connection in &mut slow {
        // One more byte does not restart a head's timeout.
        connection.send("b");
        assert_eq!(connection.head().status, 408);
    }
    assert!(!topics(&server).contains(&"slow".to_owned()));
}

#[test]
fn an_ambiguous_request_smuggles_nothing() {
    let server = TestServer::start();
    let inner = "POST /events/smuggled HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\nx";
    let chunked = format!("0\r\n\r\n{inner}");
    let length = chunked.len();
    let head = "POST /events/outer HTTP/1.1\r\nhost: localhost\r\n";
    let shapes = [
        // Both lengths, in either order.
        format!("{head}content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{chunked}"),
        format!("{head}transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n{chunked}"),
        // Codings that are not understood, or not last.
        format!("{head}transfer-encoding: identity, chunked, gzip\r\n\r\n{chunked}"),
        format!("{head}transfer-encoding: xchunked\r\n\r\n{chunked}"),
        format!("{head}transfer-encoding : chunked\r\n\r\n{chunked}"),
        // Lengths that contradict each other, or are invalid.
        format!("{head}content-length: 0\r\ncontent-length: {length}\r\n\r\n{chunked}"),
        format!("{head}content-length: +{length}\r\n\r\n{chunked}"),
        format!("{head}content-length: {length}, {length}\r\n\r\n{chunked}"),
        // A header that continues on the next line, and one that a lone CR would end.
        format!("{head}x: y\r\n transfer-encoding: chunked\r\n\r\n{inner}"),
        format!("{head}x: y\rtransfer-encoding: chunked\r\n\r\n{inner}"),
        format!("{head}x: y\0z\r\n\r\n{inner}"),
        // Chunk sizes that overflow, or are invalid.
        format!("{head}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{inner}"),
        format!("{head}transfer-encoding: chunked\r\n\r\n-1\r\n{inner}"),
    ];
    for shape in shapes {
        flood(server.address(), shape.as_bytes(), b"", 0);
        assert!(!topics(&server).contains(&"smuggled".to_owned()), "{shape}");
    }
    still_serves(&server);
}

#[test]
fn a_request_with_both_lengths_is_the_last_of_its_connection() {
    let server = TestServer::start();
    let inner = "POST /events/smuggled HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\nx";
    let body = format!("1\r\nx\r\n0\r\n\r\n{inner}");
    let length = ("content-length", "6");
    let chunked = ("transfer-encoding", "chunked");
    for fields in [[length, chunked], [chunked, length]] {
        for is_second in [false, true] {
            let mut connection = server.connect();
            if is_second {
                connection.send(request("GET", "/healthz", &[], b""));
                assert_eq!(connection.response().status(), 200);
            }
            connection.send(request("POST", "/events/outer", &fields, body.as_bytes()));
            let answer = connection.response();
            assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
            assert!(connection.is_closed());
        }
    }
    assert_eq!(topics(&server), ["outer"]);
}

#[test]
fn lines_that_end_with_a_bare_line_feed_are_one_request_or_none() {
    let server = TestServer::start();
    let mut connection = server.connect();
    connection.send("GET /healthz HTTP/1.1\nhost: localhost\n\n");
    // RFC 9112 §2.2 lets a recipient take them so.
    assert!([200, 400].contains(&connection.head().status));
    still_serves(&server);
}

#[test]
fn bytes_sent_after_a_subscription_do_not_become_a_request() {
    let server = TestServer::start();
    let subscribe = request("GET", "/events/a", &[], b"");
    let publish = request("POST", "/events/behind", &[], b"x");
    let answer = flood(server.address(), &subscribe, &publish, 10_000);
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    still_serves(&server);
    assert!(!topics(&server).contains(&"behind".to_owned()));
}

#[test]
fn floods_of_http_2_frames_are_cut_off_or_taken_and_keep_no_other_client_out() {
    let server = TestServer::start();
    let address = server.address();
    // Requests that are reset at once (CVE-2023-44487).
    let resets: Vec<u8> = (0..20_000)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            [frame(1, 5, stream, &get("/healthz")), frame(3, 0, stream, &8_u32.to_be_bytes())]
                .concat()
        })
        .collect();
    let answer = flood(address, PREFACE, &resets, 1);
    assert_eq!(goodbye(&answer), Some(ENHANCE_YOUR_CALM));
    still_serves(&server);
    for again in [
        frame(6, 0, 0, b"pingping"),
        frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]),
        frame(8, 0, 0, &1_u32.to_be_bytes()),
        frame(2, 0, 1, &[0, 0, 0, 0, 16]),
        frame(0xfa, 0, 0, b"unknown"),
    ] {
        flood(address, PREFACE, &again.repeat(100), 200);
        still_serves(&server);
    }
    // Frames that must be answered, or cost time, are not accepted for ever.
    for (kind, again) in [
        (kind::PING, frame(6, 0, 0, b"pingping")),
        (kind::SETTINGS, frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])),
    ] {
        let answer = flood(address, PREFACE, &again.repeat(100), 1000);
        let answered = frames(&answer).iter().filter(|frame| frame.kind == kind).count();
        assert!(answered < 50_000, "{answered} of 100,000 were answered");
        still_serves(&server);
    }
    // A head that never ends (CVE-2024-27316): the client learns why it is ended.
    let open = [PREFACE, &frame(1, 1, 1, &get("/healthz"))].concat();
    let more = frame(9, 0, 1, &b"\x00\x01x\x01y".repeat(1000));
    let answer = flood(address, &open, &more, 200);
    assert!(goodbye(&answer).is_some_and(|code| code != 0));
    still_serves(&server);
    // Empty frames of data on a stream that is open.
    let open = [PREFACE, &frame(1, 4, 1, b"\x83\x86\x44\x09/events/a\x41\x01x")].concat();
    flood(address, &open, &frame(0, 0, 1, b"").repeat(100), 1000);
    still_serves(&server);
}

/// The code with which the server ended a connection.
fn goodbye(answer: &[u8]) -> Option<u32> {
    let ended = |frame: &Frame| frame.kind == kind::GOAWAY;
    frames(answer).iter().rfind(|frame| ended(frame)).and_then(Frame::error)
}

/// Codes of errors (RFC 9113 §7).
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The name of a setting (RFC 9113 §6.5.2).
const INITIAL_WINDOW_SIZE: u16 = 4;

#[test]
fn one_stream_too_many_is_rejected_and_the_others_continue() {
    let server = TestServer::builder().config(|config| config.http.streams_max = 10).start();
    let mut peer = Peer::connect(server.address(), &[]);
    let settings = peer.until(|frame| frame.kind == kind::SETTINGS);
    assert!(settings.payload.chunks(6).any(|one| one == [0, 3, 0, 0, 0, 10]), "{settings:?}");
    for number in 0..15 {
        peer.ask(2 * number + 1, "/events/others");
    }
    let (mut open, mut refused) = (Vec::new(), Vec::new());
    while open.len() + refused.len() < 15 {
        let frame = peer.until(|frame| matches!(frame.kind, kind::HEADERS | kind::RST_STREAM));
        match frame.error() {
            None => open.push(frame.stream),
            Some(code) => {
                assert_eq!(code, REFUSED_STREAM);
                refused.push(frame.stream);
            }
        }
    }
    assert_eq!((open.len(), refused.len()), (10, 5));
    still_serves(&server);
    for _ in 0..10 {
        let is_event = |frame: &Frame| String::from_utf8_lossy(&frame.payload).contains("still");
        let told = peer.until(|frame| frame.kind == kind::DATA && is_event(frame)).stream;
        assert!(open.contains(&told));
        open.retain(|stream| *stream != told);
    }
}

/// Without a window nothing may ever be sent. Waiting events must not fill the server's memory.
#[test]
fn subscribers_that_never_open_their_window_hold_a_bounded_part_and_lose_nothing() {
    const STREAMS: u32 = 100;
    const EVENTS: usize = 200;
    let server = TestServer::builder().engine(|engine| engine.ring_bytes_max = 1 << 20).start();
    let mut peer = Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
    for number in 0..STREAMS {
        peer.ask(2 * number + 1, "/events/big");
    }
    for _ in 0..STREAMS {
        peer.until(|frame| frame.kind == kind::HEADERS);
    }
    let mut reader = server.subscribe("/events/big", &[]);
    for number in 0..EVENTS {
        let event = format!("{number} {}", "x".repeat(50_000));
        assert_eq!(server.post("/events/big", &event).status(), 200);
        // A client that reads is not affected.
        assert!(reader.event().unwrap().contains(&format!("data: {number} ")));
    }
    // 10 MB were published to each of a hundred; this is what the hub keeps for them.
    let page = server.get_json("/metrics").text().to_owned();
    let figure = |name: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<f64>().unwrap()
    };
    assert!(figure("tidings_rings_bytes ") <= f64::from(4 << 20), "{page}");
    assert!(figure("tidings_subscribers_blocked ") >= f64::from(STREAMS), "{page}");
    // One of them reads after all, and gets everything in order.
    peer.send(&frame(kind::WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()));
    peer.send(&frame(kind::WINDOW_UPDATE, 0, 1, &(1_u32 << 30).to_be_bytes()));
    let mut text = Vec::new();
    let end = format!("data: {} ", EVENTS - 1);
    let has_end = |text: &[u8]| text.windows(end.len()).any(|part| part == end.as_bytes());
    let mut seen = 0;
    while !has_end(&text[seen..]) {
        seen = text.len().saturating_sub(end.len());
        let data = peer.until(|frame| frame.kind == kind::DATA);
        assert_eq!(data.stream, 1, "the others' windows are shut");
        text.extend(data.payload);
    }
    let text = String::from_utf8(text).unwrap();
    let numbers = text.lines().filter_map(|line| line.strip_prefix("data: ")?.split(' ').next());
    let expected: Vec<_> = (0..EVENTS).map(|number| number.to_string()).collect();
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
    still_serves(&server);
}

#[test]
fn a_server_that_shuts_down_says_goodbye_and_cuts_its_streams() {
    let server = TestServer::start();
    let mut peer = Peer::connect(server.address(), &[]);
    for stream in [1, 3] {
        peer.ask(stream, "/events/a");
        peer.until(|frame| frame.kind == kind::HEADERS);
    }
    let leaving = std::thread::spawn(move || server.stop());
    let (mut goodbyes, mut cut) = (Vec::new(), Vec::new());
    while let Some(frame) = peer.next_frame() {
        if frame.kind == kind::RST_STREAM {
            assert_eq!(frame.error(), Some(INTERNAL_ERROR), "{frame:?}");
            cut.push(frame.stream);
        }
        // That would say that the topics have ended.
        assert!(!frame.ends_stream(), "{frame:?}");
        if frame.kind == kind::GOAWAY {
            goodbyes.push(frame.error().unwrap());
        }
        // h2 checks with a ping that its goodbye has arrived (RFC 9113 §6.8).
        if frame.kind == kind::PING && frame.flags == 0 {
            peer.send(&self::frame(kind::PING, 1, 0, &frame.payload));
        }
    }
    leaving.join().unwrap();
    cut.sort_unstable();
    assert_eq!(cut, [1, 3]);
    assert!(!goodbyes.is_empty() && goodbyes.iter().all(|code| *code == 0), "{goodbyes:?}");
}

#[test]
fn a_request_over_http_2_must_name_its_host_too() {
    /// `:status: 400` and `:status: 200` of the static table (RFC 7541 appendix A).
    const BAD: u8 = 0x8c;
    const GOOD: u8 = 0x88;
    let server = TestServer::start();
    let authority = "\x01";
    let host = "\0\x04host";
    let cases = [
        (vec![(authority, "localhost:80")], GOOD),
        (vec![(host, "localhost")], GOOD),
        (vec![(authority, "localhost"), (host, "LOCALHOST")], GOOD),
        (vec![(authority, "a"), (host, "b")], BAD),
        (vec![], BAD),
    ];
    let mut peer = Peer::connect(server.address(), &[]);
    for (number, (fields, status)) in (0..).zip(cases) {
        let head = get_from("/healthz", &fields);
        peer.send(&frame(kind::HEADERS, END_HEADERS | 1, 2 * number + 1, &head));
        let answer = peer.until(|frame| frame.kind == kind::HEADERS);
        assert_eq!((answer.stream, answer.payload[0]), (2 * number + 1, status), "{fields:?}");
    }
}

#[test]
fn random_bytes_are_not_a_request_of_any_kind() {
    let server = TestServer::start();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..200 {
        let mut bytes = match round % 3 {
            0 => Vec::new(),
            1 => PREFACE.to_vec(),
            _ => b"GET /healthz HTTP/1.1\r\n".to_vec(),
        };
        for _ in 0..64 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        flood(server.address(), &bytes, b"", 0);
    }
    assert!(topics(&server).is_empty());
    still_serves(&server);
}
