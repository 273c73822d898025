//! Requests that come in one piece, or with their body right after their head, which the hub reads
//! itself, and the same ones that come slowly, which the HTTP library reads: nobody can tell.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use tidings_testkit::http::request;
use tidings_testkit::server::{EPOCH, TestServer};

/// Sends `pieces` with a pause after each, and returns everything that is answered, without the
/// dates.
fn exchange(server: &TestServer, pieces: &[&[u8]], pause: Duration) -> String {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for piece in pieces {
        // The hub may have closed the connection after the first one.
        let _ = socket.write_all(piece);
        thread::sleep(pause);
    }
    let _ = socket.shutdown(Shutdown::Write);
    let mut answered = Vec::new();
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = socket.read(&mut part) {
        answered.extend_from_slice(&part[..length]);
    }
    let answered = String::from_utf8(answered).unwrap();
    answered.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

/// Too long for the hub to wait for the rest of a short request.
const SLOW: Duration = Duration::from_millis(40);
/// Two packets, and no longer.
const SOON: Duration = Duration::from_millis(2);

#[test]
fn a_request_has_the_same_answer_in_one_piece_as_in_two_whether_they_come_soon_or_not() {
    let post = |head: &str, body: &str| {
        let length = body.len();
        format!("POST {head}\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let cases = [
        post("/events/a HTTP/1.1", "hello"),
        post("/events/a HTTP/1.1", ""),
        post("/events/a?event=x&id=17&retry=1000 HTTP/1.1", "{}"),
        post("/events/a?nonsense HTTP/1.1", "x"),
        post("/events/a%0A HTTP/1.1", "x"),
        post("/events/%zz HTTP/1.1", "x"),
        post("/events HTTP/1.1", "x"),
        post("/events HTTP/1.1\r\ncontent-type: application/x-ndjson", "{\"topic\":\"a\"}\n"),
        post("/events HTTP/1.1\r\ncontent-type: application/x-ndjson", "{\"topic\":\n"),
        post("/events/a?end HTTP/1.1\r\ncontent-type: text/event-stream", "data: x\n\n"),
        post("/events/a HTTP/1.1\r\ncontent-encoding: gzip", "x"),
        post("/events/a HTTP/1.1\r\norigin: https://evil.example", "x"),
        post("/events/a HTTP/1.1\r\nauthorization: Bearer nonsense", "x"),
        post("/events/a HTTP/1.1\r\nif-none-match: *", "x"),
        post("/.well-known/mercure HTTP/1.1", "topic=a&data=b"),
        post("/healthz HTTP/1.1", "x"),
        post("/nothing/here HTTP/1.1", "x"),
        post("//events/a HTTP/1.1", "x"),
        post("http://localhost/events/a HTTP/1.1", "x"),
        post("/events/a HTTP/1.0", "x"),
        post("/events/a HTTP/1.1\r\nconnection: close", "x"),
        post("/events/a HTTP/1.1\r\nConnection: Keep-Alive", "x"),
        post("/events/a HTTP/1.1\r\nhost: b", "x"),
        post("/events/a HTTP/1.1\r\ncontent-length: 2", "x"),
        post("/events/a HTTP/1.1\r\ntransfer-encoding: chunked", "1\r\nx\r\n0\r\n\r\n"),
        post("/events/a HTTP/1.1\r\nbad name: x", "x"),
        "POST /events/a HTTP/1.1\r\ncontent-length: 1\r\n\r\nx".to_owned(),
        "POST /events/a HTTP/1.1\r\nhost: a b\r\ncontent-length: 1\r\n\r\nx".to_owned(),
        "POST /events/a HTTP/1.1\nHost: localhost\nContent-Length: 1\n\nx".to_owned(),
        post("/events/a HTTP/1.1", "one") + &post("/events/a HTTP/1.1", "two"),
    ];
    // They wait, so they wait side by side.
    thread::scope(|scope| {
        for case in &cases {
            scope.spawn(move || {
                let (first, last) = case.as_bytes().split_at(case.len() - 1);
                let whole = exchange(&TestServer::start(), &[case.as_bytes()], SLOW);
                let slowly = exchange(&TestServer::start(), &[first, last], SLOW);
                let soon = exchange(&TestServer::start(), &[first, last], SOON);
                assert!(whole.starts_with("HTTP/1."), "{case:?}: {whole:?}");
                assert_eq!(whole, slowly, "{case:?}");
                assert_eq!(whole, soon, "{case:?}");
            });
        }
    });
}

#[test]
fn a_connection_goes_on_with_any_request_after_a_short_one() {
    let server = TestServer::start();
    let short = || request("POST", "/events/a", &[], b"short");
    let chunked = "POST /events/a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n\
                   4\r\nlong\r\n0\r\n\r\n";
    let mut connection = server.connect();
    for other in [
        request("GET", "/healthz", &[], b""),
        chunked.into(),
        request("POST", "/events/a", &[], &[b'x'; 20_000]),
        request("OPTIONS", "/events/a", &[], b""),
    ] {
        let mut connection = server.connect();
        for request in [short(), short(), other, short()] {
            connection.send(request);
            let status = connection.response().status();
            assert!(matches!(status, 200 | 204), "{status}");
        }
    }
    // A body that comes in three pieces, soon and slowly; half of a head, and then the rest; and
    // two at once.
    for pause in [SOON, SLOW] {
        let mut connection = server.connect();
        for _ in 0..3 {
            let head = "POST /events/b HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n";
            for piece in [head, "one", "two", "six"] {
                connection.send(piece);
                thread::sleep(pause);
            }
            assert_eq!(connection.response().status(), 200);
        }
    }
    let page = server.get_json("/events/b").json();
    let events = page["events"].as_array().unwrap();
    assert_eq!(events.len(), 6);
    assert!(events.iter().all(|event| event["data"] == "onetwosix"), "{events:?}");
    let bytes = short();
    connection.send(&bytes);
    assert_eq!(connection.response().status(), 200);
    connection.send(&bytes[..30]);
    thread::sleep(Duration::from_millis(40));
    connection.send(&bytes[30..]);
    assert_eq!(connection.response().status(), 200);
    connection.send([short(), short()].concat());
    assert_eq!(connection.response().status(), 200);
    assert_eq!(connection.response().status(), 200);
    let page = server.get_json("/events/a");
    // Three of each of the four connections, the chunked and the long one, and four of the last.
    assert_eq!(page.json()["events"].as_array().unwrap().len(), 3 * 4 + 2 + 4);
}

#[test]
fn a_client_that_ends_its_side_gets_its_answer() {
    let server = TestServer::start();
    let mut connection = server.connect();
    connection.send(request("POST", "/events/a", &[], b"last words"));
    connection.finish();
    assert_eq!(connection.response().json()["id"], format!("{EPOCH}:1"));
    assert!(connection.is_closed());
}
