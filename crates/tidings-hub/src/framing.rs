use std::io::Write;

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
