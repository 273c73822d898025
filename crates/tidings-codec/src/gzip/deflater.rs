use alloc::vec::Vec;

use super::bits::BitWriter;
use super::matches::{LENGTH_MIN, Matches, Text, WINDOW_BYTES};
use super::{BLOCK_BYTES_MAX, STORED_OVERHEAD_BYTES, codes, stored};

/// Turns text into deflate blocks (RFC 1951) that refer to the last 2 KiB before them.
///
/// The bytes depend on the text since the last [`forget`](Self::forget) and on how it was divided
/// into blocks, and on nothing else: made again, they are the same. A block is at most
/// [`STORED_OVERHEAD_BYTES`] longer than its text. A deflater takes about 12 KiB, and while it
/// works as much again as the block is long.
///
/// It knows the fixed Huffman codes only. For texts of a few hundred bytes tables of their own cost
/// what they save.
#[derive(Debug)]
pub struct Deflater {
    /// The text that blocks may refer to, and the one that is being compressed.
    text: Vec<u8>,
    /// Number of bytes before `text`.
    origin: usize,
    /// Number of bytes of `text` whose places are entered.
    entered: usize,
    matches: Matches,
}

impl Deflater {
    /// Memory that one takes between two blocks, in bytes, if no block was longer than 4 KiB.
    pub const BYTES: usize = 12 * 1024;

    /// A deflater that knows no text.
    pub fn new() -> Self {
        Self { text: Vec::new(), origin: 0, entered: 0, matches: Matches::new() }
    }

    /// Forgets the text so far: the next block refers to nothing before it.
    pub fn forget(&mut self) {
        self.text.clear();
        (self.origin, self.entered) = (0, 0);
        self.matches.forget();
    }

    /// Forgets the text so far and knows `text` instead, as if it had made the blocks for it.
    pub fn begin_with(&mut self, text: &[u8]) {
        self.forget();
        self.text.extend_from_slice(&text[text.len().saturating_sub(WINDOW_BYTES)..]);
    }

    /// Appends `text` to `out`, in blocks of at most [`BLOCK_BYTES_MAX`] bytes of it. All of it can
    /// be decoded from what is then there.
    pub fn block(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        for piece in text.chunks(BLOCK_BYTES_MAX) {
            let start = out.len();
            let begin = self.text.len();
            self.text.extend_from_slice(piece);
            self.compress(out, begin);
            if out.len() - start > piece.len() + STORED_OVERHEAD_BYTES {
                out.truncate(start);
                stored(out, piece);
            }
            self.trim();
        }
    }

    /// Appends one block with the text from `begin` on, and a flush.
    fn compress(&mut self, out: &mut Vec<u8>, begin: usize) {
        let mut bits = BitWriter::new(out);
        bits.put(0b010, 3); // not the last block; fixed codes
        let end = self.text.len();
        let mut at = begin;
        let mut found = self.longest(at);
        while at < end {
            let Some((length, distance)) = found else {
                codes::literal(&mut bits, self.text[at]);
                at += 1;
                found = self.longest(at);
                continue;
            };
            // A byte later there may be a longer one.
            if length < GOOD_LENGTH && at + 1 < end {
                let next = self.longest(at + 1);
                if next.is_some_and(|(longer, _)| longer > length) {
                    codes::literal(&mut bits, self.text[at]);
                    at += 1;
                    found = next;
                    continue;
                }
            }
            codes::copy(&mut bits, length, distance);
            at += length;
            found = self.longest(at);
        }
        codes::end_of_block(&mut bits);
        bits.flush();
    }

    /// The longest repetition at `at`, after entering everything before it.
    fn longest(&mut self, at: usize) -> Option<(usize, usize)> {
        let text = Text { bytes: &self.text, origin: self.origin };
        if at + LENGTH_MIN > text.bytes.len() {
            return None;
        }
        for place in self.entered..at {
            self.matches.enter(text, place);
        }
        self.entered = self.entered.max(at);
        self.matches.longest(text, at)
    }

    /// Keeps what the next block may refer to.
    fn trim(&mut self) {
        let excess = self.text.len().saturating_sub(WINDOW_BYTES);
        // Places that are never asked about again, but those at the end are still to be entered.
        let text = Text { bytes: &self.text, origin: self.origin };
        for place in self.entered..excess {
            self.matches.enter(text, place);
        }
        self.text.drain(..excess);
        self.text.shrink_to(TEXT_BYTES_KEPT_MAX);
        self.origin += excess;
        self.entered = self.entered.max(excess) - excess;
    }
}

impl Default for Deflater {
    fn default() -> Self {
        Self::new()
    }
}

/// From this length on, the next byte is not looked at for a longer copy.
const GOOD_LENGTH: usize = 32;

/// Room for text that is kept between blocks.
const TEXT_BYTES_KEPT_MAX: usize = 6 * 1024;
