//! HTTP/2 as frames (RFC 9113): a client that can be as wrong as a test needs.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Time to wait before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time to wait for one frame among others that keep coming.
const PATIENCE_IN_ALL: Duration = Duration::from_secs(60);

/// The beginning of a connection: preface and empty settings (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Kinds of frames (RFC 9113 §6).
#[allow(missing_docs)]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flag of data and heads: nothing follows on the stream. Flag of settings and pings: an answer.
pub const END_STREAM: u8 = 1;

/// Flag of a head: it is complete.
pub const END_HEADERS: u8 = 4;

/// The error code of a stream that is cut (RFC 9113 §7).
pub const INTERNAL_ERROR: u32 = 2;

/// The bytes of a frame (RFC 9113 §4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The authority of a request, a field as for [`get_from`].
pub const LOCALHOST: (&str, &str) = ("\x01", "localhost");

/// The head of a `GET` of `path`, by the static table and literals (RFC 7541).
pub fn get(path: &str) -> Vec<u8> {
    get_from(path, &[LOCALHOST])
}

/// The same with other fields after the path: each a name as bytes of a literal without indexing,
/// and a value.
pub fn get_from(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = b"\x82\x86".to_vec();
    for (name, value) in [("\x04", path)].iter().chain(fields) {
        head.extend_from_slice(name.as_bytes());
        push_length(&mut head, value.len());
        head.extend_from_slice(value.as_bytes());
    }
    head
}

/// The head of a `POST` to `path`, with fields as for [`get_from`].
pub fn post(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = get_from(path, fields);
    head[0] = 0x83; // `POST`, by the static table
    head
}

/// A length as HPACK writes it, without Huffman coding (RFC 7541 §5.1).
fn push_length(head: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        head.push(length as u8);
        return;
    };
    head.push(127);
    while rest >= 128 {
        head.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    head.push(rest as u8);
}

/// The status that the first head of a connection begins with: an index of the static table, or a
/// literal with Huffman coding (RFC 7541 §6.1, §6.2 and appendices A and B).
fn status(head: &[u8]) -> u16 {
    match head {
        [index @ 0x88..=0x8e, ..] => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(*index) - 0x88]
        }
        [0x08 | 0x18 | 0x48, 0x82 | 0x83, first, second, third, ..] => {
            // Three digits may end in the second byte; then the third belongs to the next field.
            let mut bits = u32::from_be_bytes([*first, *second, *third, 0]);
            (0..3).fold(0, |status, _| {
                let (digit, length) = match bits >> 27 {
                    digit @ 0..=2 => (digit, 5),
                    _ => ((bits >> 26) - 0x16, 6),
                };
                bits <<= length;
                status * 10 + digit as u16
            })
        }
        _ => panic!("no status that this client understands: {head:x?}"),
    }
}

/// A frame that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// See [`kind`].
    pub kind: u8,
    /// Flags, whose meaning depends on the kind.
    pub flags: u8,
    /// Stream id; 0 is the connection.
    pub stream: u32,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether it ends the stream cleanly.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// The error code of a reset or a goodbye.
    pub fn error(&self) -> Option<u32> {
        let at = match self.kind {
            kind::RST_STREAM => 0,
            kind::GOAWAY => 4,
            _ => return None,
        };
        let code = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(code.try_into().expect("four bytes")))
    }
}

/// All complete frames in `bytes`.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = split(bytes) {
        frames.push(frame);
        bytes = rest;
    }
    frames
}

fn split(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (head, rest) = bytes.split_at_checked(9)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let (payload, rest) = rest.split_at_checked(length)?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((Frame { kind: head[3], flags: head[4], stream, payload: payload.to_vec() }, rest))
}

/// A connection without TLS, with prior knowledge.
pub struct Peer {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Peer {
    /// Connects, and sends preface and settings.
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let mut peer = Self { stream, bytes: Vec::new() };
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        // Only the magic; these settings replace the empty ones.
        peer.send(&PREFACE[..24]);
        peer.send(&frame(kind::SETTINGS, 0, 0, &payload));
        peer
    }

    /// Sends bytes, whether or not the peer takes them.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Requests `path`, with nothing after the head.
    pub fn ask(&mut self, stream: u32, path: &str) {
        self.send(&frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &get(path)));
    }

    /// Sends the head of a `POST` to `path`, with fields as for [`get_from`]. Its body follows as
    /// data of the stream. All of it together must fit the window that every stream begins with
    /// (65,535 bytes): updates are not counted.
    pub fn begin_post(&mut self, stream: u32, path: &str, fields: &[(&str, &str)]) {
        self.send(&frame(kind::HEADERS, END_HEADERS, stream, &post(path, fields)));
    }

    /// Status and body of the answer on `stream`. It must be the first answer of the connection,
    /// because heads after that may refer to it, and shorter than 65,535 bytes.
    pub fn answer(&mut self, stream: u32) -> (u16, Vec<u8>) {
        let of_answer = |frame: &Frame| {
            let is_its_kind = [kind::HEADERS, kind::DATA, kind::RST_STREAM].contains(&frame.kind);
            frame.stream == stream && is_its_kind
        };
        let mut last = self.until(of_answer);
        assert_eq!(last.kind, kind::HEADERS, "no answer: {last:?}");
        let status = status(&last.payload);
        let mut body = Vec::new();
        while !last.ends_stream() {
            last = self.until(of_answer);
            assert_eq!(last.kind, kind::DATA, "the answer does not end: {last:?}");
            body.extend_from_slice(&last.payload);
        }
        (status, body)
    }

    /// Closes the connection, as the system does for a program that is killed, and waits until the
    /// server has closed it, too. Dropped with something unread, it would be reset instead.
    pub fn close(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.next_frame().is_some() {}
    }

    /// The next frame; `None` at the end.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, rest)) = split(&self.bytes) {
                self.bytes = rest.to_vec();
                return Some(frame);
            }
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads until a frame satisfies `wanted`.
    pub fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE_IN_ALL, "not there after {PATIENCE_IN_ALL:?}");
            let frame = self.next_frame().expect("it ends without the wanted frame");
            if wanted(&frame) {
                return frame;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples are those of RFC 7541 §C.6.
    #[test]
    fn the_status_of_an_answer_is_read() {
        for (head, expected) in [
            (&[0x88][..], 200),
            (&[0x8c, 0x48], 400),
            (&[0x48, 0x82, 0x64, 0x02, 0x58], 302),
            (&[0x48, 0x83, 0x64, 0x0e, 0xff], 307),
        ] {
            assert_eq!(status(head), expected, "{head:x?}");
        }
    }
}
