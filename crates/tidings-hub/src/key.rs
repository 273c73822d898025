use std::error::Error;
use std::fmt;

use tidings_codec::EventId;

use crate::limits::KEY_BYTES_MAX;
use crate::position::Position;

/// The key of an event: the newest event of a key stands for it in the state of its topic.
///
/// 1 to [`KEY_BYTES_MAX`] bytes, without CR, LF and NUL. A key belongs to its topic: the same key
/// on another topic is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<str>);

impl Key {
    /// # Errors
    ///
    /// [`InvalidKey`] for any other text.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        if text.is_empty() {
            return Err(InvalidKey::Empty);
        }
        if text.len() > KEY_BYTES_MAX {
            return Err(InvalidKey::TooLong);
        }
        if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err(InvalidKey::Character);
        }
        Ok(Self(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidKey {
    /// It is empty.
    Empty,
    /// It has more than [`KEY_BYTES_MAX`] bytes.
    TooLong,
    /// It contains CR, LF or NUL.
    Character,
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong => write!(f, "has more than {KEY_BYTES_MAX} bytes"),
            Self::Character => f.write_str("contains CR, LF or NUL"),
        }
    }
}

impl Error for InvalidKey {}

/// What a publisher expects of a key, or of the topic: its event is stored only if that is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The key is not in the state of its topic.
    Absent,
    /// The newest event of the key has this id.
    Version(EventId),
    /// The topic has no record after this position, and has not ended.
    NothingAfter(Position),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_line_of_1_to_256_bytes() {
        let longest = "\u{e9}".repeat(KEY_BYTES_MAX / 2);
        for text in ["a", " ", "ACME/x?y=1", "\u{85}", &longest] {
            assert_eq!(Key::new(text).map(|key| key.to_string()).as_deref(), Ok(text));
        }
        let long = format!("{longest}x");
        for (text, expected) in [
            ("", InvalidKey::Empty),
            (&long, InvalidKey::TooLong),
            ("a\rb", InvalidKey::Character),
            ("a\n", InvalidKey::Character),
            ("\0", InvalidKey::Character),
        ] {
            assert_eq!(Key::new(text), Err(expected), "{text:?}");
        }
    }
}
