//! HTTP/1.1 as bytes: a client that can be as wrong as a test needs, and tolerates no errors.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Silence after which a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time after which a test fails that waits for one thing, although the peer is not silent: a
/// stream with heartbeats never is.
const PATIENCE_IN_ALL: Duration = Duration::from_secs(60);

/// The bytes of a request, with `Host` and, for a body, `Content-Length` unless `headers` have one
/// of their own.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    if !has("host") {
        bytes.extend_from_slice(b"host: localhost\r\n");
    }
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() && !has("content-length") && !has("transfer-encoding") {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// The status and headers of an answer.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The value of the only header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "more than one {name}");
        value
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its head.
    pub head: Head,
    /// Its body, without chunks.
    pub body: Vec<u8>,
}

impl Response {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The value of the only header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body, as text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("UTF-8")
    }

    /// The body, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The `code` of a problem; the body must be problem details for this status.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status(), "{json}");
        for member in ["type", "title", "detail"] {
            assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{json}");
        }
        json["code"].as_str().expect("a code").to_owned()
    }
}

/// A connection, and the bytes received but not yet consumed.
pub struct Connection {
    stream: TcpStream,
    raw: Vec<u8>,
    /// The body of a stream, without chunks.
    text: Vec<u8>,
    chunked: bool,
    ended: bool,
    /// The body in chunks ended without its last chunk.
    was_cut: bool,
    /// Until when the test waits for what it reads now.
    until: Instant,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            raw: Vec::new(),
            text: Vec::new(),
            chunked: false,
            ended: false,
            was_cut: false,
            until: Instant::now(),
        }
    }

    /// Sends bytes, whether or not the peer takes them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Sends nothing more.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next head.
    pub fn head(&mut self) -> Head {
        self.begin_to_wait();
        let end = loop {
            if let Some(at) = find(&self.raw, b"\r\n\r\n") {
                break at;
            }
            assert!(self.fill(), "closed within a head: {:?}", String::from_utf8_lossy(&self.raw));
        };
        let head: Vec<u8> = self.raw.drain(..end + 4).collect();
        let head = str::from_utf8(&head).expect("a head in UTF-8");
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let status_line = lines.next().expect("a status line");
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        let head = Head {
            status: status.unwrap_or_else(|| panic!("no status in {status_line:?}")),
            headers: lines.map(header).collect(),
        };
        self.chunked = head.is_chunked();
        self.ended = false;
        head
    }

    /// The next complete answer.
    pub fn response(&mut self) -> Response {
        let head = self.head();
        let length = head.header("content-length").map(|text| text.parse().expect("a length"));
        let body = match length {
            _ if head.status == 204 || head.status == 304 => Vec::new(),
            Some(length) => {
                while self.raw.len() < length {
                    assert!(self.fill(), "closed within a body");
                }
                self.raw.drain(..length).collect()
            }
            None => {
                self.begin_to_wait();
                while self.more() {}
                std::mem::take(&mut self.text)
            }
        };
        Response { head, body }
    }

    /// The next block of an event stream, with the blank line that ends it; `None` at the end of
    /// the stream.
    pub fn block(&mut self) -> Option<String> {
        self.begin_to_wait();
        self.next_block()
    }

    fn next_block(&mut self) -> Option<String> {
        loop {
            if let Some(at) = find(&self.text, b"\n\n") {
                let block: Vec<u8> = self.text.drain(..at + 2).collect();
                return Some(String::from_utf8(block).expect("UTF-8"));
            }
            if !self.more() {
                assert!(self.text.is_empty(), "ended within a block");
                return None;
            }
        }
    }

    /// The same, but what is left at the end of the stream counts as a block.
    pub fn block_or_rest(&mut self) -> Option<String> {
        self.begin_to_wait();
        loop {
            if find(&self.text, b"\n\n").is_some() {
                return self.next_block();
            }
            if !self.more() {
                let rest = std::mem::take(&mut self.text);
                return (!rest.is_empty()).then(|| String::from_utf8(rest).expect("UTF-8"));
            }
        }
    }

    /// The next event: a block with data.
    pub fn event(&mut self) -> Option<String> {
        self.begin_to_wait();
        loop {
            let block = self.next_block()?;
            if block.lines().any(|line| line.starts_with("data:")) {
                return Some(block);
            }
        }
    }

    /// Reads until `wanted` is in the stream; `false` if the stream ends without it.
    pub fn reads(&mut self, wanted: &[u8]) -> bool {
        self.begin_to_wait();
        while find(&self.text, wanted).is_none() {
            if !self.more() {
                return false;
            }
        }
        true
    }

    /// Reads to the end of the stream; returns whether it was cut, which asks the client to come
    /// back, instead of ended.
    pub fn is_cut(&mut self) -> bool {
        self.begin_to_wait();
        while self.more() {}
        self.was_cut
    }

    /// The next `length` bytes.
    pub fn bytes(&mut self, length: usize) -> String {
        self.begin_to_wait();
        while self.raw.len() < length {
            assert!(self.fill(), "closed within a body");
        }
        let bytes = self.raw.drain(..length).collect();
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// Whether there is something to read now, or the peer has closed the connection.
    pub fn has_input(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("no waiting");
        let peeked = self.stream.peek(&mut [0]);
        let is_silent = peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).expect("waiting");
        !self.raw.is_empty() || !is_silent
    }

    /// Whether the peer closes the connection without sending more.
    pub fn is_closed(&mut self) -> bool {
        self.begin_to_wait();
        self.raw.is_empty() && !self.fill()
    }

    /// Reads more of a body without a length; returns whether there is more.
    fn more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        if !self.chunked {
            self.ended = self.raw.is_empty() && !self.fill();
            self.text.append(&mut self.raw);
            return !self.ended;
        }
        let size_end = loop {
            match find(&self.raw, b"\r\n") {
                Some(at) => break at,
                None if self.fill() => {}
                None => {
                    assert!(self.raw.is_empty(), "closed within a chunk's size");
                    (self.ended, self.was_cut) = (true, true);
                    return false;
                }
            }
        };
        let size = str::from_utf8(&self.raw[..size_end]).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        let whole = size_end + 2 + size + 2;
        while self.raw.len() < whole {
            assert!(self.fill(), "closed within a chunk");
        }
        let chunk: Vec<u8> = self.raw.drain(..whole).collect();
        assert_eq!(&chunk[whole - 2..], b"\r\n");
        self.text.extend_from_slice(&chunk[size_end + 2..whole - 2]);
        self.ended = size == 0;
        !self.ended
    }

    fn begin_to_wait(&mut self) {
        self.until = Instant::now() + PATIENCE_IN_ALL;
    }

    /// Reads available bytes; `false` at the end.
    fn fill(&mut self) -> bool {
        assert!(
            Instant::now() < self.until,
            "not there after {PATIENCE_IN_ALL:?}; so far: {:?}, {:?}",
            String::from_utf8_lossy(&self.text),
            String::from_utf8_lossy(&self.raw),
        );
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(length) => {
                self.raw.extend_from_slice(&buffer[..length]);
                length > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}; so far: {:?}", String::from_utf8_lossy(&self.raw)),
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
