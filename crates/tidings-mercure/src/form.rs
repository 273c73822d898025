//! `application/x-www-form-urlencoded` (URL standard §5.1), as bytes: which of them must be text
//! depends on the dialect.

use std::borrow::Cow;

/// The fields of a form or a query, in their order.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(Vec<u8>, Vec<u8>)>);

/// A percent sign is not followed by two hexadecimal digits, or there is a `;`, on whose meaning
/// parsers disagree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Form {
    /// Reads all of `raw`, or nothing.
    pub(crate) fn parse(raw: &[u8]) -> Result<Self, Malformed> {
        pairs(raw).map(|pair| pair.ok_or(Malformed)).collect::<Result<_, _>>().map(Self)
    }

    /// Reads what can be read of `raw`.
    pub(crate) fn parse_leniently(raw: &[u8]) -> Self {
        Self(pairs(raw).flatten().collect())
    }

    /// Appends the fields of `other`.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The names of all fields, as they stand.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(name, _)| name.as_slice())
    }

    /// Every field, in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// All values of the field `name`.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields().filter(move |(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
    }

    /// The first value of the field `name`.
    pub(crate) fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The first value of the field `name`, in any case.
    pub(crate) fn first_in_any_case(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields();
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The first value of the field `name`, as text; invalid UTF-8 becomes U+FFFD.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.first(name).map(String::from_utf8_lossy)
    }
}

fn pairs(raw: &[u8]) -> impl Iterator<Item = Option<(Vec<u8>, Vec<u8>)>> {
    let pairs = raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        if pair.contains(&b';') {
            return None;
        }
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        Some((decode(name)?, decode(value)?))
    })
}

fn decode(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, after) = after.split_at_checked(2)?;
                rest = after;
                hex(digits[0])? << 4 | hex(digits[1])?
            }
            byte => *byte,
        });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fields_are_decoded_and_repeat() {
        let form = Form::parse(b"topic=a&topic=b%2Fc&data=x+y&&private&=z").unwrap();
        assert_eq!(form.all("topic").collect::<Vec<_>>(), [&b"a"[..], b"b/c"]);
        assert_eq!(form.first("data"), Some(&b"x y"[..]));
        assert_eq!(form.first("private"), Some(&b""[..]));
        assert_eq!(form.first("topic[]"), None);
    }

    #[test]
    fn malformed_input_is_rejected_or_skipped() {
        for bad in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a;b", b"%=a"] {
            assert_eq!(Form::parse(bad).unwrap_err(), Malformed);
            let mut query = bad.to_vec();
            query.extend_from_slice(b"&topic=a");
            assert_eq!(Form::parse_leniently(&query).names().count(), 1);
        }
    }
}
