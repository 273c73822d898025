use std::error::Error;
use std::fmt;
use std::ops::Range;

use crate::json_scan::Scan;
use crate::limits::POINTER_BYTES_MAX;

/// A place in a JSON document: a JSON pointer (RFC 6901).
///
/// Empty, for the whole document, or members and indexes of arrays, each behind a `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer(Box<str>);

impl Pointer {
    /// # Errors
    ///
    /// [`InvalidPointer`] for any other text, and for one of more than [`POINTER_BYTES_MAX`] bytes.
    pub fn new(text: &str) -> Result<Self, InvalidPointer> {
        if text.len() > POINTER_BYTES_MAX {
            return Err(InvalidPointer::TooLong);
        }
        if !text.is_empty() && !text.starts_with('/') {
            return Err(InvalidPointer::NoSlash);
        }
        let mut escapes = text.split('~').skip(1);
        if escapes.any(|rest| !rest.starts_with(['0', '1'])) {
            return Err(InvalidPointer::Escape);
        }
        Ok(Self(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the content of the string is that `json` has at this place: the bytes between its
    /// quotes, with escapes as they are. Of several members with one name the last one counts, as
    /// for JavaScript.
    ///
    /// # Errors
    ///
    /// [`NoString`] if `json` is not JSON, or has no string there.
    pub fn find(&self, json: &str) -> Result<Range<usize>, NoString> {
        let names: Vec<String> = self
            .0
            .split('/')
            .skip(1)
            .map(|name| name.replace("~1", "/").replace("~0", "~"))
            .collect();
        Scan::new(json).find(&names).ok_or(NoString::NotJson)?.ok_or(NoString::NotThere)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a JSON pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidPointer {
    /// It has more than [`POINTER_BYTES_MAX`] bytes.
    TooLong,
    /// It is not empty, and does not begin with a slash.
    NoSlash,
    /// A `~` is not part of `~0` or `~1`.
    Escape,
}

impl fmt::Display for InvalidPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "has more than {POINTER_BYTES_MAX} bytes"),
            Self::NoSlash => f.write_str("does not begin with `/`"),
            Self::Escape => f.write_str("has a `~` that is not written `~0`"),
        }
    }
}

impl Error for InvalidPointer {}

/// Why a text has no string at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoString {
    /// It is not JSON.
    NotJson,
    /// There is nothing at the place, or something that is no string, or one with half a character.
    NotThere,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pointer: &str, json: &str) -> Result<String, NoString> {
        let pointer = Pointer::new(pointer).expect("a pointer");
        pointer.find(json).map(|range| json[range].to_owned())
    }

    #[test]
    fn a_pointer_is_empty_or_begins_with_a_slash_and_escapes_tildes() {
        for text in ["", "/", "/a", "/a/0/b~0~1", "/ä b"] {
            assert_eq!(Pointer::new(text).map(|it| it.to_string()).as_deref(), Ok(text));
        }
        let long = format!("/{}", "x".repeat(POINTER_BYTES_MAX));
        for (text, expected) in [
            ("a", InvalidPointer::NoSlash),
            ("/~", InvalidPointer::Escape),
            ("/~2", InvalidPointer::Escape),
            (&long, InvalidPointer::TooLong),
        ] {
            assert_eq!(Pointer::new(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_string_is_found_at_its_place() {
        for (pointer, json, expected) in [
            ("", r#" "abc" "#, "abc"),
            ("/a", r#"{"a":"x"}"#, "x"),
            ("/a/1/b", r#"{"x":[{}],"a":[0,{"b":"\n\"é"}]}"#, r#"\n\"é"#),
            ("/", r#"{"":"empty name"}"#, "empty name"),
            ("/a~1b/~0", r#"{"a/b":{"~":"y"}}"#, "y"),
            ("/é", r#"{"\u00e9":"z"}"#, "z"),
            ("/😀", r#"{"\ud83d\ude00":"pair"}"#, "pair"),
            ("/a", r#"{"a":"first","b":1,"a":"last"}"#, "last"),
            ("/a", r#"{"a":"\ud83d\ude00"}"#, r"\ud83d\ude00"),
        ] {
            assert_eq!(find(pointer, json).as_deref(), Ok(expected), "{pointer} {json}");
        }
    }

    #[test]
    fn what_is_no_string_is_not_found_and_what_is_no_json_is_said_to_be_none() {
        for (pointer, json) in [
            ("", "1"),
            ("/a", "{}"),
            ("/a", r#"{"a":1}"#),
            ("/a", r#"{"a":{"b":"x"}}"#),
            ("/a", r#"{"a":"x","a":null}"#),
            ("/a/b", r#"{"a":"x"}"#),
            ("/01", r#"["x","y"]"#),
            ("/-", r#"["x"]"#),
            ("/2", r#"["x","y"]"#),
            ("/a", r#"{"a":"\ud83d"}"#),
            ("/a", r#"{"a":"\ude00\ud83d"}"#),
        ] {
            assert_eq!(find(pointer, json), Err(NoString::NotThere), "{pointer} {json}");
        }
        let deep = "[".repeat(100_000);
        for json in [
            "",
            "{",
            "abc",
            "tru",
            "01",
            "1.",
            "-",
            "1e",
            "[1,]",
            r#"{"a":"x""#,
            r#"{"a":"x",}"#,
            r#"{a:"x"}"#,
            "\"\u{1}\"",
            r#""\x""#,
            r#""\u12""#,
            r#"{"a":"x"} x"#,
            "\u{a0}1",
            &deep,
        ] {
            assert_eq!(find("/a", json), Err(NoString::NotJson), "{json:.20}");
        }
    }
}
