//! Hubs over both protocols and on both engines, and producers whose bodies are sent as they are
//! made.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_hub::Topic;
use tidings_testkit::http::{Connection, request};
use tidings_testkit::http2::{END_STREAM, LOCALHOST, Peer, frame, kind};
use tidings_testkit::server::{EPOCH, TestServer};

pub const NDJSON: &str = "content-type: application/x-ndjson";
pub const EVENT_STREAM: &str = "content-type: text/event-stream";
pub const FIRST: &str = "if-none-match: *";

/// The stream of a producer over HTTP/2.
const STREAM: u32 = 1;

/// A hub, and the protocol by which it is asked.
pub struct Hub {
    pub server: TestServer,
    pub protocol: &'static str,
}

/// Every protocol on every engine.
pub fn hubs() -> Vec<Hub> {
    let rows = [false, true].into_iter().flat_map(|portable| {
        ["--http1.1", "--http2-prior-knowledge"].map(|protocol| (portable, protocol))
    });
    rows.map(|(portable, protocol)| {
        let server = TestServer::builder().engine(|c| c.portable = portable).start();
        Hub { server, protocol }
    })
    .collect()
}

impl Hub {
    /// Sends a request; returns the status and the JSON of the answer.
    pub fn ask(&self, method: &str, target: &str, headers: &[&str], body: &str) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "60", self.protocol]);
        curl.args(["-X", method, "--write-out", "\n%{http_code}", "-H", "expect:"]);
        for header in headers {
            curl.args(["-H", header]);
        }
        if !body.is_empty() {
            curl.args(["--data-binary", body]);
        }
        let output = curl.arg(self.server.url(target)).output().unwrap().stdout;
        let text = String::from_utf8_lossy(&output);
        let (body, status) = text.rsplit_once('\n').expect("an answer");
        (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    pub fn post(&self, target: &str, headers: &[&str], body: &str) -> (u16, Value) {
        self.ask("POST", target, headers, body)
    }

    /// Begins a body that is sent as it is made, by a client that looks for an answer also while
    /// it has nothing to send, and keeps one that came before the end of the body. (curl does
    /// neither: over HTTP/1.1 the hub gives a publisher that it stops no more than a moment before
    /// it resets the connection, and over HTTP/2 curl drops an answer that comes together with the
    /// reset of its stream, which RFC 9113 §8.1 forbids.)
    pub fn produce(&self, target: &str, headers: &[&str]) -> Producer {
        let headers = headers.iter().map(|header| header.split_once(": ").unwrap());
        if self.protocol == "--http1.1" {
            let headers: Vec<_> = headers.chain([("transfer-encoding", "chunked")]).collect();
            let mut connection = Connection::open(self.server.address());
            connection.send(request("POST", target, &headers, b""));
            return Producer::Http1(connection);
        }
        // Literals with new names.
        let name = |name: &str| format!("\0{}{name}", char::from(name.len() as u8));
        let headers: Vec<_> = headers.map(|(key, value)| (name(key), value)).collect();
        let headers = headers.iter().map(|(name, value)| (&**name, *value));
        let fields: Vec<_> = [LOCALHOST].into_iter().chain(headers).collect();
        let mut peer = Peer::connect(self.server.address(), &[]);
        peer.begin_post(STREAM, target, &fields);
        Producer::Http2(peer)
    }

    /// Type and data of all events on `topic`.
    pub fn events(&self, topic: &str) -> Vec<(String, String)> {
        let page = self.server.get_json(&format!("/events/{topic}")).json();
        let text = |value: &Value| value.as_str().unwrap_or("message").to_owned();
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| (text(&event["event"]), text(&event["data"]))).collect()
    }

    pub fn data(&self, topic: &str) -> Vec<String> {
        self.events(topic).into_iter().map(|(_, data)| data).collect()
    }

    /// `None` if there is no such topic.
    pub fn is_ended(&self, topic: &str) -> Option<bool> {
        let state = self.server.engine().topic(Topic::new(topic).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(state).unwrap().map(|state| state.ended)
    }

    pub fn has_publisher(&self, topic: &str) -> bool {
        self.server.engine().has_publisher(&Topic::new(topic).unwrap())
    }
}

/// A client that sends a body as it makes it.
pub enum Producer {
    Http1(Connection),
    Http2(Peer),
}

impl Producer {
    /// Sends more of the body, if the server takes it. One that does not has answered already: then
    /// the answer says why, and it is what the test asserts.
    pub fn send(&mut self, part: &str) {
        match self {
            Self::Http1(connection) => connection.send(format!("{:x}\r\n{part}\r\n", part.len())),
            Self::Http2(peer) => peer.send(&frame(kind::DATA, 0, STREAM, part.as_bytes())),
        }
    }

    /// Ends the body.
    pub fn finish(mut self) -> (u16, Value) {
        match &mut self {
            Self::Http1(connection) => connection.send("0\r\n\r\n"),
            Self::Http2(peer) => peer.send(&frame(kind::DATA, END_STREAM, STREAM, b"")),
        }
        self.answer()
    }

    /// The answer, which may come before the body ends.
    pub fn answer(self) -> (u16, Value) {
        match self {
            Self::Http1(mut connection) => {
                let response = connection.response();
                (response.status(), response.json())
            }
            Self::Http2(mut peer) => {
                let (status, body) = peer.answer(STREAM);
                (status, serde_json::from_slice(&body).unwrap())
            }
        }
    }

    /// `kill -9`.
    pub fn kill(self) {
        match self {
            Self::Http1(connection) => drop(connection),
            Self::Http2(peer) => peer.close(),
        }
    }
}

/// Waits until `is_so`.
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `text` as an event of a format.
pub fn event(format: &str, data: &str) -> String {
    match format {
        NDJSON => json!({ "data": data }).to_string() + "\n",
        _ => format!("data: {data}\n\n"),
    }
}

/// The data of a stream's events until its end, and whether it was cut.
pub fn read_to_end(mut stream: Connection) -> (Vec<String>, bool) {
    let mut all = Vec::new();
    while let Some(event) = stream.event() {
        let data = event.lines().filter_map(|line| line.strip_prefix("data: "));
        all.push(data.collect::<Vec<_>>().join("\n"));
    }
    (all, stream.is_cut())
}

pub fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}
