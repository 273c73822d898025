use std::error::Error;
use std::fmt;

/// The name that a log gets when it is created.
///
/// Six characters of `a-z0-9`, the first one a letter. Every event id carries it, so that an id
/// from a log that was wiped or replaced is recognised instead of being taken for a place in the
/// new log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch([u8; Epoch::LENGTH]);

impl Epoch {
    /// Characters in an epoch.
    pub const LENGTH: usize = 6;

    /// An epoch made from `random`, which should differ for every log that is created.
    pub fn from_random(mut random: u64) -> Self {
        const DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut text = [0; Self::LENGTH];
        for (place, byte) in text.iter_mut().enumerate() {
            let base = if place == 0 { 26 } else { 36 };
            *byte = DIGITS[(random % base) as usize];
            random /= base;
        }
        Self(text)
    }

    /// Reads an epoch back from its text.
    ///
    /// # Errors
    ///
    /// [`InvalidEpoch`] if `text` is not six characters of `a-z0-9` that begin with a letter.
    pub fn parse(text: &str) -> Result<Self, InvalidEpoch> {
        let bytes: [u8; Self::LENGTH] = text.as_bytes().try_into().map_err(|_| InvalidEpoch)?;
        let valid = bytes[0].is_ascii_lowercase()
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if valid { Ok(Self(bytes)) } else { Err(InvalidEpoch) }
    }

    /// The six characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of ASCII letters and digits only")
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEpoch;

impl fmt::Display for InvalidEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an epoch is six characters of a-z and 0-9 that begin with a letter")
    }
}

impl Error for InvalidEpoch {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_random_number_makes_an_epoch_that_reads_back() {
        for random in [0, 1, 25, 26, u64::MAX, 0x1234_5678_9abc_def0] {
            let epoch = Epoch::from_random(random);
            assert_eq!(Epoch::parse(epoch.as_str()), Ok(epoch));
        }
    }

    #[test]
    fn other_texts_are_not_epochs() {
        for text in ["", "abc", "1bcdef", "abcdeF", "abcdefg", "abc-ef", "äbcde"] {
            assert_eq!(Epoch::parse(text), Err(InvalidEpoch));
        }
    }
}
