//! Where lines end, and what must be remembered when a chunk ends first.
//!
//! A line ends at LF, at CR, or at CR LF taken together; at nothing else, whatever Unicode says
//! about line separators (HTML §9.2.6). All three are single bytes below 0x80 and so is the colon.
//! No byte of a longer UTF-8 sequence is below 0x80, so lines and fields can be cut out of the bytes
//! first and decoded one by one later, and the text is the same as if all had been decoded first.
//!
//! Two things may straddle the edge between chunks:
//!
//! - *CR LF*. The line ends at the CR, at once, for an event must not wait for a byte that may never
//!   come. If the CR is the last byte of the chunk, we remember to swallow one LF.
//! - *The byte order mark* (EF BB BF) that may open a stream and is then no part of it. We remember
//!   how much of it has been seen. If it turns out to be none, the bytes taken for it are the start
//!   of the first line, and since no known field begins with EF that line will be ignored. So the
//!   bytes need not be kept: it is enough to know that there were some.

use memchr::memchr2;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// What the end of the last chunk left open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    /// How many bytes of a byte order mark opened the stream; three once that is settled.
    mark_bytes: u8,
    /// The last byte was a CR that ended a line.
    after_cr: bool,
}

/// What an [`Edge`] makes of the first bytes of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The rest of the chunk goes on where the last one ended.
    Clean,
    /// As above, but what looked like a byte order mark was the start of a line, now behind us.
    NotAMark,
}

impl Edge {
    /// Whether the next chunk must go through [`settle`](Self::settle).
    pub(crate) fn is_open(&self) -> bool {
        self.after_cr || usize::from(self.mark_bytes) < BYTE_ORDER_MARK.len()
    }

    /// Removes from the front of `input` what belongs to the edge.
    pub(crate) fn settle(&mut self, input: &mut &[u8]) -> Settled {
        while let Some(expected) = BYTE_ORDER_MARK.get(usize::from(self.mark_bytes)) {
            let Some((first, rest)) = input.split_first() else {
                return Settled::Clean;
            };
            if first != expected {
                let seen = core::mem::replace(&mut self.mark_bytes, BYTE_ORDER_MARK.len() as u8);
                return if seen == 0 {
                    Settled::Clean
                } else {
                    Settled::NotAMark
                };
            }
            self.mark_bytes += 1;
            *input = rest;
        }
        if self.after_cr && !input.is_empty() {
            self.after_cr = false;
            *input = input.strip_prefix(b"\n").unwrap_or(input);
        }
        Settled::Clean
    }

    /// Steps over the line end that `input` begins with.
    #[inline]
    pub(crate) fn end_line(&mut self, input: &mut &[u8]) {
        match **input {
            [b'\r', b'\n', ..] => *input = &input[2..],
            [b'\r'] => {
                self.after_cr = true;
                *input = &[];
            }
            [_, ..] => *input = &input[1..],
            [] => {}
        }
    }
}

/// Where the line that `bytes` begins with ends, if it ends there.
#[inline]
pub(crate) fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\r', b'\n', bytes)
}
