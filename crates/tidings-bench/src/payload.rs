//! What the publisher writes and the subscribers judge.
//!
//! A payload is `~<run>-<lane>-<number>-<intended time>~` and padding up to the wanted length. The
//! run tells events apart from those an earlier bench left in the server's history. A *lane* is one
//! publisher on one topic: on a lane events are numbered from nought without gaps, so a subscriber
//! can tell losses, repeats and faults of order apart without asking anybody. The intended time
//! (nanoseconds of the run's clock) is when the schedule wanted the event sent, not when it was: a
//! server that makes the publisher wait is charged for the wait.
//!
//! Only characters that neither JSON nor a form need escape are used. Servers that wrap payloads,
//! or put several into one `data` line, are read all the same: what counts is each marker within
//! `data`.

/// Opens and closes the header of a payload.
pub(crate) const MARK: u8 = b'~';

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which bench.
    pub(crate) run: u32,
    /// Which publisher on the topic.
    pub(crate) lane: u32,
    /// Counted on the lane, from nought.
    pub(crate) number: u64,
    /// When the event was to be sent.
    pub(crate) intended_ns: u64,
}

/// Longest text between two marks: two `u32` and two `u64` in decimal, and dashes.
pub(crate) const HEADER_TEXT_MAX: usize = 2 * (10 + 1) + 19 + 1 + 19;

/// Appends a payload of `bytes` bytes, or as many as the header takes.
pub(crate) fn write(header: Header, bytes: usize, out: &mut Vec<u8>) {
    use std::io::Write as _;
    let start = out.len();
    let Header { run, lane, number, intended_ns } = header;
    write!(out, "~{run}-{lane}-{number}-{intended_ns}~").expect("a Vec takes every write");
    let padded = (start + bytes).max(out.len());
    out.resize(padded, b'x');
}

/// Reads what stands between two marks.
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
    fn a_payload_is_as_long_as_asked_and_reads_back() {
        let header = Header { run: 9, lane: 3, number: 42, intended_ns: 1_234_567_890 };
        let mut out = Vec::new();
        write(header, 100, &mut out);
        assert_eq!(out.len(), 100);
        let end = out[1..].iter().position(|&byte| byte == MARK).expect("a second mark") + 1;
        assert_eq!(parse(&out[1..end]), Some(header));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for text in
            ["", "1", "1-2-3", "1-2-3-", "1-2-3-4-5", "a-1-2-3", "0-1-2-99999999999999999999"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
