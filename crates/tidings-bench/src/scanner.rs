use std::time::Duration;

use memchr::{memchr, memchr2};

use crate::limits::{EVENT_ID_BYTES_MAX, RETRY_MAX};
use crate::payload::{self, HEADER_TEXT_MAX, Header, MARK};

/// Finds our payloads in one event stream, as cheaply as it can.
///
/// It handles lines, and the fields `data`, `id` and `retry` as far as a run needs them; it is not
/// a full decoder (that is `tidings-codec`). A payload counts when its block ends, as with an
/// `EventSource`: a block that a broken connection left half received does not count. Where a
/// server puts several payloads into one block, all but the last count at once. Lines end with LF
/// or CR LF; no server under test sends a lone CR.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    line: Line,
    /// Bytes of a line's beginning, or of a header, that was cut by the end of a read.
    carry: Carry,
    /// A payload that waits for the end of its block.
    pending: Option<Header>,
    /// Only present where connections resume.
    ids: Option<Box<Ids>>,
}

/// The last event id, and the server's retry time.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    /// Id of the last complete block.
    pub(crate) last: Vec<u8>,
    /// Id of the block being read.
    new: Option<Vec<u8>>,
    /// Time from `retry:`.
    pub(crate) retry: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Start,
    /// In `data`, outside a header.
    Data,
    /// In `data`, after the mark that may open a header.
    Header,
    /// In `id` or `retry`, which are kept whole, in `Ids::new` or the carry.
    Id,
    Retry,
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Carry {
    bytes: [u8; HEADER_TEXT_MAX],
    len: u8,
}

impl Ids {
    /// A state as if `id` had been the last id received.
    pub(crate) fn starting_at(id: &str) -> Self {
        Self { last: id.as_bytes().to_vec(), ..Self::default() }
    }
}

impl Scanner {
    /// A scanner that remembers ids, for connections that resume; `ids` is the state of an earlier
    /// connection.
    pub(crate) fn resuming(ids: Box<Ids>) -> Self {
        Self { ids: Some(ids), ..Self::default() }
    }

    /// The state to keep when the connection ends, without the unfinished block.
    pub(crate) fn into_ids(self) -> Option<Box<Ids>> {
        self.ids.map(|mut ids| {
            ids.new = None;
            ids
        })
    }

    /// Reads the next piece of the stream and passes each payload to `received`.
    pub(crate) fn feed(&mut self, mut input: &[u8], received: &mut impl FnMut(Header)) {
        while !input.is_empty() {
            input = match self.line {
                Line::Start => self.start(input, received),
                Line::Data => self.data(input),
                Line::Header => self.header(input, received),
                Line::Id => self.id(input),
                Line::Retry => self.retry(input),
                Line::Other => match memchr(b'\n', input) {
                    Some(at) => self.next_line(&input[at + 1..]),
                    None => &[],
                },
            };
        }
    }

    /// Finds out which field a line begins with.
    fn start<'a>(&mut self, input: &'a [u8], received: &mut impl FnMut(Header)) -> &'a [u8] {
        if self.carry.len == 0 && input.len() >= PREFIX {
            // Almost always nothing is cut.
            let (line, skip) = field(&input[..PREFIX]);
            return self.begin(line, &input[skip..], received);
        }
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            self.carry.push(byte);
            if byte == b'\n' || usize::from(self.carry.len) == PREFIX {
                let carried = self.carry.take();
                let (line, skip) = field(carried.bytes());
                // Carried bytes after the field's name belong to its value.
                let value = carried;
                let mut value = &value.bytes()[skip..];
                if let Some(begun) = line {
                    self.line = begun;
                    while !value.is_empty() && self.line != Line::Start {
                        let left = match self.line {
                            Line::Data => self.data(value).len(),
                            Line::Header => self.header(value, received).len(),
                            Line::Id => self.id(value).len(),
                            Line::Retry => self.retry(value).len(),
                            _ => match memchr(b'\n', value) {
                                Some(at) => self.next_line(&value[at + 1..]).len(),
                                None => 0,
                            },
                        };
                        value = &value[value.len() - left..];
                    }
                } else {
                    self.end_of_block(received);
                }
                return rest;
            }
        }
        rest
    }

    fn begin<'a>(
        &mut self,
        line: Option<Line>,
        rest: &'a [u8],
        received: &mut impl FnMut(Header),
    ) -> &'a [u8] {
        match line {
            Some(line) => self.line = line,
            None => self.end_of_block(received),
        }
        rest
    }

    fn end_of_block(&mut self, received: &mut impl FnMut(Header)) {
        if let Some(header) = self.pending.take() {
            received(header);
        }
        if let Some(ids) = &mut self.ids
            && let Some(new) = ids.new.take()
        {
            ids.last = new;
        }
    }

    fn data<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        match memchr2(MARK, b'\n', input) {
            Some(at) if input[at] == b'\n' => self.next_line(&input[at + 1..]),
            Some(at) => {
                self.line = Line::Header;
                &input[at + 1..]
            }
            None => &[],
        }
    }

    fn header<'a>(&mut self, input: &'a [u8], received: &mut impl FnMut(Header)) -> &'a [u8] {
        let room = HEADER_TEXT_MAX - usize::from(self.carry.len);
        let window = &input[..input.len().min(room + 1)];
        let Some(at) = memchr2(MARK, b'\n', window) else {
            if window.len() > room {
                // It is too long for a header: the mark was ordinary text.
                self.carry.take();
                self.line = Line::Data;
            } else {
                self.carry.extend(window);
            }
            return &input[window.len()..];
        };
        let parsed = if self.carry.len == 0 {
            payload::parse(&window[..at])
        } else {
            self.carry.extend(&window[..at]);
            payload::parse(self.carry.take().bytes())
        };
        self.line = Line::Data;
        if window[at] == b'\n' {
            return self.next_line(&input[at + 1..]);
        }
        match parsed {
            Some(header) => {
                if let Some(earlier) = self.pending.replace(header) {
                    received(earlier);
                }
            }
            // This mark may open the next header.
            None => self.line = Line::Header,
        }
        &input[at + 1..]
    }

    fn id<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let end = memchr(b'\n', input);
        if let Some(ids) = &mut self.ids {
            let new = ids.new.get_or_insert_default();
            new.extend_from_slice(&input[..end.unwrap_or(input.len())]);
            if end.is_some() {
                let value = trim(new);
                let (start, len) = (value.as_ptr() as usize - new.as_ptr() as usize, value.len());
                new.truncate(start + len);
                new.drain(..start);
            }
            if new.len() > EVENT_ID_BYTES_MAX {
                ids.new = None;
            }
        }
        match end {
            Some(at) => self.next_line(&input[at + 1..]),
            None => &[],
        }
    }

    fn retry<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let end = memchr(b'\n', input);
        self.carry.extend(&input[..end.unwrap_or(input.len())]);
        let Some(at) = end else { return &[] };
        let text = self.carry.take();
        let milliseconds =
            str::from_utf8(trim(text.bytes())).ok().and_then(|text| text.parse().ok());
        if let (Some(ids), Some(milliseconds)) = (&mut self.ids, milliseconds) {
            ids.retry = Some(Duration::from_millis(milliseconds).min(RETRY_MAX));
        }
        self.next_line(&input[at + 1..])
    }

    fn next_line<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        self.line = Line::Start;
        rest
    }
}

impl Carry {
    /// Appends as much as fits: anything longer is not a header, and a retry is short.
    fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.push(byte));
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
            *place = byte;
            self.len += 1;
        }
    }

    fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Default for Carry {
    fn default() -> Self {
        Self { bytes: [0; HEADER_TEXT_MAX], len: 0 }
    }
}

/// Number of bytes that distinguish the fields.
const PREFIX: usize = 6;

/// The field that a line begins with, and the number of bytes to skip; `None` for the blank line.
fn field(prefix: &[u8]) -> (Option<Line>, usize) {
    match prefix {
        [b'\n', ..] => (None, 1),
        [b'\r', b'\n', ..] => (None, 2),
        [b'd', b'a', b't', b'a', b':', ..] => (Some(Line::Data), 5),
        [b'i', b'd', b':', ..] => (Some(Line::Id), 3),
        [b'r', b'e', b't', b'r', b'y', b':'] => (Some(Line::Retry), 6),
        _ => (Some(Line::Other), 0),
    }
}

/// A field's value, without the one space before it and a CR after it.
fn trim(value: &[u8]) -> &[u8] {
    let value = value.strip_prefix(b" ").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(stream: &[u8], piece: usize) -> (Vec<u64>, Ids) {
        let mut scanner = Scanner::resuming(Box::default());
        let mut numbers = Vec::new();
        for piece in stream.chunks(piece) {
            scanner.feed(piece, &mut |header| numbers.push(header.number));
        }
        (numbers, *scanner.into_ids().expect("ids are remembered"))
    }

    const STREAM: &[u8] = b": hi ~7-0-9-9~\nretry: 1500\nid: a:0\n\n\
        id: a:1\ndata: ~7-0-1-10~xx\n\n\
        event: x\r\nid: a:2\r\ndata: {\"a\":\"~\",\
        \"b\":\"~7-0-2-20~xx\",\"c\":\"~7-0-3-30~\"}\r\n\r\n\
        data:~7-0-4-40~\ndata: ~5-5\n\ndata: ~~7-0-6-60~\n\n\
        id\ni: x\nd\n\nid: a:9\ndata: ~7-0-7-70~\n";

    #[test]
    fn payloads_ids_and_retry_are_found_wherever_the_stream_is_cut() {
        for piece in 1..=STREAM.len() {
            let (numbers, ids) = scan(STREAM, piece);
            assert_eq!(numbers, [1, 2, 3, 4, 6], "pieces of {piece}");
            assert_eq!(ids.last, b"a:2", "the block of a:9 never ended");
            assert_eq!(ids.retry, Some(Duration::from_millis(1500)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_read_the_same(
            stream in proptest::collection::vec(
                prop::sample::select(b"~\n-7d:".to_vec()), 0..200),
            piece in 1_usize..20,
        ) {
            let mut whole = b"data:".to_vec();
            whole.extend(stream);
            whole.extend(b"\n\n\n");
            let (numbers, ids) = scan(&whole, whole.len());
            let (cut_numbers, cut_ids) = scan(&whole, piece);
            prop_assert_eq!(numbers, cut_numbers);
            prop_assert_eq!(ids.last, cut_ids.last);
        }
    }
}
