use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use tidings_codec::encode;

use crate::epoch::Epoch;
use crate::position::Position;
use crate::record::Record;

/// How an event is wrapped on its way to a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// As one chunk of an HTTP/1.1 chunked body (RFC 9112 §7.1), for a socket that is written
    /// directly.
    Chunked,
    /// As it is, for a body that is framed elsewhere.
    Plain,
}

impl Framing {
    /// Appends `inner`, wrapped, to `out`.
    pub fn wrap(self, out: &mut Vec<u8>, inner: &[u8]) {
        match self {
            Self::Plain => out.extend_from_slice(inner),
            Self::Chunked => {
                let _ = write!(out, "{:x}\r\n", inner.len()); // a Vec takes every write
                out.extend_from_slice(inner);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// The bytes that end a body in this framing.
    pub const fn end(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::Chunked => b"0\r\n\r\n",
        }
    }
}

/// A record as bytes on the wire: encoded once, shared by all its recipients.
#[derive(Debug)]
pub struct Frame {
    record: Arc<Record>,
    bytes: Box<[u8]>,
    inner: Range<usize>,
}

impl Frame {
    /// Encodes `record` of the log named `epoch`.
    pub fn encode(record: Arc<Record>, epoch: Epoch) -> Self {
        let mut event = Vec::new();
        encode::event(
            &mut event,
            Some(&record.event_id(epoch)),
            record.event_type.as_ref(),
            record.retry_ms,
            &record.data,
        );
        let mut bytes = Vec::with_capacity(event.len() + CHUNK_OVERHEAD_BYTES);
        Framing::Chunked.wrap(&mut bytes, &event);
        let end = bytes.len() - b"\r\n".len();
        Self { record, inner: end - event.len()..end, bytes: bytes.into() }
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The record's place in the log.
    pub fn position(&self) -> Position {
        self.record.position()
    }

    /// The bytes for a sink that wants `framing`.
    pub fn bytes(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::Chunked => &self.bytes,
            Framing::Plain => &self.bytes[self.inner.clone()],
        }
    }
}

/// A chunk's size in hexadecimal and two line ends.
const CHUNK_OVERHEAD_BYTES: usize = 16 + 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, Timestamp, Topic};

    #[test]
    fn both_framings_hold_the_same_event() {
        let draft = Draft::new(Topic::new("a").expect("a valid topic"), "hello\nworld");
        let record = Record::new(draft, Position::new(7), Timestamp::default());
        let frame = Frame::encode(Arc::new(record), Epoch::parse("k7q2ma").expect("valid"));
        let plain = b"id: k7q2ma:7\ndata: hello\ndata: world\n\n";
        assert_eq!(frame.bytes(Framing::Plain), plain);
        let mut chunk = Vec::new();
        Framing::Chunked.wrap(&mut chunk, plain);
        assert_eq!(frame.bytes(Framing::Chunked), chunk);
        assert!(chunk.starts_with(b"26\r\nid: "), "38 bytes are 0x26");
    }
}
