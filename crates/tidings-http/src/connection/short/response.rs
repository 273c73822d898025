//! Responses to short requests, as bytes.

use http::StatusCode;
use http::header::{self, HeaderName};

use crate::date;
use crate::headers;
use crate::limits::SHORT_ANSWER_BYTES_MAX;
use crate::response_body::Response;

/// Writes a whole response that says nothing about its connection or its own length. `false`, and
/// nothing is written, for any other one: it is for the HTTP library.
pub(super) fn write(response: &Response, into: &mut Vec<u8>) -> bool {
    let status = response.status();
    let Some(reason) = status.canonical_reason() else { return false };
    let Some(body) = response.body().as_whole() else { return false };
    let is_unusual = status.is_informational() || status == StatusCode::NOT_MODIFIED;
    let is_long = body.len() > SHORT_ANSWER_BYTES_MAX;
    if is_unusual || is_long || response.headers().keys().any(is_of_a_connection) {
        return false;
    }
    into.extend_from_slice(b"HTTP/1.1 ");
    into.extend_from_slice(status.as_str().as_bytes());
    into.push(b' ');
    into.extend_from_slice(reason.as_bytes());
    into.extend_from_slice(b"\r\n");
    headers::write(response.headers(), into);
    // Without a body by its status, and then without a length (RFC 9110 §8.6).
    if status != StatusCode::NO_CONTENT {
        into.extend_from_slice(b"content-length: ");
        into.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
        into.extend_from_slice(b"\r\n");
    }
    into.extend_from_slice(b"date: ");
    date::write(into);
    into.extend_from_slice(b"\r\n\r\n");
    if status != StatusCode::NO_CONTENT {
        into.extend_from_slice(body);
    }
    true
}

/// Whether a header is about the connection or about what it carries, and so decides how a response
/// is written.
fn is_of_a_connection(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::CONTENT_LENGTH
            | header::DATE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
    )
}
