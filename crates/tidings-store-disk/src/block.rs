//! Blocks: a segment consists of them, and each is written, checked and read as a whole.
//!
//! A commit (one `append`) becomes one or more blocks, written with one call. Each begins with a
//! header of [`HEADER_BYTES`] bytes, little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 4 | CRC-32 of the segment's salt and the rest of the header |
//! | 4 | length of the body |
//! | 4 | CRC-32 of the body |
//! | 8 | position of the first record |
//! | 8 | position of the first record of the commit |
//! | 8 | time of the records, in milliseconds since 1970 |
//! | 4 | number of records |
//! | 4 | flags |
//!
//! The body follows, padded with zeros to a multiple of [`ALIGN`]. A block without records is a
//! mark: it says that the segment was sealed or the log closed.
//!
//! Each segment has its own random salt, which no publisher knows, so nobody can publish an event
//! whose payload passes for a block. That matters in recovery, which searches for blocks after a
//! broken one.

use tidings_hub::{Position, Timestamp};

/// Bytes before the body.
pub(crate) const HEADER_BYTES: usize = 48;

/// Every block begins at a multiple of this.
pub(crate) const ALIGN: usize = 8;

const MAGIC: [u8; 4] = *b"TBlk";

/// The block ends its commit.
pub(crate) const LAST_OF_COMMIT: u32 = 1;
/// The segment ends here; the log continues in the next.
pub(crate) const SEALED: u32 = 2;
/// The block is one of a run: its records have positions and times of their own.
pub(crate) const SPARSE: u32 = 8;
/// The log was closed cleanly.
pub(crate) const CLOSED: u32 = 4;

/// A block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) body_bytes: u32,
    pub(crate) body_crc: u32,
    pub(crate) first: Position,
    pub(crate) commit: Position,
    pub(crate) time: Timestamp,
    pub(crate) count: u32,
    pub(crate) flags: u32,
}

impl Header {
    pub(crate) fn encode(&self, salt: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.get().to_le_bytes());
        bytes[24..32].copy_from_slice(&self.commit.get().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.time.as_millis().to_le_bytes());
        bytes[40..44].copy_from_slice(&self.count.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.flags.to_le_bytes());
        let crc = header_crc(salt, &bytes);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` if this is not a block header of the segment with this salt, or is damaged.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], salt: u64) -> Option<Self> {
        if bytes[..4] != MAGIC || u32_at(bytes, 4) != header_crc(salt, bytes) {
            return None;
        }
        Some(Self {
            body_bytes: u32_at(bytes, 8),
            body_crc: u32_at(bytes, 12),
            first: Position::new(u64_at(bytes, 16)),
            commit: Position::new(u64_at(bytes, 24)),
            time: Timestamp::from_millis(u64_at(bytes, 32)),
            count: u32_at(bytes, 40),
            flags: u32_at(bytes, 44),
        })
    }

    pub(crate) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The position after its last record.
    pub(crate) fn next(&self) -> Position {
        Position::new(self.first.get() + u64::from(self.count))
    }

    /// Bytes from this block to the next.
    pub(crate) fn stride(&self) -> usize {
        HEADER_BYTES + (self.body_bytes as usize).next_multiple_of(ALIGN)
    }

    /// Whether `body` has the right length and checksum.
    pub(crate) fn admits(&self, body: &[u8]) -> bool {
        crc32fast::hash(body) == self.body_crc
    }
}

/// A block that was read and checked.
pub(crate) struct Block<'b> {
    pub(crate) header: Header,
    pub(crate) body: &'b [u8],
}

/// A block being built at the end of a buffer.
#[derive(Debug)]
pub(crate) struct BlockBuilder {
    start: usize,
    first: Position,
    count: u32,
}

impl BlockBuilder {
    /// Begins a block whose first record will be at `first`.
    pub(crate) fn begin(buffer: &mut Vec<u8>, first: Position) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; HEADER_BYTES]);
        Self { start, first, count: 0 }
    }

    /// Position of its first record.
    pub(crate) fn first(&self) -> Position {
        self.first
    }

    /// Its offset in the buffer.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Counts a record that was written to the buffer.
    pub(crate) fn count_record(&mut self) {
        self.count += 1;
    }

    /// Bytes of its records.
    pub(crate) fn body_bytes(&self, buffer: &[u8]) -> usize {
        buffer.len() - self.start - HEADER_BYTES
    }

    /// Fills in the header and pads to the alignment.
    pub(crate) fn finish(self, buffer: &mut Vec<u8>, commit: Commit, flags: u32) {
        let body = &buffer[self.start + HEADER_BYTES..];
        let header = Header {
            body_bytes: u32::try_from(body.len()).expect("an append is bounded far below 4 GiB"),
            body_crc: crc32fast::hash(body),
            first: self.first,
            commit: commit.first,
            time: commit.time,
            count: self.count,
            flags,
        };
        buffer[self.start..self.start + HEADER_BYTES].copy_from_slice(&header.encode(commit.salt));
        buffer.resize(self.start + header.stride(), 0);
    }
}

/// Values shared by all blocks of one commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) first: Position,
    pub(crate) time: Timestamp,
    pub(crate) salt: u64,
}

fn header_crc(salt: u64, bytes: &[u8; HEADER_BYTES]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&salt.to_le_bytes());
    crc.update(&bytes[8..]);
    crc.finalize()
}

/// The number at `at`, which the caller knows to be within `bytes`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The number at `at`, which the caller knows to be within `bytes`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_no_flipped_bit_goes_unseen() {
        let header = Header {
            body_bytes: 77,
            body_crc: 0xDEAD_BEEF,
            first: Position::new(42),
            commit: Position::new(40),
            time: Timestamp::from_millis(1_700_000_000_000),
            count: 3,
            flags: LAST_OF_COMMIT,
        };
        let bytes = header.encode(5);
        assert_eq!(Header::decode(&bytes, 5), Some(header));
        assert_eq!(Header::decode(&bytes, 6), None, "another segment's salt");
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes, 5), None, "bit {bit}");
        }
    }

    #[test]
    fn blocks_begin_aligned() {
        let mut buffer = Vec::new();
        for (number, bytes) in [(1, 0), (2, 1), (3, 7), (4, 8), (5, 9)] {
            let block = BlockBuilder::begin(&mut buffer, Position::new(number));
            assert_eq!(block.start() % ALIGN, 0);
            buffer.extend(std::iter::repeat_n(7, bytes));
            assert_eq!(block.body_bytes(&buffer), bytes);
            let commit =
                Commit { first: Position::new(1), time: Timestamp::from_millis(0), salt: 0 };
            block.finish(&mut buffer, commit, 0);
        }
    }
}
