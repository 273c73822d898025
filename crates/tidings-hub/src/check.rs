use std::fmt;
use std::num::NonZeroU32;

/// Twenty bits of a log's history up to and including one record.
///
/// A log that is shared by several nodes can lose its end and grow again, with other records under
/// the same positions. An event id with the check of its record is then recognised as one of a
/// record that is no longer there. One lost id in a million has the check of the record that took
/// its place.
///
/// Written as four characters of `a-z2-7`, five bits each.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Check(NonZeroU32);

impl Check {
    /// Characters in a check.
    pub const LENGTH: usize = 4;

    /// The check made of the low 20 bits of `bits`.
    pub const fn new(bits: u32) -> Self {
        // The bit above them keeps the number from being zero, so that no check takes no room.
        match NonZeroU32::new(bits & MASK | (MASK + 1)) {
            Some(bits) => Self(bits),
            None => unreachable!(),
        }
    }

    /// The 20 bits.
    pub const fn bits(self) -> u32 {
        self.0.get() & MASK
    }

    /// Reads a check back from its text; `None` if it is not four characters of `a-z2-7`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::LENGTH {
            return None;
        }
        let mut bits = 0;
        for byte in text.bytes() {
            let digit = match byte {
                b'a'..=b'z' => byte - b'a',
                b'2'..=b'7' => byte - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u32::from(digit);
        }
        Some(Self::new(bits))
    }
}

const MASK: u32 = (1 << 20) - 1;

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let digit = |shift: u32| DIGITS[(self.bits() >> shift & 31) as usize];
        let text = [15, 10, 5, 0].map(digit);
        f.write_str(str::from_utf8(&text).expect("made of ASCII letters and digits only"))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_twenty_bits_make_a_check_that_reads_back() {
        for bits in [0, 1, 31, 32, 0x5_4321, MASK] {
            let check = Check::new(bits);
            assert_eq!(check.bits(), bits);
            assert_eq!(Check::parse(&check.to_string()), Some(check), "{check}");
        }
        assert_eq!(Check::new(0).to_string(), "aaaa");
        assert_eq!(Check::new(MASK).to_string(), "7777");
        assert_eq!(Check::new(u32::MAX), Check::new(MASK), "the other bits do not count");
    }

    #[test]
    fn other_texts_are_not_checks() {
        for text in ["", "abc", "abcde", "ABCD", "abc1", "abc8", "ab-d", "ab\u{e4}"] {
            assert_eq!(Check::parse(text), None, "{text}");
        }
    }
}
