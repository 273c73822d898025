//! Erasing what a subscriber has in part, and what is in the window of a compressed stream: nobody
//! gets two events as one, and nothing that is sent later has or refers to what was erased.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::compression::inflate::Inflater;
use crate::compression::{GZIP, JSON, SSE, ask, gunzip, servers, whole_answer};
use tidings_testkit::http::request;
use tidings_testkit::http2::{INTERNAL_ERROR, Peer, frame, kind};
use tidings_testkit::server::{EPOCH, TestServer};

/// Time to wait before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time for which nothing more arrives at a socket that is full.
const STILL: Duration = Duration::from_millis(300);

/// Data of a large event: close to the limit, so that these events are more than sockets hold.
const LARGE_BYTES: usize = 1_000_000;

const LARGE_EVENTS: u8 = 16;

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

fn erase(server: &TestServer, target: &str) {
    let answer = server.request("DELETE", target, &[], "");
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// Publishes large events, each of which has a letter of its own, after one that is small.
fn publish_large(server: &TestServer) {
    for n in 0..LARGE_EVENTS {
        let letter = char::from(b'a' + n).to_string();
        assert_eq!(server.post("/events/a", letter.repeat(LARGE_BYTES)).status(), 200);
    }
}

/// A subscriber after the first event that reads nothing yet.
fn slow_reader(server: &TestServer) -> TcpStream {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&request("GET", "/events/a", &[SSE, ("last-event-id", &id(1))], b"")).unwrap();
    while server.engine().status().subscribers < 1 {
        std::thread::yield_now();
    }
    socket
}

/// Waits until the server has sent what the sockets hold, which is less than all: then it is in the
/// middle of an event. What has arrived does not become more any longer.
fn until_full(socket: &TcpStream) {
    let (mut seen, mut since) = (0, Instant::now());
    let mut buffer = vec![0; usize::from(LARGE_EVENTS) * LARGE_BYTES];
    // The head and the first events are far less.
    while seen < LARGE_BYTES / 64 || since.elapsed() < STILL {
        assert!(since.elapsed() < PATIENCE, "{seen} bytes came");
        let arrived = socket.peek(&mut buffer).unwrap();
        if arrived > seen {
            (seen, since) = (arrived, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All that the server sent until it closed the connection, without the head and the framing of
/// chunks, and whether the stream ended with its last chunk.
fn rest(socket: &mut TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection is not closed: {error}"),
    }
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut left = &bytes[head + 4..];
    let mut text = Vec::new();
    loop {
        let Some(line) = left.windows(2).position(|two| two == b"\r\n") else {
            return (String::from_utf8(text).unwrap(), false);
        };
        let size = usize::from_str_radix(str::from_utf8(&left[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return (String::from_utf8(text).unwrap(), true);
        }
        let chunk = &left[line + 2..];
        text.extend_from_slice(&chunk[..size.min(chunk.len())]);
        left = chunk.get(size + 2..).unwrap_or_default();
    }
}

/// Checks that each large event in a text is whole, and that a last one that is not has nothing of
/// another. Returns the id of the last whole event, and how much there is of the one after it.
fn check_no_splice(text: &str) -> (Option<String>, usize) {
    let mut last = None;
    for block in text.split_inclusive("\n\n") {
        let data = block.split_once("data: ").map(|(_, data)| data.trim_end_matches('\n'));
        let Some(data) = data.filter(|data| !data.is_empty()) else { continue };
        let first = data.as_bytes()[0];
        assert!(data.bytes().all(|byte| byte == first), "two events as one");
        if !block.ends_with("\n\n") {
            return (last, data.len());
        }
        assert_eq!(data.len(), LARGE_BYTES, "a part as a whole event");
        last = block.lines().find_map(|line| line.strip_prefix("id: ")).map(str::to_owned);
    }
    (last, 0)
}

#[test]
fn a_reader_in_the_middle_of_an_event_that_is_erased_is_cut_and_comes_back_to_a_whole_one() {
    for server in TestServer::both_engines() {
        server.post("/events/a", "small");
        let mut slow = slow_reader(&server);
        publish_large(&server);
        until_full(&slow);
        // One after the other: it is in the middle of one of them.
        for position in 2..u64::from(LARGE_EVENTS) + 2 {
            erase(&server, &format!("/events/a?erase={}", id(position)));
        }
        server.post("/events/a", "later");
        let (text, is_ended) = rest(&mut slow);
        let (last, part) = check_no_splice(&text);
        assert!(!is_ended, "it is cut, so that the subscriber comes back");
        assert!(part > 0 && part < LARGE_BYTES, "{part} bytes of an event that was erased");
        let last = last.unwrap_or_else(|| id(1));
        let mut back = server.subscribe("/events/a", &[("last-event-id", &last)]);
        let later = format!("id: {}\ndata: later\n\n", id(u64::from(LARGE_EVENTS) + 2));
        assert_eq!(back.event(), Some(later), "after {last}");
    }
}

#[test]
fn a_reader_in_the_middle_of_an_event_whose_topic_is_erased_is_cut_and_gets_a_reset() {
    for server in TestServer::both_engines() {
        server.post("/events/a", "small");
        let mut slow = slow_reader(&server);
        publish_large(&server);
        until_full(&slow);
        erase(&server, "/events/a?erase");
        server.post("/events/a", "later");
        let (text, is_ended) = rest(&mut slow);
        let (last, part) = check_no_splice(&text);
        assert!(!is_ended && part > 0 && part < LARGE_BYTES, "{part} bytes of an erased event");
        let last = last.unwrap_or_else(|| id(1));
        let mut back = server.subscribe("/events/a", &[("last-event-id", &last)]);
        let reset = back.event().unwrap();
        assert!(reset.starts_with("event: tidings.reset\n"), "{reset}");
        assert!(reset.contains(r#""reason":"erased""#), "{reset}");
        let later = format!("id: {}\ndata: later\n\n", id(u64::from(LARGE_EVENTS) + 3));
        assert_eq!(back.event(), Some(later), "after {last}");
    }
}

#[test]
fn over_http2_a_stream_in_the_middle_of_an_event_that_is_erased_is_reset() {
    let server = TestServer::start();
    server.post("/events/a", "small");
    // Its windows hold 65,535 bytes, and it gives no more.
    let mut peer = Peer::connect(server.address(), &[]);
    peer.ask(1, "/events/a");
    while server.engine().status().subscribers < 1 {
        std::thread::yield_now();
    }
    publish_large(&server);
    let mut text = String::new();
    while !text.contains("data: a") {
        let frame = peer.until(|frame| frame.kind == kind::DATA);
        text += str::from_utf8(&frame.payload).unwrap();
    }
    assert!(text.len() < LARGE_BYTES);
    erase(&server, &format!("/events/a?erase={}", id(2)));
    // What the HTTP library has of the event still comes, and nothing else.
    for stream in [0, 1] {
        peer.send(&frame(kind::WINDOW_UPDATE, 0, stream, &(16_u32 << 20).to_be_bytes()));
    }
    loop {
        let frame = peer.until(|frame| [kind::DATA, kind::RST_STREAM].contains(&frame.kind));
        if frame.kind == kind::RST_STREAM {
            assert_eq!(frame.error(), Some(INTERNAL_ERROR), "the subscriber comes back");
            break;
        }
        text += str::from_utf8(&frame.payload).unwrap();
    }
    let (last, _) = check_no_splice(&text);
    assert!(!text.contains("data: b"), "it is cut, and continues from the log");
    let last = last.unwrap_or_else(|| id(1));
    let mut back = server.subscribe("/events/a", &[("last-event-id", &last)]);
    let next = back.event().unwrap();
    assert!(next.starts_with(&format!("id: {}\ndata: bbb", id(3))), "{}", &next[..40]);
}

/// Text of random digits: it compresses to a few bytes only where it is known.
fn secret() -> String {
    let mut state = 7_u64;
    let mut digit = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from_digit((state >> 60) as u32, 16).unwrap()
    };
    (0..SECRET_DIGITS).map(|_| digit()).collect()
}

const SECRET_DIGITS: usize = 1_200;

/// A compressed stream, read as it comes.
struct Compressed {
    socket: TcpStream,
    raw: Vec<u8>,
    inflater: Inflater,
    text: Vec<u8>,
    /// Compressed bytes read so far, without the header.
    bytes: Vec<u8>,
}

impl Compressed {
    fn open(server: &TestServer, target: &str) -> Self {
        let mut socket = TcpStream::connect(server.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&request("GET", target, &[SSE, GZIP], b"")).unwrap();
        let inflater = Inflater::new();
        let mut stream =
            Self { socket, raw: Vec::new(), inflater, text: Vec::new(), bytes: Vec::new() };
        let end = loop {
            if let Some(at) = stream.raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            stream.fill();
        };
        let head = String::from_utf8(stream.raw.drain(..end).collect()).unwrap();
        assert!(head.contains("content-encoding: gzip"), "{head}");
        // The header of gzip comes with the first chunk.
        let first = stream.chunk();
        stream.take(&first[10..]);
        stream
    }

    fn fill(&mut self) {
        let mut buffer = [0; 16 << 10];
        let length = self.socket.read(&mut buffer).expect("something in time");
        assert!(length > 0, "the stream ends");
        self.raw.extend_from_slice(&buffer[..length]);
    }

    fn chunk(&mut self) -> Vec<u8> {
        loop {
            if let Some(line) = self.raw.windows(2).position(|two| two == b"\r\n") {
                let size = str::from_utf8(&self.raw[..line]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                if self.raw.len() >= line + size + 4 {
                    let chunk: Vec<u8> = self.raw.drain(..line + size + 4).collect();
                    return chunk[line + 2..line + 2 + size].to_vec();
                }
            }
            self.fill();
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let text = self.inflater.read(bytes);
        self.text.extend_from_slice(&text);
    }

    /// Reads until `wanted` is in the text that was not returned yet. That text, and the compressed
    /// bytes that it was made of.
    fn until(&mut self, wanted: &str) -> (String, Vec<u8>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = String::from_utf8_lossy(&self.text).into_owned();
            if text.contains(wanted) && text.ends_with("\n\n") {
                self.text.clear();
                return (text, std::mem::take(&mut self.bytes));
            }
            assert!(Instant::now() < deadline, "{wanted:?} does not come");
            let chunk = self.chunk();
            self.take(&chunk);
        }
    }
}

#[test]
fn no_frame_after_an_erasure_refers_to_what_was_erased() {
    for server in servers() {
        let secret = secret();
        let mut early = Compressed::open(&server, "/events/a");
        let send = |mark: &str| {
            let answer = server.post("/events/a", format!("{mark} {secret}"));
            answer.json()["id"].as_str().unwrap().to_owned()
        };
        // Events in quick succession are compressed with those before them.
        let mut ids = Vec::new();
        loop {
            ids.push(send("early"));
            let (_, bytes) = early.until(&secret);
            if bytes.len() < SECRET_DIGITS / 4 {
                break;
            }
            assert!(ids.len() < 100, "no event refers to the one before it");
        }
        for id in &ids {
            erase(&server, &format!("/events/a?erase={id}"));
        }

        let mut late = Compressed::open(&server, "/events/a");
        // Its publisher may send the same text again: it then comes in full.
        send("later");
        for (stream, name) in [(&mut early, "early"), (&mut late, "late")] {
            let (text, bytes) = stream.until(&secret);
            assert!(text.contains("later") && !text.contains("early"), "{name}: {text}");
            let anew = Inflater::new().read(&bytes);
            let is_same = name == "late" || anew == text.as_bytes();
            assert!(is_same, "{name}: it cannot be read without what came before the erasure");
            assert!(bytes.len() > SECRET_DIGITS / 3, "{name}: {} bytes", bytes.len());
        }
    }
}

#[test]
fn compressed_replays_and_pages_have_nothing_of_what_was_erased() {
    for server in servers() {
        let secret = secret();
        let has_secret = |bytes: &[u8]| {
            bytes.windows(16).any(|part| secret.as_bytes().windows(16).any(|one| one == part))
        };
        server.post("/events/a", "before ".repeat(200));
        let erased = server.post("/events/a", &secret).json()["id"].as_str().unwrap().to_owned();
        server.post("/events/a", "after ".repeat(200));
        let page = "/events/a?from=start";
        let resumed = format!("/events/a?after={}", id(1));
        let targets = [page, "/events/a?last=3", &resumed, "/events?topic=a&topic=b&since=1h"];
        let pages = |is_there: bool| {
            for target in targets {
                let (_, plain) = whole_answer(ask(&server, target, &[JSON]));
                let (head, body) = whole_answer(ask(&server, target, &[JSON, GZIP]));
                assert!(head.contains("content-encoding: gzip"), "{target}: {head}");
                assert_eq!(gunzip(&body).as_bytes(), plain, "{target}");
                assert_eq!(has_secret(&plain), is_there, "{target}");
                assert!(!is_there || body.len() > SECRET_DIGITS / 3, "{target}");
                assert!(
                    is_there || !has_secret(&body) && body.len() < SECRET_DIGITS / 2,
                    "{target}"
                );
            }
        };
        pages(true);
        // What was made for this one may not be kept for the next one.
        Compressed::open(&server, page).until(&secret);
        erase(&server, &format!("/events/a?erase={erased}"));
        pages(false);
        for target in targets {
            let (text, bytes) = Compressed::open(&server, target).until("after after");
            assert!(!has_secret(text.as_bytes()) && !has_secret(&bytes), "{target}");
            assert!(bytes.len() < SECRET_DIGITS / 2, "{target}: {} bytes", bytes.len());
        }
    }
}
