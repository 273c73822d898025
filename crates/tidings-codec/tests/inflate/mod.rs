//! An inflater that is fed as bytes arrive. Also used by the fuzzer.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

/// Reads one deflate stream.
pub(crate) struct Inflater {
    state: Box<DecompressorOxide>,
    /// The last 32 KiB of text, and where the next byte goes.
    ring: Vec<u8>,
    at: usize,
    is_done: bool,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self { state: Box::default(), ring: vec![0; 32 * 1024], at: 0, is_done: false }
    }

    /// The text that can be read with `bytes`, all of them.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        loop {
            let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
            let (status, read, written) =
                decompress(&mut self.state, bytes, &mut self.ring, self.at, flags);
            text.extend_from_slice(&self.ring[self.at..self.at + written]);
            self.at = (self.at + written) % self.ring.len();
            bytes = &bytes[read..];
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput if bytes.is_empty() => return text,
                TINFLStatus::Done => {
                    self.is_done = true;
                    assert!(bytes.is_empty(), "bytes behind the last block");
                    return text;
                }
                status => panic!("not a deflate stream: {status:?}"),
            }
        }
    }

    /// Whether the last block has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }
}
