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
                // Each event that is published gets one, which a formatter would dominate.
                let digits = hex_digits(inner.len());
                let digit = |at: usize| b"0123456789abcdef"[inner.len() >> (4 * at) & 0xf];
                out.extend((0..digits).rev().map(digit));
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(inner);
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// The length of `inner_len` bytes, wrapped.
    pub(crate) const fn len(self, inner_len: usize) -> usize {
        match self {
            Self::Plain => inner_len,
            Self::Chunked => hex_digits(inner_len) + b"\r\n".len() + inner_len + b"\r\n".len(),
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

/// The number of hexadecimal digits of `n`.
const fn hex_digits(n: usize) -> usize {
    ((n | 1).ilog2() / 4 + 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_says_its_size_in_hexadecimal() {
        for inner_len in (0..0x120).chain([0xfff, 0x1000, 0xabcd, 0x1_0000, 0xf_ffff]) {
            let inner = vec![b'x'; inner_len];
            let mut wrapped = Vec::new();
            Framing::Chunked.wrap(&mut wrapped, &inner);
            let expected = [format!("{inner_len:x}\r\n").as_bytes(), &inner, b"\r\n"].concat();
            assert!(wrapped == expected, "{inner_len}");
            assert_eq!(Framing::Chunked.len(inner_len), wrapped.len());
        }
        assert_eq!(hex_digits(usize::MAX), 2 * size_of::<usize>());
    }
}
