//! Queries and percent-encoding: the parts of a URL as text.

use std::borrow::Cow;
use std::time::Duration;

use crate::problem::{Code, Problem};

/// The parameters of a query in their order, decoded as forms are (URL standard,
/// application/x-www-form-urlencoded).
#[derive(Debug)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// # Errors
    ///
    /// A 400 if a percent sign is not followed by two hexadecimal digits, or the bytes are not
    /// UTF-8.
    pub fn parse(raw: Option<&'a str>) -> Result<Self, Problem> {
        let Some(raw) = raw else { return Ok(Self(Vec::new())) };
        let pairs = raw.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name, Plus::Space)?, decode(value, Plus::Space)?))
        });
        decoded.collect::<Result<_, Problem>>().map(Self)
    }

    /// Takes out the parameter `name`.
    ///
    /// # Errors
    ///
    /// A 400 if it is there more than once.
    #[inline]
    pub fn take(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
        // Most requests have no query, and a publish looks for 14 parameters.
        match self.0.iter().position(|(key, _)| key == name) {
            Some(at) => self.take_at(at, name).map(Some),
            None => Ok(None),
        }
    }

    fn take_at(&mut self, at: usize, name: &str) -> Result<Cow<'a, str>, Problem> {
        let (_, value) = self.0.remove(at);
        if self.take_all(name).is_empty() {
            return Ok(value);
        }
        let detail = format!("give the parameter `{name}` only once");
        Err(Problem::new(Code::InvalidQuery, detail))
    }

    /// Takes out all parameters `name`.
    pub fn take_all(&mut self, name: &str) -> Vec<Cow<'a, str>> {
        let taken = self.0.extract_if(.., |(key, _)| key == name);
        taken.map(|(_, value)| value).collect()
    }

    /// All values of the parameter `name`, which stay there.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Cow<'a, str>> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    /// Takes out the parameter `name`, which has no value. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// A 400 if it is there more than once, or has a value.
    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.take(name)? {
            None => Ok(false),
            Some(value) if value.is_empty() => Ok(true),
            Some(_) => Err(bad_value(name, format!("write `{name}` without a value: `?{name}`"))),
        }
    }

    /// The names of the remaining parameters, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Checks that no parameter is left; `known` are the parameters that exist.
    ///
    /// # Errors
    ///
    /// A 400 that names the first remaining parameter.
    #[inline]
    pub fn finish<'b>(&self, known: impl IntoIterator<Item = &'b str>) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::new(
                Code::InvalidQuery,
                format!(
                    "there is no parameter `{}` here; there are: {}",
                    name.escape_debug(),
                    known.into_iter().collect::<Vec<_>>().join(", ")
                ),
            )
            .with("parameter", name.as_ref())),
        }
    }
}

/// The meaning of a `+`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plus {
    /// Itself, as in a path.
    Itself,
    /// A space, as in a form.
    Space,
}

/// Decodes `%41` to `A`.
///
/// # Errors
///
/// A 400 if a percent sign is not followed by two hexadecimal digits, or the bytes are not UTF-8.
pub fn decode(text: &str, plus: Plus) -> Result<Cow<'_, str>, Problem> {
    let special = |byte: &u8| *byte == b'%' || (plus == Plus::Space && *byte == b'+');
    if !text.as_bytes().iter().any(special) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' if plus == Plus::Space => decoded.push(b' '),
            b'%' => {
                let digits = rest.split_at_checked(2).and_then(|(digits, after)| {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    Some((digit(digits[0])? * 16 + digit(digits[1])?, after))
                });
                let (value, after) = digits.ok_or_else(|| {
                    let detail = "write a percent sign in the URL as `%25`";
                    Problem::new(Code::InvalidQuery, detail)
                })?;
                decoded.push(value as u8);
                rest = after;
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| {
        Problem::new(Code::InvalidUtf8, "percent-encode the UTF-8 bytes of the text in the URL")
    })
}

/// A whole number from `min` to `max`.
///
/// # Errors
///
/// A 400 with the bounds.
pub fn number(name: &str, text: &str, min: usize, max: usize) -> Result<usize, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = text.parse().ok().filter(|n| digits && (min..=max).contains(n));
    value.ok_or_else(|| {
        bad_value(name, format!("`{name}` must be a whole number from {min} to {max}"))
    })
}

/// A duration such as `30s`, `10m`, `1h30m`, `250ms` or `7d`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits_end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = rest.split_at(digits_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let ms_per_unit: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 3600 * 1000,
            "d" => 24 * 3600 * 1000,
            _ => return None,
        };
        let number: u64 = digits.parse().ok()?;
        let part = Duration::from_millis(number.checked_mul(ms_per_unit)?);
        total = total.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// A 400 about the value of the parameter `name`.
pub fn bad_value(name: &str, detail: String) -> Problem {
    Problem::new(Code::InvalidParameter, detail).with("parameter", name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn parameters_are_decoded_and_taken_by_name() {
        let mut query = Query::parse(Some("topic=a%2Fb&topic=c+d&last=5&&flag")).unwrap();
        assert_eq!(query.take_all("topic"), ["a/b", "c d"]);
        assert_eq!(query.take("last").unwrap().as_deref(), Some("5"));
        assert_eq!(query.take("flag").unwrap().as_deref(), Some(""));
        assert!(query.finish([]).is_ok());
    }

    #[test]
    fn what_is_left_or_repeated_is_named() {
        let mut query = Query::parse(Some("last=1&last=2&x=1")).unwrap();
        assert!(query.take("last").unwrap_err().detail().contains("`last`"));
        assert!(query.finish(["last"]).unwrap_err().detail().contains("`x`"));
    }

    #[test]
    fn a_path_keeps_its_plus_and_bad_escapes_are_refused() {
        assert_eq!(decode("a+b%20c", Plus::Itself).unwrap(), "a+b c");
        for bad in ["%", "%4", "%zz", "%+1"] {
            assert_eq!(decode(bad, Plus::Itself).unwrap_err().code(), Code::InvalidQuery);
        }
        assert_eq!(decode("%ff", Plus::Itself).unwrap_err().code(), Code::InvalidUtf8);
    }

    #[test]
    fn durations_have_units() {
        let ms = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("7d"), Some(604_800_000));
        for bad in ["", "5", "m", "5x", "-5m", "5 m", "1.5h", "99999999999999999999s"] {
            assert_eq!(ms(bad), None, "{bad:?}");
        }
    }
}
