//! gzip (RFC 1952) for streams that many readers share: a body is put together from pieces that
//! were compressed apart.
//!
//! A body is [`HEADER`], then any number of deflate blocks (RFC 1951), then [`end`]. Every block
//! made here ends on a whole byte, and a reader can decode everything up to there: so an event can
//! be shown as soon as its block has arrived, and blocks from different makers can follow one
//! another. What a block may refer to is the [`Deflater`]'s affair: its first block after
//! [`Deflater::forget`] stands alone, the others need the text before them.
//!
//! The trailer has the CRC-32 and the length of the whole text. A [`Checksum`] of each part is
//! enough: they add up.
//!
//! ```
//! use tidings_codec::gzip::{self, Checksum, Deflater};
//!
//! let mut body = gzip::HEADER.to_vec();
//! let mut sum = Checksum::default();
//! let mut deflater = Deflater::new();
//! for text in ["data: one and one and one\n\n", "data: one and one and two\n\n"] {
//!     deflater.block(&mut body, text.as_bytes());
//!     sum = sum.then(Checksum::of(text.as_bytes()));
//! }
//! gzip::end(&mut body, sum);
//! assert!(body.len() < 27 + 27 + 10 + 10);
//! ```

mod bits;
mod checksum;
mod codes;
mod deflater;
mod matches;

use alloc::vec::Vec;

pub use checksum::{Checksum, Lead};
pub use deflater::Deflater;

/// The ten bytes that a body begins with: no name, no time, no system.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Bytes that a stored block adds to its text.
pub const STORED_OVERHEAD_BYTES: usize = 5;

/// Bytes of text in one block; a longer text is several blocks. A stored block could have 65,535.
pub const BLOCK_BYTES_MAX: usize = 16 * 1024;

/// Appends `text` as blocks that are not compressed: what is short and sent once is not worth the
/// work.
pub fn stored(out: &mut Vec<u8>, text: &[u8]) {
    for piece in text.chunks(BLOCK_BYTES_MAX) {
        let length = piece.len() as u16; // BLOCK_BYTES_MAX is less than 65,536
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(piece);
    }
}

/// Appends the end of a body: a last, empty block, and the trailer for a text with the checksum
/// `sum`.
pub fn end(out: &mut Vec<u8>, sum: Checksum) {
    out.extend_from_slice(&[0x03, 0x00]);
    out.extend_from_slice(&sum.crc().to_le_bytes());
    out.extend_from_slice(&(sum.length() as u32).to_le_bytes()); // modulo 2^32, RFC 1952 §2.3.1
}
