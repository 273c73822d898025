//! Which requests are short, and how they are read.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Uri;
use http::{Method, Request, Version};

use crate::limits::SHORT_REQUEST_BYTES_MAX;

/// Why bytes are not read as a short request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// They are one without the end of its body.
    Begun,
    /// They are for the HTTP library: something else, or what may be read in more than one way.
    Other,
}

/// Reads a short request: a `POST` of HTTP/1.1 with a body of announced length, all of which is in
/// `message` and nothing else.
pub(super) fn read(message: &Bytes, head_bytes_max: usize) -> Result<Request<Bytes>, Unread> {
    let head = head(message, head_bytes_max).ok_or(Unread::Other)?;
    let (mut request, head_length, body_length) = head;
    let there = message.len() - head_length;
    if there == body_length {
        *request.body_mut() = message.slice(head_length..);
        return Ok(request);
    }
    if there < body_length && head_length.saturating_add(body_length) <= SHORT_REQUEST_BYTES_MAX {
        return Err(Unread::Begun);
    }
    Err(Unread::Other)
}

/// A request with the head that `message` begins with, and the lengths of head and body.
fn head(message: &Bytes, head_bytes_max: usize) -> Option<(Request<Bytes>, usize, usize)> {
    if !message.starts_with(b"POST /") {
        return None;
    }
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let length = match head.parse_with_uninit_headers(message, &mut fields) {
        Ok(httparse::Status::Complete(length)) if length <= head_bytes_max => length,
        _ => return None,
    };
    if head.version != Some(1) {
        return None;
    }
    let uri = Uri::from_maybe_shared(message.slice_ref(head.path?.as_bytes())).ok()?;
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    let mut body_length = None;
    for field in head.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        match name {
            header::TRANSFER_ENCODING | header::EXPECT | header::UPGRADE | header::TRAILER => {
                return None;
            }
            header::CONNECTION if !field.value.eq_ignore_ascii_case(b"keep-alive") => return None,
            header::CONTENT_LENGTH if body_length.is_some() => return None,
            header::CONTENT_LENGTH => body_length = Some(digits(field.value)?),
            _ => {}
        }
        let value = HeaderValue::from_maybe_shared(message.slice_ref(field.value)).ok()?;
        headers.append(name, value);
    }
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Some((request, length, body_length?))
}

/// A number of digits and nothing else (RFC 9110 §8.6).
fn digits(value: &[u8]) -> Option<usize> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()
}

/// A head with more fields is for the HTTP library.
const FIELDS_MAX: usize = 32;
