//! `Block`: the buffers that collect the lines up to the next blank line.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use memchr::memchr;

use crate::copy;
use crate::field::Field;
use crate::head::Head;
use crate::limits::BUFFER_BYTES_KEPT_MAX;

/// The fields since the last blank line, within the limit.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The data buffer: the values of the data lines, joined by LF. Without the LF after the last
    /// one, which the standard appends and then removes.
    pub(crate) data: Vec<u8>,
    /// Whether there was a data line. (An empty one leaves the data buffer empty.)
    pub(crate) has_data: bool,
    /// The other fields of the block.
    pub(crate) head: Head,
    /// Whether there was any field, even one that broke the limit.
    touched: bool,
    /// Whether it broke the limit: then it makes no event, and its data is not kept.
    pub(crate) too_large: bool,
    /// Maximum size of an event, in bytes.
    pub(crate) bytes_max: usize,
    /// The source's reconnection time: the last one in any block.
    pub(crate) reconnection_time: Option<Duration>,
}

/// The block just broke the limit. Holds nothing more, so that a `Result` of it fits in a register.
#[derive(Debug)]
pub(crate) struct TooLarge;

impl Block {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            data: Vec::new(),
            has_data: false,
            head: Head::default(),
            touched: false,
            too_large: false,
            bytes_max,
            reconnection_time: None,
        }
    }

    /// Begins a line of the data buffer.
    #[inline]
    pub(crate) fn begin_data(&mut self) {
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.touched = true;
    }

    /// Appends to the current line of the data buffer.
    #[inline]
    pub(crate) fn append_data(&mut self, piece: &[u8]) -> Result<(), TooLarge> {
        if !self.has_room(piece.len()) {
            return Err(self.fail());
        }
        copy::append(&mut self.data, piece);
        Ok(())
    }

    /// Adds a line to the data buffer, which already has one.
    #[inline]
    pub(crate) fn append_line(&mut self, value: &[u8]) -> Result<(), TooLarge> {
        if !self.has_room(b"\n".len() + value.len()) {
            return Err(self.fail());
        }
        self.data.reserve(b"\n".len() + value.len());
        self.data.push(b'\n');
        copy::append(&mut self.data, value);
        Ok(())
    }

    /// Copies a data line that was held in the chunk, for which there is room.
    #[inline]
    pub(crate) fn keep(&mut self, held: Option<&[u8]>) {
        if let Some(value) = held {
            self.begin_data();
            copy::append(&mut self.data, value);
        }
    }

    /// Sets a field other than data to its complete value.
    pub(crate) fn set(&mut self, field: Field, value: &[u8]) {
        self.touched = true;
        match field {
            Field::Event => {
                self.head.event_type.clear();
                self.head.event_type.push_str(&String::from_utf8_lossy(value));
            }
            Field::Id if memchr(b'\0', value).is_none() => {
                self.head.set_id(&String::from_utf8_lossy(value));
            }
            Field::Retry => {
                if let Some(ms) = retry_ms(value) {
                    self.head.retry_ms = Some(ms);
                    self.reconnection_time = Some(Duration::from_millis(ms));
                }
            }
            Field::Id | Field::Data | Field::Comment => {}
        }
    }

    /// Whether this many more bytes stay within the limit.
    #[inline]
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.data.len() + self.head.len() + bytes <= self.bytes_max
    }

    /// The block is too large: drops its data, and the rest of it will be skipped.
    #[cold]
    pub(crate) fn fail(&mut self) -> TooLarge {
        self.data = Vec::new();
        self.has_data = false;
        self.too_large = true;
        self.touched = true;
        TooLarge
    }

    /// Whether the block has no fields yet.
    #[inline]
    pub(crate) fn is_clear(&self) -> bool {
        !self.touched
    }

    /// Forgets the block, but not the last event id and the reconnection time.
    pub(crate) fn clear(&mut self) {
        recycle(&mut self.data);
        self.has_data = false;
        self.head.clear();
        self.touched = false;
        self.too_large = false;
    }
}

/// Empties a buffer, and frees its memory if there is much of it.
#[inline]
pub(crate) fn recycle(buffer: &mut Vec<u8>) {
    if buffer.capacity() > BUFFER_BYTES_KEPT_MAX {
        *buffer = Vec::new();
    }
    buffer.clear();
}

/// The value of a `retry` field, if it is a number: ASCII digits and nothing else, at least one.
/// A number too large for a `u64` becomes the largest `u64`.
fn retry_ms(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append =
        |ms: u64, digit: &u8| ms.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, append))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist 15.
    #[test]
    fn a_retry_is_ascii_digits_and_nothing_else() {
        assert_eq!(retry_ms(b"03000"), Some(3000));
        assert_eq!(retry_ms(b"0"), Some(0));
        assert_eq!(retry_ms(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(retry_ms(b"18446744073709551616"), Some(u64::MAX));
        for bad in ["", "+5", "-1", "1.5", " 1", "1000x", "\u{661}\u{662}", "1 "] {
            assert_eq!(retry_ms(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_huge_buffer_is_freed_and_a_small_one_kept() {
        let mut block = Block::new(usize::MAX);
        for (size, kept) in [(1000, true), (BUFFER_BYTES_KEPT_MAX + 1, false)] {
            block.keep(Some(&alloc::vec![b'x'; size]));
            block.clear();
            assert_eq!(block.data.capacity() > 0, kept, "{size}");
        }
    }
}
