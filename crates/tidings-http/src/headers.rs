//! The names of the hub's own headers, and header values as text. Values are bytes (RFC 9110 §5.5):
//! invalid UTF-8 becomes U+FFFD, which no grammar allows, so it invalidates its own header and no
//! other.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::header::{
    ALLOW, AUTHORIZATION, AsHeaderName, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};

/// The access that pages of allowed origins have to a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PageAccess {
    /// Read it in responses.
    Exposed,
    /// Set it in requests, even if their preflight names no headers.
    Accepted,
}

/// A row with texts defines a name and its documentation; the others are names of the `http` crate.
/// Every row says what pages may do with its header, so that no header can be forgotten there.
macro_rules! headers {
    ($($name:ident $($text:literal $doc:literal)? $access:ident;)*) => {
        $($(#[doc = $doc] pub const $name: HeaderName = HeaderName::from_static($text);)?)*

        /// The headers of the table, in its order.
        fn rows() -> Vec<(HeaderName, PageAccess)> {
            vec![$(($name, PageAccess::$access)),*]
        }
    };
}

headers! {
    TIDINGS_RESUME "tidings-resume"
        "Whether an answer begins with the next event, at the requested start, or could not: \
         `live`, `resumed` or `reset`." Exposed;
    TIDINGS_CONNECTION "tidings-connection"
        "The name of an event stream, by which operators ask about it." Exposed;
    TIDINGS_RENEW "tidings-renew"
        "What a client shows to renew the token of an event stream." Exposed;
    RETRY_AFTER Exposed;
    WWW_AUTHENTICATE Exposed;
    ALLOW Exposed;
    AUTHORIZATION Accepted;
    CONTENT_TYPE Accepted;
    LAST_EVENT_ID "last-event-id"
        "The id of the event after which a subscriber resumes." Accepted;
    CACHE_CONTROL Accepted;
}

/// By this a backend knows that the hub asks. Pages have nothing to do with it.
pub(crate) const TIDINGS_ASK: HeaderName = HeaderName::from_static("tidings-ask");

/// Response headers that pages of allowed origins may read, besides those that every page may.
pub(crate) static EXPOSED: LazyLock<HeaderValue> = LazyLock::new(|| list(PageAccess::Exposed));

/// Request headers that such pages may set, if their preflight names none.
pub(crate) static ACCEPTED: LazyLock<HeaderValue> = LazyLock::new(|| list(PageAccess::Accepted));

fn list(wanted: PageAccess) -> HeaderValue {
    let rows = rows().into_iter().filter(|(_, access)| *access == wanted);
    let names: Vec<_> = rows.map(|(name, _)| name.to_string()).collect();
    HeaderValue::from_str(&names.join(", ")).expect("names of headers are visible ASCII")
}

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

/// Whether the list in the header `name`, in one line or in several, has a member that `is` what is
/// looked for.
pub(crate) fn any_member(
    headers: &HeaderMap,
    name: impl AsHeaderName,
    is: impl Fn(&str) -> bool,
) -> bool {
    let mut lines = headers.get_all(name).iter().map(text);
    lines.any(|line| line.split(',').map(str::trim).any(&is))
}

/// An event id that a client sends back. It is UTF-8 (HTML §9.2.3); from a client that writes its
/// headers in Latin-1, each byte is a character.
pub fn event_id(value: &HeaderValue) -> Cow<'_, str> {
    match str::from_utf8(value.as_bytes()) {
        Ok(id) => Cow::Borrowed(id),
        Err(_) => Cow::Owned(value.as_bytes().iter().copied().map(char::from).collect()),
    }
}

/// Appends headers as they stand in a head of HTTP/1.1 (RFC 9112 §5).
pub(crate) fn write(headers: &HeaderMap, into: &mut Vec<u8>) {
    for (name, value) in headers {
        into.extend_from_slice(name.as_str().as_bytes());
        into.extend_from_slice(b": ");
        into.extend_from_slice(value.as_bytes());
        into.extend_from_slice(b"\r\n");
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
    fn pages_may_use_the_headers_of_the_table_and_no_others() {
        assert_eq!(
            *EXPOSED,
            "tidings-resume, tidings-connection, tidings-renew, retry-after, www-authenticate, \
             allow"
        );
        assert_eq!(*ACCEPTED, "authorization, content-type, last-event-id, cache-control");
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

    #[test]
    fn a_member_of_a_list_is_found_in_any_of_its_lines() {
        let mut headers = HeaderMap::new();
        let is_close = |member: &str| member.eq_ignore_ascii_case("close");
        assert!(!any_member(&headers, header::CONNECTION, is_close));
        headers.append(header::CONNECTION, HeaderValue::from_static("upgrade,not close"));
        assert!(!any_member(&headers, header::CONNECTION, is_close));
        headers.append(header::CONNECTION, HeaderValue::from_static("te , Close"));
        assert!(any_member(&headers, header::CONNECTION, is_close));
    }
}
