//! The payload that the publisher writes and the subscribers check.
//!
//! A payload is `~<run>-<lane>-<number>-<intended time>~` and padding up to the wanted length. The
//! run distinguishes events from those that an earlier run left in the server's history. A *lane*
//! is one publisher on one topic: events on a lane are numbered from 0 without gaps, so a
//! subscriber can distinguish losses, repeats and ordering faults by itself. The intended time
//! (nanoseconds of the run's clock) is the scheduled time of sending, not the actual one: when a
//! server makes the publisher wait, the wait counts.
//!
//! Only characters that need no escaping in JSON or forms are used. Servers that wrap payloads, or
//! put several into one `data` line, are supported too: each marker within `data` counts.

/// Opens and closes the header of a payload.
pub(crate) const MARK: u8 = b'~';

/// The header of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Number of the run.
    pub(crate) run: u32,
    /// Number of the publisher on the topic.
    pub(crate) lane: u32,
    /// Number of the event on the lane, from 0.
    pub(crate) number: u64,
    /// Scheduled time of sending, in nanoseconds.
    pub(crate) intended_ns: u64,
}

/// Longest text between two marks: two `u32` and two `u64` in decimal, and dashes.
pub(crate) const HEADER_TEXT_MAX: usize = 2 * (10 + 1) + 19 + 1 + 19;

/// Appends a payload of `bytes` bytes, or just the header if that is longer.
pub(crate) fn write(header: Header, bytes: usize, out: &mut Vec<u8>) {
    use std::io::Write as _;
    let start = out.len();
    let Header { run, lane, number, intended_ns } = header;
    write!(out, "~{run}-{lane}-{number}-{intended_ns}~").expect("a Vec takes every write");
    let padded = (start + bytes).max(out.len());
    out.resize(padded, b'x');
}

/// Parses the text between two marks.
pub(crate) fn parse(text: &[u8]) -> Option<Header> {
    let (run, rest) = number(text)?;
    let (lane, rest) = number(rest.strip_prefix(b"-")?)?;
    let (number_, rest) = number(rest.strip_prefix(b"-")?)?;
    let (intended_ns, rest) = number(rest.strip_prefix(b"-")?)?;
    let (run, lane) = (u32::try_from(run).ok()?, u32::try_from(lane).ok()?);
    rest.is_empty().then_some(Header { run, lane, number: number_, intended_ns })
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 19 {
        return None;
    }
    let value = text[..digits].iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some((value, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_requested_length_and_can_be_parsed() {
        let header = Header { run: 9, lane: 3, number: 42, intended_ns: 1_234_567_890 };
        let mut out = Vec::new();
        write(header, 100, &mut out);
        assert_eq!(out.len(), 100);
        let end = out[1..].iter().position(|&byte| byte == MARK).expect("a second mark") + 1;
        assert_eq!(parse(&out[1..end]), Some(header));
    }

    #[test]
    fn text_that_is_not_a_header_is_rejected() {
        for text in
            ["", "1", "1-2-3", "1-2-3-", "1-2-3-4-5", "a-1-2-3", "0-1-2-99999999999999999999"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
