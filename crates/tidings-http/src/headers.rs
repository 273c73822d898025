//! The names of the hub's own headers, and header values as text. Values are bytes (RFC 9110 §5.5):
//! invalid UTF-8 becomes U+FFFD, which no grammar allows, so it invalidates its own header and no
//! other.

use std::borrow::Cow;

use http::header::{AsHeaderName, HeaderMap, HeaderName, HeaderValue};

/// What names an event stream to those who ask about it.
pub(crate) const TIDINGS_CONNECTION: HeaderName = HeaderName::from_static("tidings-connection");

/// A value as text.
pub fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// The first value of the header `name`.
pub fn first(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Cow<'_, str>> {
    headers.get(name).map(text)
}

/// All values of the header `name`, joined: a list means the same in one line or in several
/// (RFC 9110 §5.3). Empty if there is none.
pub fn joined<'a>(
    headers: &'a HeaderMap,
    name: impl AsHeaderName,
    separator: &str,
) -> Cow<'a, str> {
    let mut values = headers.get_all(name).iter().map(text);
    let first = values.next().unwrap_or_default();
    values.fold(first, |list, value| Cow::Owned(list.into_owned() + separator + &value))
}

/// An event id that a client sends back. It is UTF-8 (HTML §9.2.3); from a client that writes its
/// headers in Latin-1, each byte is a character.
pub fn event_id(value: &HeaderValue) -> Cow<'_, str> {
    match str::from_utf8(value.as_bytes()) {
        Ok(id) => Cow::Borrowed(id),
        Err(_) => Cow::Owned(value.as_bytes().iter().copied().map(char::from).collect()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::header;

    use super::*;

    fn value(bytes: &[u8]) -> HeaderValue {
        HeaderValue::from_bytes(bytes).unwrap()
    }

    #[test]
    fn a_byte_beyond_ascii_invalidates_only_its_own_header() {
        let mut headers = HeaderMap::new();
        assert_eq!(joined(&headers, header::ACCEPT, ", "), "");
        headers.append(header::ACCEPT, value(b"a/b, c/\xe9"));
        headers.append(header::ACCEPT, value("d/é".as_bytes()));
        assert_eq!(joined(&headers, header::ACCEPT, ", "), "a/b, c/\u{fffd}, d/é");
        assert_eq!(first(&headers, header::ACCEPT).unwrap(), "a/b, c/\u{fffd}");
    }

    #[test]
    fn an_event_id_is_utf_8_or_else_latin_1() {
        assert_eq!(event_id(&value("é".as_bytes())), "é");
        assert_eq!(event_id(&value(b"\xe9")), "é");
    }
}
