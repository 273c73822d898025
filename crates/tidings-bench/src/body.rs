/// Removes the framing from a response body, in pieces of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// No framing: the body ends with the connection.
    UntilClose,
    /// `Content-Length`: this many bytes are left.
    Length(u64),
    /// Chunks (RFC 9112 §7.1).
    Chunked(Chunk),
    /// All of it has been read.
    Ended,
}

/// The place in the chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// In the digits of a size.
    Size(u64),
    /// After them: an extension, and the end of the line.
    SizeEnd(u64),
    /// This many bytes of the chunk are left.
    Data(u64),
    /// In the line end after a chunk.
    DataEnd,
    /// After the last chunk, in the trailers, with this many bytes of the current line.
    Trailer(u32),
}

/// The framing is not valid HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Body {
    pub(crate) const CHUNKED: Self = Self::Chunked(Chunk::Size(0));

    /// Takes the next piece of content from `input`. It is empty when more input is needed or the
    /// body has ended; the rest of `input` then belongs to the next response.
    pub(crate) fn take<'a>(&mut self, input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Ended => Ok(&[]),
            Self::UntilClose => Ok(std::mem::take(input)),
            Self::Length(left) => {
                let content = split(input, *left);
                *left -= content.len() as u64;
                if *left == 0 {
                    *self = Self::Ended;
                }
                Ok(content)
            }
            Self::Chunked(chunk) => {
                let content = chunk.take(input)?;
                if let Some(content) = content {
                    return Ok(content);
                }
                *self = Self::Ended;
                Ok(&[])
            }
        }
    }
}

impl Chunk {
    /// `None` once the last chunk and its trailers were read.
    fn take<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
        loop {
            if let Self::Data(left) = self {
                if input.is_empty() {
                    return Ok(Some(&[]));
                }
                let content = split(input, *left);
                *left -= content.len() as u64;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                return Ok(Some(content));
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(Some(&[])) };
            *input = rest;
            *self = match (*self, byte) {
                (Self::Size(size), b'\r' | b';' | b' ' | b'\t') => Self::SizeEnd(size),
                (Self::Size(size), digit) => {
                    let digit = (digit as char).to_digit(16).ok_or(Malformed)?;
                    Self::Size(size.checked_mul(16).ok_or(Malformed)? + u64::from(digit))
                }
                (Self::SizeEnd(0), b'\n') => Self::Trailer(0),
                (Self::SizeEnd(size), b'\n') => Self::Data(size),
                (state @ Self::SizeEnd(_), _) => state,
                (Self::DataEnd, b'\r') => Self::DataEnd,
                (Self::DataEnd, b'\n') => Self::Size(0),
                (Self::DataEnd, _) => return Err(Malformed),
                (Self::Trailer(0), b'\n') => return Ok(None),
                (Self::Trailer(_), b'\n') => Self::Trailer(0),
                (state @ Self::Trailer(_), b'\r') => state,
                (Self::Trailer(bytes), _) => Self::Trailer(bytes + 1),
                (Self::Data(_), _) => unreachable!("handled above"),
            };
        }
    }
}

fn split<'a>(input: &mut &'a [u8], at_most: u64) -> &'a [u8] {
    let bytes = input.len().min(usize::try_from(at_most).unwrap_or(usize::MAX));
    let (content, rest) = input.split_at(bytes);
    *input = rest;
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut body: Body, stream: &[u8], piece: usize) -> (Vec<u8>, Body) {
        let mut content = Vec::new();
        for mut input in stream.chunks(piece) {
            while !input.is_empty() && body != Body::Ended {
                content.extend_from_slice(body.take(&mut input).expect("valid framing"));
            }
        }
        (content, body)
    }

    #[test]
    fn chunks_are_joined_wherever_the_stream_is_cut() {
        let stream = b"5\r\nhello\r\n1;x=y\r\n \r\n0006\r\nworld\n\r\n0\r\nTrailer: 1\r\n\r\n";
        for piece in 1..=stream.len() {
            let (content, body) = read(Body::CHUNKED, stream, piece);
            assert_eq!(content, b"hello world\n", "pieces of {piece}");
            assert_eq!(body, Body::Ended);
        }
    }

    #[test]
    fn a_length_ends_where_it_says_and_leaves_the_rest() {
        let mut input = &b"hello world"[..];
        let mut body = Body::Length(5);
        assert_eq!(body.take(&mut input), Ok(&b"hello"[..]));
        assert_eq!((body, input), (Body::Ended, &b" world"[..]));
    }

    #[test]
    fn a_malformed_chunk_is_an_error() {
        let mut body = Body::CHUNKED;
        assert_eq!(body.take(&mut &b"zz\r\n"[..]), Err(Malformed));
    }
}
