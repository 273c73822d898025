//! Streams and pages that are compressed: who gets them, and that their text is that of others.

#[path = "../../tidings-codec/tests/inflate/mod.rs"]
pub(crate) mod inflate;

use crate::mercure;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::mercure::{HUB, Tokens, bearer};
use inflate::Inflater;
use tidings_codec::gzip::{self, Checksum};
use tidings_hub::Sharing;
use tidings_testkit::http::{Head, request};
use tidings_testkit::http2::{END_HEADERS, END_STREAM, LOCALHOST, Peer, frame, get_from, kind};
use tidings_testkit::server::TestServer;

pub(crate) const SSE: (&str, &str) = ("accept", "text/event-stream");
pub(crate) const JSON: (&str, &str) = ("accept", "application/json");
pub(crate) const GZIP: (&str, &str) = ("accept-encoding", "gzip, deflate, br, zstd");
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that compresses, with each engine.
pub(crate) fn servers() -> [TestServer; 2] {
    [false, true].map(|portable| {
        let builder = TestServer::builder().engine(|engine| {
            engine.compression = Some(Sharing::Topic);
            engine.portable |= portable;
        });
        builder.start()
    })
}

/// The text of a whole gzip body, whose trailer must be right.
pub(crate) fn gunzip(body: &[u8]) -> String {
    assert_eq!(body[..10], gzip::HEADER);
    let (deflated, trailer) = body[10..].split_at(body.len() - 18);
    let mut inflater = Inflater::new();
    let text = inflater.read(deflated);
    assert!(inflater.is_done(), "the last block is marked");
    let mut expected = Vec::new();
    gzip::end(&mut expected, Checksum::of(&text));
    assert_eq!(trailer, &expected[2..], "checksum and length");
    String::from_utf8(text).unwrap()
}

/// The head of the answer and its body without the framing of chunks. The connection ends with it.
pub(crate) fn whole_answer(mut socket: TcpStream) -> (String, Vec<u8>) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("the server ends the connection in time");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut rest = &bytes[end + 4..];
    if !head.contains("transfer-encoding: chunked") {
        return (head, rest.to_vec());
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").expect("a whole chunk");
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (head, body);
        }
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

pub(crate) fn ask(server: &TestServer, target: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    let headers: Vec<_> = headers.iter().chain(&[("connection", "close")]).copied().collect();
    socket.write_all(&request("GET", target, &headers, b"")).unwrap();
    socket
}

/// A stream without its first block, which has a random reconnection time, and the last, which says
/// when to come back.
fn events(text: &str) -> &str {
    text.split_once("\n\n").unwrap().1
}

fn publish_some(server: &TestServer, first: usize) {
    for n in first..first + 40 {
        let words = "to be or not to be, ".repeat(n % 7);
        let body = format!("{{\"n\":{n},\"a\":\"{words}\",\"b\":{}}}", n * 7919 % 1000);
        assert_eq!(server.post("/events/a", body).status(), 200);
    }
    let large: String = (0..3000).map(|n| format!("{} ", n * n * 31 % 9973)).collect();
    assert_eq!(server.post("/events/a", large).status(), 200);
}

#[test]
fn a_compressed_stream_has_the_text_of_a_plain_one_and_a_right_trailer() {
    for server in servers() {
        publish_some(&server, 0);
        let plain = ask(&server, "/events/a?from=start", &[SSE]);
        let compressed = ask(&server, "/events/a?from=start", &[SSE, GZIP]);
        let live = ask(&server, "/events/a", &[SSE, GZIP]);
        // Counted once they are attached; then all that follows is live for the last one.
        while server.engine().status().subscribers < 3 {
            std::thread::yield_now();
        }
        publish_some(&server, 100);
        server.request("DELETE", "/events/a", &[], "");
        let (head, plain) = whole_answer(plain);
        assert!(!head.contains("content-encoding") && head.contains("vary: accept-encoding"));
        let (head, body) = whole_answer(compressed);
        assert!(head.contains("content-encoding: gzip") && head.contains("vary: accept-encoding"));
        let plain = String::from_utf8(plain).unwrap();
        let text = gunzip(&body);
        assert_eq!(events(&text), events(&plain));
        assert!(body.len() * 3 < text.len() * 2, "{} of {}", body.len(), text.len());
        let (_, live) = whole_answer(live);
        assert!(plain.ends_with(events(&gunzip(&live))), "it began in the middle");
    }
}

#[test]
fn a_compressed_stream_comes_over_http2_too() {
    let [server, _] = servers();
    publish_some(&server, 0);
    server.request("DELETE", "/events/a", &[], "");
    let (_, plain) = whole_answer(ask(&server, "/events/a?from=start", &[SSE]));
    let mut peer = Peer::connect(server.address(), &[]);
    // `:authority` and `accept-encoding`, by their places in the static table (RFC 7541 §A).
    let fields = [LOCALHOST, ("\x0f\x01", "gzip")];
    let head = get_from("/events/a?from=start", &fields);
    peer.send(&frame(kind::HEADERS, END_STREAM | END_HEADERS, 1, &head));
    let mut body = Vec::new();
    loop {
        let frame = peer.until(|frame| frame.kind == kind::DATA);
        body.extend_from_slice(&frame.payload);
        if frame.ends_stream() {
            break;
        }
    }
    assert_eq!(events(&gunzip(&body)), events(str::from_utf8(&plain).unwrap()));
}

#[test]
fn a_state_has_the_same_text_compressed_and_over_http2() {
    for server in servers() {
        for n in 0..200 {
            let body = format!("{{\"n\":{n},\"words\":\"to be or not to be\"}}");
            assert_eq!(server.post(&format!("/events/a?key=K{}", n % 20), body).status(), 200);
        }
        server.request("DELETE", "/events/a?key=K3", &[], "");
        server.request("DELETE", "/events/a", &[], "");
        for target in ["/events/a?from=state", "/events/a?reset=state&after=never"] {
            let (_, plain) = whole_answer(ask(&server, target, &[SSE]));
            let plain = String::from_utf8(plain).unwrap();
            assert!(plain.contains("event: tidings.state\n"), "{plain}");
            assert_eq!(plain.matches("\"words\"").count(), 19);
            let (_, compressed) = whole_answer(ask(&server, target, &[SSE, GZIP]));
            assert_eq!(events(&gunzip(&compressed)), events(&plain), "{target}");
            for is_compressed in [false, true] {
                let mut peer = Peer::connect(server.address(), &[]);
                let mut fields = vec![LOCALHOST, ("\x0f\x04", "text/event-stream")];
                if is_compressed {
                    fields.push(("\x0f\x01", "gzip"));
                }
                let head = get_from(target, &fields);
                peer.send(&frame(kind::HEADERS, END_STREAM | END_HEADERS, 1, &head));
                let mut body = Vec::new();
                loop {
                    let frame = peer.until(|frame| frame.kind == kind::DATA);
                    body.extend_from_slice(&frame.payload);
                    if frame.ends_stream() {
                        break;
                    }
                }
                let text = match is_compressed {
                    true => gunzip(&body),
                    false => String::from_utf8(body).unwrap(),
                };
                assert_eq!(events(&text), events(&plain), "{target}, HTTP/2");
            }
        }
    }
}

/// Whether the answer says to caches that it depends on what the client reads. There may be other
/// things it depends on.
fn varies(head: &Head) -> bool {
    head.headers.iter().any(|(name, value)| name == "vary" && value == "accept-encoding")
}

#[test]
fn only_clients_that_ask_for_gzip_get_it_and_caches_are_told() {
    let [native, _] = servers();
    let mercure = TestServer::builder()
        .config(mercure::configure)
        .engine(|engine| engine.compression = Some(Sharing::Topic))
        .start();
    let token = bearer(&Tokens::everything().zero);
    let mercure_target = format!("{HUB}?topic=a");
    for (server, target) in [(&native, "/events/a"), (&mercure, &*mercure_target)] {
        for (accept, is_gzip) in [
            (None, false),
            (Some("identity"), false),
            (Some("gzip;q=0, *"), false),
            (Some("br"), false),
            (Some("gzip"), true),
            (Some("*"), true),
        ] {
            let mut headers = vec![SSE];
            headers.extend((target != "/events/a").then_some(("authorization", &*token)));
            headers.extend(accept.map(|accept| ("accept-encoding", accept)));
            let mut stream = server.connect();
            stream.send(request("GET", target, &headers, b""));
            let head = stream.head();
            assert_eq!(head.status, 200, "{target}");
            let coding = head.header("content-encoding");
            assert_eq!(coding, is_gzip.then_some("gzip"), "{target} {accept:?}");
            assert!(varies(&head), "{target} {accept:?}");
        }
        let mut headers = vec![SSE, GZIP];
        headers.extend((target != "/events/a").then_some(("authorization", &*token)));
        let mut connection = server.connect();
        connection.send(request("HEAD", target, &headers, b""));
        let head = connection.head();
        assert_eq!((head.status, head.header("content-encoding")), (200, None), "{target}");
        assert!(varies(&head), "{target}");
    }
}

#[test]
fn a_hub_that_does_not_compress_says_nothing_of_it() {
    let server = TestServer::start();
    let mut stream = server.connect();
    stream.send(request("GET", "/events/a", &[SSE, GZIP], b""));
    let head = stream.head();
    assert_eq!((head.header("content-encoding"), head.header("vary")), (None, None));
}

#[test]
fn a_page_of_history_is_compressed_whole_and_short_ones_are_not() {
    for server in servers() {
        publish_some(&server, 0);
        server.post("/events/b", "short");
        for target in ["/events/a", "/events?topic=a&topic=b", "/events/a?limit=1"] {
            let (head, plain) = whole_answer(ask(&server, target, &[JSON]));
            assert!(!head.contains("content-encoding") && head.contains("vary: accept-encoding"));
            let (head, body) = whole_answer(ask(&server, target, &[JSON, GZIP]));
            if plain.len() < 512 {
                assert!(!head.contains("content-encoding"), "{target}");
                assert_eq!(body, plain, "{target}");
            } else {
                assert!(head.contains("content-encoding: gzip"), "{target}");
                assert_eq!(gunzip(&body).as_bytes(), plain, "{target}");
            }
        }
    }
}

/// A page repeats the id that it was asked for. If that were compressed together with an event, the
/// length of the page would tell somebody who can choose the id whether the event has it.
#[test]
fn the_length_of_a_page_does_not_tell_whether_an_event_has_what_was_asked_for() {
    const SECRET: &str = "q7GmX2vRk9LtYw4ZcNf8sHbD3jUeAoTi";
    const OTHER: &str = "W5pJr1EhVxKd6uQyCg0zMnSlBaOfIP8t";
    for server in servers() {
        publish_some(&server, 0);
        server.post("/events/b?key=k", SECRET);
        let mut connection = server.connect();
        connection.send(request("DELETE", "/events/b", &[], SECRET.as_bytes()));
        assert_eq!(connection.head().status, 200);
        for start in ["limit=1000", "from=state", "from=state&limit=2"] {
            let [right, wrong] = [SECRET, OTHER].map(|guess| {
                let target = format!("/events?topic=a&topic=b&{start}&after={guess}");
                let (head, body) = whole_answer(ask(&server, &target, &[JSON, GZIP]));
                assert!(head.contains("content-encoding: gzip"), "{target}");
                assert!(gunzip(&body).contains(guess), "{target}");
                body.len()
            });
            assert_eq!(right, wrong, "{start}");
        }
    }
}
