//! Events, comments and retries appended to the caller's buffer.
//!
//! Every function writes a whole block, blank line included, in UTF-8 without a byte order mark
//! (HTML §9.2.5). Whatever has been written so far is therefore always a valid stream, and blocks
//! may be written in any order. Each function grows the buffer at most once.
//!
//! Fields are in the order `event`, `retry`, `id`, `data`, each with one space after its colon:
//! that space is the format's own and not part of the value, so a value may begin with a space.

use alloc::vec::Vec;

use memchr::memchr2_iter;

use crate::line::line_end;
use crate::{EventId, EventType, copy};

/// Maximum number of decimal digits of a `u64`.
const U64_DIGITS_MAX: usize = 20;

/// Appends one event.
///
/// `data` may be any text. LF, CRLF and CR each end a line of it, and each line becomes a `data`
/// field of its own; the client joins the lines with LF. **So a CR or CRLF in `data` arrives as
/// LF**: the format has no way to carry a CR. Text without CR arrives as it was sent, including
/// empty text, a trailing line break and leading spaces.
///
/// ```
/// use tidings_codec::encode;
///
/// let mut wire = Vec::new();
/// encode::event(&mut wire, None, None, Some(3000), "two\nlines");
/// assert_eq!(wire, b"retry: 3000\ndata: two\ndata: lines\n\n");
/// ```
pub fn event(
    out: &mut Vec<u8>,
    id: Option<&EventId>,
    event_type: Option<&EventType>,
    retry_ms: Option<u64>,
    data: &str,
) {
    let head_len = head_len_max(id, event_type, retry_ms);
    // Most events have one line: one search through the data finds that, and one copy writes it.
    let Some(first_break) = line_end(data.as_bytes()) else {
        out.reserve(head_len + b"data: \n\n".len() + data.len());
        head(out, id, event_type, retry_ms);
        out.extend_from_slice(b"data: ");
        copy::append(out, data.as_bytes());
        out.extend_from_slice(b"\n\n");
        return;
    };
    let from_break = &data.as_bytes()[first_break..];
    out.reserve(head_len + first_break + lines_len_max(b"data: ", from_break) + b"\n".len());
    head(out, id, event_type, retry_ms);
    lines(out, b"data: ", data.as_bytes());
    out.push(b'\n');
}

/// Number of bytes that [`event`] will append, or a few more: at most 19 for a retry with fewer
/// than twenty digits, and 7 for each CRLF in `data`.
#[must_use]
pub fn event_len_max(
    id: Option<&EventId>,
    event_type: Option<&EventType>,
    retry_ms: Option<u64>,
    data: &str,
) -> usize {
    head_len_max(id, event_type, retry_ms) + lines_len_max(b"data: ", data.as_bytes()) + b"\n".len()
}

/// Appends a comment, which clients ignore; a connection that carries one is known to be alive.
///
/// Each line of `text` (LF, CRLF or CR) becomes a comment line of its own.
///
/// ```
/// use tidings_codec::encode;
///
/// let mut wire = Vec::new();
/// encode::comment(&mut wire, "ping");
/// assert_eq!(wire, b": ping\n\n");
/// ```
pub fn comment(out: &mut Vec<u8>, text: &str) {
    out.reserve(lines_len_max(b": ", text.as_bytes()) + b"\n".len());
    lines(out, b": ", text.as_bytes());
    out.push(b'\n');
}

/// Appends a block that sets the time clients wait before they reconnect, in milliseconds, and is
/// not an event (HTML §9.2.6, field `retry`).
///
/// ```
/// use tidings_codec::encode;
///
/// let mut wire = Vec::new();
/// encode::retry(&mut wire, 250);
/// assert_eq!(wire, b"retry: 250\n\n");
/// ```
pub fn retry(out: &mut Vec<u8>, ms: u64) {
    out.reserve(b"retry: \n\n".len() + U64_DIGITS_MAX);
    retry_line(out, ms);
    out.push(b'\n');
}

/// Appends a block that moves the client's last event id and is not an event.
///
/// By the standard a block without data sets the last event id and dispatches nothing (HTML §9.2.6,
/// dispatch, steps 1 and 2). So a client that has received no event yet, or none for a long time,
/// still comes back to the right place.
///
/// ```
/// use tidings_codec::{EventId, encode};
///
/// let mut wire = Vec::new();
/// encode::id_only(&mut wire, &EventId::new("k7q2ma:42")?);
/// assert_eq!(wire, b"id: k7q2ma:42\n\n");
/// # Ok::<(), tidings_codec::InvalidField>(())
/// ```
pub fn id_only(out: &mut Vec<u8>, id: &EventId) {
    out.reserve(b"id: \n\n".len() + id.as_str().len());
    id_line(out, id);
    out.push(b'\n');
}

/// Appends a block without data, which sets what it holds (the last event id, the time to wait
/// before reconnecting) and is no event to clients that follow the standard (HTML §9.2.6, dispatch,
/// step 2). Its type is for those that show every block.
///
/// ```
/// use tidings_codec::{EventType, encode};
///
/// let mut wire = Vec::new();
/// let block_type = EventType::new("tidings.open").unwrap();
/// encode::block(&mut wire, None, Some(&block_type), Some(250));
/// assert_eq!(wire, b"event: tidings.open\nretry: 250\n\n");
/// ```
pub fn block(
    out: &mut Vec<u8>,
    id: Option<&EventId>,
    block_type: Option<&EventType>,
    retry_ms: Option<u64>,
) {
    out.reserve(head_len_max(id, block_type, retry_ms) + b"\n".len());
    head(out, id, block_type, retry_ms);
    out.push(b'\n');
}

/// The fields before `data`.
fn head(
    out: &mut Vec<u8>,
    id: Option<&EventId>,
    event_type: Option<&EventType>,
    retry_ms: Option<u64>,
) {
    if let Some(event_type) = event_type {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event_type.as_str().as_bytes());
        out.push(b'\n');
    }
    if let Some(id) = id {
        id_line(out, id);
    }
    if let Some(ms) = retry_ms {
        retry_line(out, ms);
    }
}

fn head_len_max(
    id: Option<&EventId>,
    event_type: Option<&EventType>,
    retry_ms: Option<u64>,
) -> usize {
    event_type.map_or(0, |event_type| b"event: \n".len() + event_type.as_str().len())
        + retry_ms.map_or(0, |_| b"retry: \n".len() + U64_DIGITS_MAX)
        + id.map_or(0, |id| b"id: \n".len() + id.as_str().len())
}

fn id_line(out: &mut Vec<u8>, id: &EventId) {
    out.extend_from_slice(b"id: ");
    out.extend_from_slice(id.as_str().as_bytes());
    out.push(b'\n');
}

fn retry_line(out: &mut Vec<u8>, mut ms: u64) {
    let mut digits = [0; U64_DIGITS_MAX];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (ms % 10) as u8;
        ms /= 10;
        if ms == 0 {
            break;
        }
    }
    out.extend_from_slice(b"retry: ");
    out.extend_from_slice(&digits[start..]);
    out.push(b'\n');
}

/// Writes each line of `text`, at least one, between `prefix` and LF.
fn lines(out: &mut Vec<u8>, prefix: &[u8], mut text: &[u8]) {
    while let Some(end) = line_end(text) {
        out.extend_from_slice(prefix);
        copy::append(out, &text[..end]);
        out.push(b'\n');
        let crlf = text[end..].starts_with(b"\r\n");
        text = &text[end + 1 + usize::from(crlf)..];
    }
    out.extend_from_slice(prefix);
    copy::append(out, text);
    out.push(b'\n');
}

/// Number of bytes that [`lines`] will write, or a few more: a CRLF counts as two line breaks.
fn lines_len_max(prefix: &[u8], text: &[u8]) -> usize {
    let breaks = memchr2_iter(b'\r', b'\n', text).count();
    (text.len() - breaks) + (breaks + 1) * (prefix.len() + b"\n".len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn encoded(data: &str) -> Vec<u8> {
        let mut out = Vec::new();
        event(&mut out, None, None, None, data);
        out
    }

    #[test]
    fn fields_are_in_the_order_event_id_retry_data() {
        let (id, event_type) = (EventId::new("7").unwrap(), EventType::new("tick").unwrap());
        let mut out = Vec::new();
        event(&mut out, Some(&id), Some(&event_type), Some(u64::MAX), "x");
        assert_eq!(out, b"event: tick\nid: 7\nretry: 18446744073709551615\ndata: x\n\n");
    }

    /// Checklist 42: one field per line, whatever its line ending, and always the format's own
    /// space.
    #[test]
    fn every_kind_of_line_break_starts_a_new_data_line() {
        assert_eq!(encoded("a\nb\rc\r\nd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n");
        assert_eq!(encoded("\n\r"), b"data: \ndata: \ndata: \n\n");
        assert_eq!(encoded(" indented"), b"data:  indented\n\n");
    }

    /// Checklist 44.
    #[test]
    fn empty_data_and_a_trailing_line_break_are_written_out() {
        assert_eq!(encoded(""), b"data: \n\n");
        assert_eq!(encoded("a\n"), b"data: a\ndata: \n\n");
    }

    /// Checklist 39.
    #[test]
    fn no_byte_order_mark_is_written() {
        assert!(encoded("x").starts_with(b"data"));
    }

    /// Checklist 45: the priming event of streams that are polled, an id and empty data.
    #[test]
    fn a_priming_event_is_an_id_and_empty_data() {
        let mut out = Vec::new();
        event(&mut out, Some(&EventId::new("0").unwrap()), None, None, "");
        assert_eq!(out, b"id: 0\ndata: \n\n");
    }

    #[test]
    fn a_comment_of_several_lines_stays_a_comment() {
        let mut out = Vec::new();
        comment(&mut out, "a\ndata: b\r\nc");
        assert_eq!(out, b": a\n: data: b\n: c\n\n");
    }

    #[test]
    fn retry_is_written_in_base_ten() {
        let mut out = Vec::new();
        retry(&mut out, 0);
        retry(&mut out, 15_000);
        assert_eq!(out, b"retry: 0\n\nretry: 15000\n\n");
    }

    #[test]
    fn the_predicted_length_is_never_too_small() {
        let (id, event_type) = (EventId::new("7").unwrap(), EventType::new("tick").unwrap());
        for data in ["", "a", "a\nb", "\r\n", "\r\n\r\n", "a\r\rb\n"] {
            let mut out = Vec::new();
            event(&mut out, Some(&id), Some(&event_type), Some(5), data);
            let max = event_len_max(Some(&id), Some(&event_type), Some(5), data);
            let slack = 19 + 7 * data.matches("\r\n").count();
            assert!(out.len() <= max && max <= out.len() + slack, "{data:?}: {max}");
        }
    }
}
