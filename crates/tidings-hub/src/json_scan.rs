//! Finds a string in a JSON text, and checks all of the text on the way (RFC 8259).

use std::ops::Range;

/// A scan of a JSON text.
pub(crate) struct Scan<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(json: &'a str) -> Self {
        Self { json, at: 0 }
    }

    /// The content of the string at the place that `names` lead to; `None` if the text is not JSON.
    pub(crate) fn find(mut self, names: &[String]) -> Option<Option<Range<usize>>> {
        let found = self.value(Some(names), DEPTH_MAX)?;
        self.space();
        (self.at == self.json.len()).then_some(found)
    }

    /// Passes over a value. `names` lead from it to the place; `None` if the place is elsewhere.
    fn value(&mut self, names: Option<&[String]>, depth: usize) -> Option<Option<Range<usize>>> {
        self.space();
        match self.peek()? {
            b'"' => {
                let string = self.string()?;
                let is_it = names.is_some_and(<[_]>::is_empty);
                Some(is_it.then_some(string).filter(|range| is_text(&self.json[range.clone()])))
            }
            b'{' => self.object(names, depth.checked_sub(1)?),
            b'[' => self.array(names, depth.checked_sub(1)?),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, names: Option<&[String]>, depth: usize) -> Option<Option<Range<usize>>> {
        let wanted = names.and_then(<[_]>::split_first);
        let mut found = None;
        self.at += 1;
        self.space();
        if self.takes(b'}') {
            return Some(None);
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.takes(b':').then_some(())?;
            let rest = wanted.filter(|(first, _)| is_written(first, &self.json[name]));
            let inner = self.value(rest.map(|(_, rest)| rest), depth)?;
            if rest.is_some() {
                found = inner;
            }
            self.space();
            if self.takes(b'}') {
                return Some(found);
            }
            self.takes(b',').then_some(())?;
        }
    }

    fn array(&mut self, names: Option<&[String]>, depth: usize) -> Option<Option<Range<usize>>> {
        let wanted = names.and_then(<[_]>::split_first);
        let (mut found, mut index) = (None, 0_usize);
        self.at += 1;
        self.space();
        if self.takes(b']') {
            return Some(None);
        }
        loop {
            // An index has no other form than this one (RFC 6901 §4).
            let rest = wanted.filter(|(first, _)| **first == *index.to_string());
            let inner = self.value(rest.map(|(_, rest)| rest), depth)?;
            found = found.or(inner);
            index += 1;
            self.space();
            if self.takes(b']') {
                return Some(found);
            }
            self.takes(b',').then_some(())?;
        }
    }

    /// Passes over a string; the place of its content.
    fn string(&mut self) -> Option<Range<usize>> {
        self.takes(b'"').then_some(())?;
        let start = self.at;
        loop {
            match self.next()? {
                b'"' => return Some(start..self.at - 1),
                b'\\' => match self.next()? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        let digits = self.json.as_bytes().get(self.at..self.at + 4)?;
                        digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                        self.at += 4;
                    }
                    _ => return None,
                },
                0..=0x1F => return None,
                _ => {}
            }
        }
    }

    fn number(&mut self) -> Option<Option<Range<usize>>> {
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        Some(None)
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<Option<Range<usize>>> {
        self.json.as_bytes()[self.at..].starts_with(word.as_bytes()).then_some(())?;
        self.at += word.len();
        Some(None)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }
}

/// Whether the content of a string, with escapes, means `text`.
fn is_written(text: &str, raw: &str) -> bool {
    if !raw.contains('\\') {
        return text == raw;
    }
    let mut units = Units::of(raw);
    text.encode_utf16().all(|unit| units.next() == Some(unit)) && units.next().is_none()
}

/// Whether the content of a string, with escapes, is made of whole characters.
fn is_text(raw: &str) -> bool {
    !raw.contains("\\u") || char::decode_utf16(Units::of(raw)).all(|unit| unit.is_ok())
}

/// The content of a string, whose escapes are right, in units of UTF-16: escapes may stand for
/// half a character.
struct Units<'a> {
    left: &'a str,
    /// The second half of a character of which the first was given.
    second: Option<u16>,
}

impl<'a> Units<'a> {
    fn of(raw: &'a str) -> Self {
        Self { left: raw, second: None }
    }
}

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if let Some(second) = self.second.take() {
            return Some(second);
        }
        let mut chars = self.left.chars();
        let first = chars.next()?;
        if first != '\\' {
            let mut pair = [0; 2];
            let units = first.encode_utf16(&mut pair);
            self.second = units.get(1).copied();
            self.left = chars.as_str();
            return Some(units[0]);
        }
        let unit = match chars.next()? {
            'b' => 0x08,
            'f' => 0x0C,
            'n' => 0x0A,
            'r' => 0x0D,
            't' => 0x09,
            'u' => {
                let (digits, rest) = chars.as_str().split_at_checked(4)?;
                self.left = rest;
                return u16::from_str_radix(digits, 16).ok();
            }
            other => other as u16,
        };
        self.left = chars.as_str();
        Some(unit)
    }
}

/// How deep a text may be nested. At the edge: it counts as no JSON.
const DEPTH_MAX: usize = 128;
