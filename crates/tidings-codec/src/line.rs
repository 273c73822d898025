//! Where lines end, and what must be remembered when a chunk ends first.
//!
//! A line ends at LF, at CR, or at CR LF taken together, and at nothing else, whatever Unicode says
//! about line separators (HTML §9.2.6). CR, LF and the colon are single bytes below 0x80. No byte
//! of a longer UTF-8 sequence is below 0x80, so lines and fields can be cut out of the bytes first
//! and decoded one by one later, and the text is the same as if all had been decoded first.
//!
//! Two things may span the edge between chunks:
//!
//! - *CR LF*. The line ends at the CR, at once, because an event must not wait for a byte that may
//!   never come. If the CR is the last byte of the chunk, we remember to swallow one LF.
//! - *The byte order mark* (EF BB BF), which may begin a stream and is then not part of it. We
//!   remember how much of it has been seen. If it turns out not to be one, the bytes taken for it
//!   are the start of the first line, and since no known field begins with EF, that line will be
//!   ignored. So the bytes need not be kept: it is enough to know that there were some.

use memchr::memchr2;

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// The state left open by the end of the last chunk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge {
    /// Number of bytes of a byte order mark seen at the start; three once that is settled.
    mark_bytes: u8,
    /// Whether the last byte was a CR that ended a line.
    after_cr: bool,
}

/// The meaning of the first bytes of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The rest of the chunk continues where the last one ended.
    Clean,
    /// The same, but what looked like a byte order mark was the start of a line, and has been
    /// consumed.
    NotAMark,
}

impl Edge {
    /// Whether the next chunk must go through [`settle`](Self::settle).
    pub(crate) fn is_open(&self) -> bool {
        self.after_cr || usize::from(self.mark_bytes) < BYTE_ORDER_MARK.len()
    }

    /// Removes the bytes that belong to the edge from the front of `input`.
    pub(crate) fn settle(&mut self, input: &mut &[u8]) -> Settled {
        while let Some(expected) = BYTE_ORDER_MARK.get(usize::from(self.mark_bytes)) {
            let Some((first, rest)) = input.split_first() else {
                return Settled::Clean;
            };
            if first != expected {
                let seen = core::mem::replace(&mut self.mark_bytes, BYTE_ORDER_MARK.len() as u8);
                return if seen == 0 { Settled::Clean } else { Settled::NotAMark };
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
        if let [b'\n', rest @ ..] = *input {
            *input = rest;
            return;
        }
        match *input {
            [b'\r', b'\n', rest @ ..] => *input = rest,
            [b'\r'] => {
                self.after_cr = true;
                *input = &[];
            }
            [b'\r', rest @ ..] => *input = rest,
            _ => {}
        }
    }
}

/// The end of the first line in `bytes`, if it ends there.
///
/// memchr is fastest on long lines, but calling it takes longer than scanning a short line, or the
/// end of a chunk, here: one word of eight bytes at a time. The bytes that do not fill the last
/// word are scanned in a word that overlaps the one before.
#[inline]
pub(crate) fn line_end(bytes: &[u8]) -> Option<usize> {
    let Some(head) = bytes.first_chunk::<16>() else {
        return line_end_within_16(bytes);
    };
    let both = u128::from_le_bytes(*head);
    let (low, high) = (line_ends(both as u64), line_ends((both >> 64) as u64));
    if low != 0 {
        return Some(low.trailing_zeros() as usize / 8);
    }
    if high != 0 {
        return Some(8 + high.trailing_zeros() as usize / 8);
    }
    memchr2(b'\r', b'\n', &bytes[16..]).map(|at| 16 + at)
}

/// Like [`line_end`], for when the line probably does not end in `bytes`.
#[inline]
pub(crate) fn unlikely_line_end(bytes: &[u8]) -> Option<usize> {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) if bytes.len() <= 64 => end_in_block(first)
            .or_else(|| end_in_block(last).map(|at| bytes.len() - last.len() + at)),
        _ => line_end(bytes),
    }
}

#[inline]
fn end_in_block(block: &[u8; 32]) -> Option<usize> {
    let words = block.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    // Most texts have no characters below 0x10 except line ends: looking for any of them is enough
    // at first, and takes a third of the time.
    let low = words.clone().fold(0, |low, word| low | (word.wrapping_sub(ONES * 0x10) & !word));
    if low & HIGHS == 0 {
        return None;
    }
    words.enumerate().find_map(|(n, word)| {
        let ends = line_ends(word);
        (ends != 0).then(|| 8 * n + ends.trailing_zeros() as usize / 8)
    })
}

/// Like [`line_end`], for fewer than 16 bytes.
#[inline]
pub(crate) fn line_end_within_16(bytes: &[u8]) -> Option<usize> {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let ends = line_ends(u64::from_le_bytes(*first));
        if ends != 0 {
            return Some(ends.trailing_zeros() as usize / 8);
        }
        let ends = line_ends(u64::from_le_bytes(*last));
        return (ends != 0).then(|| bytes.len() - 8 + ends.trailing_zeros() as usize / 8);
    }
    bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))
}

const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// Has the high bit of the first byte that is CR or LF, none before it, and perhaps some after it.
#[inline]
fn line_ends(word: u64) -> u64 {
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    zeros(word ^ (ONES * b'\n' as u64)) | zeros(word ^ (ONES * b'\r' as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_is_found_wherever_it_is() {
        // Several words of the fast search; Miri needs an hour for more than two.
        let longest = if cfg!(miri) { 40 } else { 200 };
        for len in 0..longest {
            let mut bytes = alloc::vec![b'x'; len];
            assert_eq!((line_end(&bytes), unlikely_line_end(&bytes)), (None, None), "{len}");
            for at in (0..len).rev() {
                for end in [b'\n', b'\r'] {
                    bytes[at] = end;
                    assert_eq!(line_end(&bytes), Some(at), "{len}");
                    assert_eq!(unlikely_line_end(&bytes), Some(at), "{len}");
                }
            }
        }
    }

    #[test]
    fn no_other_byte_ends_a_line() {
        for byte in (0..=255).filter(|byte| !b"\r\n".contains(byte)) {
            for len in [1, 8, 16, 50, 100] {
                let bytes = alloc::vec![byte; len];
                assert_eq!(line_end(&bytes), None, "{byte:#x}");
                assert_eq!(unlikely_line_end(&bytes), None, "{byte:#x}");
            }
        }
    }
}
