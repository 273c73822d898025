//! From bytes to events.
//!
//! # The standard's algorithm, and ours
//!
//! The standard (HTML §9.2.6) reads a stream line by line. A line is a field name, a colon, and a
//! value with at most one leading space taken off. Each known name has its buffer:
//!
//! ```text
//! data     append the value and LF to the data buffer
//! event    the value becomes the type buffer
//! id       the value becomes the id buffer, unless it has U+0000
//! retry    the value becomes the reconnection time, now, if it is all ASCII digits
//! (empty)  the line is a comment
//! ```
//!
//! A blank line dispatches: the id buffer becomes the last event id; then, if there was any data
//! line, there is an event; then data and type are cleared. The id buffer is *not* cleared, so an id
//! holds for the events after it. What no blank line follows before the stream ends is dropped, but
//! for its `retry`.
//!
//! We do the same, in an order that never looks at a byte twice and seldom copies one. Three ideas:
//!
//! 1. *A line that lies inside one chunk* is handled where it lies. If it is the only data line of
//!    its event, and the blank line is in the chunk as well, the event's data is lent straight out of
//!    the chunk: one search for the end of the line, one check that it is UTF-8, no copy. It is
//!    `held` until we know.
//! 2. *A line that the end of a chunk cuts* is not kept whole to be parsed later. [`Partial`] says
//!    how far into the line we are: the first few bytes of a name, the value of a known field, or
//!    something to skip. Data is appended to the data buffer as it comes; it is scanned once and
//!    copied once, however small the pieces. So the time is linear in the bytes, and an ignored
//!    line may be endless and takes no memory.
//! 3. *UTF-8 is checked where text is handed out*, once per value: when the event is dispatched.
//!    Lines may be cut before they are decoded (see [`line`](crate::line)). Ill-formed sequences
//!    become U+FFFD one by one as the Encoding standard says; only then is there a copy.
//!
//! The id buffer and the last event id are two strings that change places on dispatch. The id buffer
//! need not hold the last id when it is not set: that a block without `id` leaves the last event
//! id alone is the same as setting it to what it already was. This also makes the id survive a
//! reconnection, which the letter of the standard forgets and every browser does.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use memchr::memchr;

use crate::field::Field;
use crate::head::Head;
use crate::limits::{BUFFER_BYTES_KEPT_MAX, EVENT_BYTES_MAX};
use crate::line::{Edge, Settled, line_end};
use crate::{DecodeError, EventId, EventRef, Item};

/// Turns the bytes of an event stream into events.
///
/// It does no I/O: give it the chunks of a response body as they come, of any size, and take out what
/// they complete. One decoder serves one event source for all its connections.
///
/// ```
/// use tidings_codec::{Decoder, Item};
///
/// let mut decoder = Decoder::new();
/// let mut seen = Vec::new();
/// for chunk in [&b"id: 7\ndata: hel"[..], b"lo\n\nda", b"ta: world\n\n"] {
///     let mut input = chunk;
///     while let Some(item) = decoder.next(&mut input)? {
///         if let Item::Event(event) = item {
///             seen.push(format!("{} {}", event.last_event_id(), event.data()));
///         }
///     }
/// }
/// assert_eq!(seen, ["7 hello", "7 world"]);
/// # Ok::<(), tidings_codec::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    event_bytes_max: usize,
    comments_wanted: bool,

    edge: Edge,
    partial: Partial,
    /// The value of a cut line so far, unless it is data.
    value: Vec<u8>,

    /// The data buffer: the values of the data lines, joined by LF. Without the LF after the last
    /// one, which the standard appends to take it off again.
    data: Vec<u8>,
    /// There was a data line. (One that is empty leaves the data buffer empty.)
    has_data: bool,
    /// What else the block says.
    head: Head,
    /// The block broke the limit: no event will come of it.
    too_large: bool,
    /// The block has been dispatched, but what was lent out borrows from it: it will be cleared when
    /// we are called again.
    spent: bool,
    /// What was lent out, where it was not UTF-8.
    mended: String,

    reconnection_time: Option<Duration>,
}

/// How far into a line the chunks so far have come.
#[derive(Debug, Clone, Copy)]
enum Partial {
    /// Not at all: the next byte begins a line.
    Start,
    /// Into the name: these bytes of it, and no colon yet.
    Name {
        bytes: [u8; Field::NAME_BYTES_MAX],
        len: usize,
    },
    /// Just behind the colon, where one space is not part of the value.
    Colon(Field),
    /// Into the value.
    Value(Field),
    /// Into a line that will be ignored, whatever else is in it.
    Ignored,
}

/// What a step came upon.
enum Step<'c> {
    /// The end of the chunk.
    MoreInput,
    /// The end of an event, with its data if that is in the chunk; else it is in the data buffer.
    Event(Option<&'c [u8]>),
    /// A comment; if it is not in the chunk, it is in the value buffer.
    Comment(Option<&'c [u8]>),
}

impl Decoder {
    /// A decoder at the start of a source's first connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            event_bytes_max: EVENT_BYTES_MAX,
            comments_wanted: false,
            edge: Edge::default(),
            partial: Partial::Start,
            value: Vec::new(),
            data: Vec::new(),
            has_data: false,
            head: Head::default(),
            too_large: false,
            spent: false,
            mended: String::new(),
            reconnection_time: None,
        }
    }

    /// Hands out comments too. They come at once, before the event whose lines surround them.
    #[must_use]
    pub fn with_comments(mut self) -> Self {
        self.comments_wanted = true;
        self
    }

    /// Sets the most bytes kept for one event. See [`EVENT_BYTES_MAX`].
    #[must_use]
    pub fn with_event_bytes_max(mut self, bytes_max: usize) -> Self {
        self.event_bytes_max = bytes_max;
        self
    }

    /// Starts from a last event id that is already known: the one that was sent with the request.
    #[must_use]
    pub fn with_last_event_id(mut self, id: &EventId) -> Self {
        self.head.set_last_event_id(id.as_str());
        self
    }

    /// Takes bytes from the front of `input` until something is complete, and lends it out. `None`
    /// means that all of `input` has been taken, and more is needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::EventTooLarge`], after which the decoder may be called again.
    pub fn next<'s, 'c: 's>(
        &'s mut self,
        input: &mut &'c [u8],
    ) -> Result<Option<Item<'s>>, DecodeError> {
        Ok(match self.step(input)? {
            Step::MoreInput => None,
            Step::Event(in_chunk) => {
                let data = text(in_chunk.unwrap_or(&self.data), &mut self.mended);
                Some(Item::Event(EventRef::new(data, &self.head)))
            }
            Step::Comment(in_chunk) => {
                let comment = text(in_chunk.unwrap_or(&self.value), &mut self.mended);
                Some(Item::Comment(comment))
            }
        })
    }

    /// The stream has ended, by itself or by accident: drops the block that no blank line ended, and
    /// makes ready for the next connection of the same source, which may open with a byte order mark
    /// of its own. The last event id and the reconnection time stay.
    pub fn end_of_stream(&mut self) {
        self.edge = Edge::default();
        self.partial = Partial::Start;
        self.clear_block();
    }

    /// The last event id string: what a client that reconnects sends as `Last-Event-ID`, or leaves
    /// out if it is empty.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.head.last_event_id()
    }

    /// The reconnection time, if the source has ever given one. A number too large for 64 bits of
    /// milliseconds counts as the largest that is not.
    #[must_use]
    pub fn reconnection_time(&self) -> Option<Duration> {
        self.reconnection_time
    }

    /// Reads on to the next thing there is to hand out.
    fn step<'c>(&mut self, input: &mut &'c [u8]) -> Result<Step<'c>, DecodeError> {
        if self.spent {
            self.clear_block();
        }
        if !self.mended.is_empty() {
            self.mended = String::new();
        }
        // The only data line so far of this block, if it lies in this chunk.
        let mut held = None;
        loop {
            if self.edge.is_open() && self.edge.settle(input) == Settled::NotAMark {
                self.partial = Partial::Ignored;
            }
            if !matches!(self.partial, Partial::Start) {
                if self.resume(input)? {
                    return Ok(Step::Comment(None));
                }
                if input.is_empty() {
                    return Ok(Step::MoreInput);
                }
                continue;
            }
            // We are at the start of a line.
            if let Some(after_colon) = input.strip_prefix(b"data:") {
                let value = after_colon.strip_prefix(b" ").unwrap_or(after_colon);
                let Some(len) = line_end(value) else {
                    self.keep(held);
                    *input = &[];
                    self.partial = self.begin_value(Some(Field::Data));
                    if !after_colon.is_empty() && !self.too_large {
                        self.partial = Partial::Value(Field::Data);
                        self.append_data(value)?;
                    }
                    return Ok(Step::MoreInput);
                };
                *input = &value[len..];
                self.edge.end_line(input);
                self.data_line(&value[..len], &mut held)?;
            } else if let [b'\r' | b'\n', ..] = **input {
                self.edge.end_line(input);
                if self.dispatch(held.is_some()) {
                    return Ok(Step::Event(held));
                }
            } else if let Some(len) = line_end(input) {
                let line = &input[..len];
                *input = &input[len..];
                self.edge.end_line(input);
                if let Some(comment) = self.other_line(line, &mut held)? {
                    self.keep(held);
                    return Ok(Step::Comment(Some(comment)));
                }
            } else {
                self.keep(held.take());
                if input.is_empty() {
                    return Ok(Step::MoreInput);
                }
                self.partial = Partial::Name {
                    bytes: [0; Field::NAME_BYTES_MAX],
                    len: 0,
                };
            }
        }
    }

    /// A line of data that lies in the chunk.
    fn data_line<'c>(
        &mut self,
        value: &'c [u8],
        held: &mut Option<&'c [u8]>,
    ) -> Result<(), DecodeError> {
        if self.too_large {
            return Ok(());
        }
        if held.is_none() && !self.has_data {
            if value.len() + self.head.len() > self.event_bytes_max {
                return Err(self.fail());
            }
            *held = Some(value);
            return Ok(());
        }
        self.keep(held.take());
        self.begin_data();
        self.append_data(value)
    }

    /// A line that lies in the chunk and is not blank and does not begin with `data:`. Gives the
    /// comment, if it is one and it is wanted.
    fn other_line<'c>(
        &mut self,
        line: &'c [u8],
        held: &mut Option<&'c [u8]>,
    ) -> Result<Option<&'c [u8]>, DecodeError> {
        // One byte more than a name can have, for the colon.
        let start = &line[..line.len().min(Field::NAME_BYTES_MAX + 1)];
        let (name, value) = match start.iter().position(|&byte| byte == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match Field::from_name(name) {
            Some(Field::Comment) => {
                let wanted = self.comments_wanted && value.len() <= self.event_bytes_max;
                return Ok(wanted.then_some(value));
            }
            Some(Field::Data) => self.data_line(value, held)?,
            Some(field) => {
                let held_len = held.map_or(0, <[u8]>::len);
                if self.kept_len() + held_len + value.len() <= self.event_bytes_max {
                    self.set(field, value);
                } else if !self.too_large {
                    return Err(self.fail());
                }
            }
            None => {}
        }
        Ok(None)
    }

    /// Goes on within a line that an earlier chunk began. True if it was a comment and is complete.
    fn resume(&mut self, input: &mut &[u8]) -> Result<bool, DecodeError> {
        loop {
            match &mut self.partial {
                Partial::Start => return Ok(false),
                Partial::Name { bytes, len } => {
                    let Some((&byte, rest)) = input.split_first() else {
                        return Ok(false);
                    };
                    let name = &mut bytes[..];
                    match byte {
                        b':' => {
                            *input = rest;
                            let field = Field::from_name(&name[..*len]);
                            self.partial = self.begin_value(field);
                        }
                        b'\r' | b'\n' => {
                            let field = Field::from_name(&name[..*len]);
                            self.partial = self.begin_value(field);
                        }
                        _ if *len == name.len() => self.partial = Partial::Ignored,
                        _ => {
                            name[*len] = byte;
                            *len += 1;
                            *input = rest;
                        }
                    }
                }
                Partial::Colon(field) => {
                    let field = *field;
                    if input.is_empty() {
                        return Ok(false);
                    }
                    *input = input.strip_prefix(b" ").unwrap_or(input);
                    self.partial = Partial::Value(field);
                }
                Partial::Value(field) => {
                    let field = *field;
                    let (piece, ended) = self.take_piece(input);
                    if field == Field::Data {
                        self.append_data(piece)?;
                        return Ok(false);
                    }
                    return Ok(self.append_value(field, piece)? && ended && self.end_value(field));
                }
                Partial::Ignored => {
                    self.take_piece(input);
                    return Ok(false);
                }
            }
        }
    }

    /// Takes what is left of the line from `input`, with its end if that is there.
    fn take_piece<'c>(&mut self, input: &mut &'c [u8]) -> (&'c [u8], bool) {
        let Some(len) = line_end(input) else {
            return (mem::take(input), false);
        };
        let piece = &input[..len];
        *input = &input[len..];
        self.edge.end_line(input);
        self.partial = Partial::Start;
        (piece, true)
    }

    /// The name of a line that is cut is known.
    fn begin_value(&mut self, field: Option<Field>) -> Partial {
        match field {
            None => Partial::Ignored,
            Some(Field::Comment) if !self.comments_wanted => Partial::Ignored,
            Some(Field::Data) if self.too_large => Partial::Ignored,
            Some(Field::Data) => {
                self.begin_data();
                Partial::Colon(Field::Data)
            }
            Some(field) => {
                recycle(&mut self.value);
                Partial::Colon(field)
            }
        }
    }

    /// A piece of a value that is not data. False if the value is too large and is ignored.
    fn append_value(&mut self, field: Field, piece: &[u8]) -> Result<bool, DecodeError> {
        let others = if field == Field::Comment {
            0
        } else {
            self.kept_len()
        };
        if others + self.value.len() + piece.len() <= self.event_bytes_max {
            self.value.extend_from_slice(piece);
            return Ok(true);
        }
        if field == Field::Comment || self.too_large {
            self.ignore_line();
            return Ok(false);
        }
        Err(self.fail())
    }

    /// The end of a value that is not data. True if it is a comment, to be handed out.
    fn end_value(&mut self, field: Field) -> bool {
        if field == Field::Comment {
            return true;
        }
        let value = mem::take(&mut self.value);
        self.set(field, &value);
        self.value = value;
        false
    }

    /// Begins a line of the data buffer.
    fn begin_data(&mut self) {
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
    }

    /// Adds to the line of the data buffer begun last.
    fn append_data(&mut self, piece: &[u8]) -> Result<(), DecodeError> {
        if self.kept_len() + piece.len() > self.event_bytes_max {
            return Err(self.fail());
        }
        self.data.extend_from_slice(piece);
        Ok(())
    }

    /// Copies the data line that was left lying in the chunk.
    fn keep(&mut self, held: Option<&[u8]>) {
        if let Some(value) = held {
            self.begin_data();
            self.data.extend_from_slice(value);
        }
    }

    /// A field that is not data, and its whole value.
    fn set(&mut self, field: Field, value: &[u8]) {
        match field {
            Field::Event => {
                self.head.event_type.clear();
                self.head
                    .event_type
                    .push_str(&String::from_utf8_lossy(value));
            }
            Field::Id if memchr(b'\0', value).is_none() => {
                self.head.set_id(&String::from_utf8_lossy(value));
            }
            Field::Retry => {
                if let Some(ms) = retry_ms(value) {
                    self.head.retry_ms = Some(ms);
                    self.reconnection_time = Some(Duration::from_millis(ms));
                }
            }
            Field::Id | Field::Data | Field::Comment => {}
        }
    }

    /// A blank line. True if it makes an event of the block.
    fn dispatch(&mut self, held: bool) -> bool {
        if self.head.is_clear() && !self.has_data && !self.too_large {
            return held;
        }
        self.head.commit_id();
        let is_event = (held || self.has_data) && !self.too_large;
        if is_event {
            self.spent = true;
        } else {
            self.clear_block();
        }
        is_event
    }

    /// Forgets the block, but not the last event id.
    fn clear_block(&mut self) {
        recycle(&mut self.data);
        self.has_data = false;
        self.head.clear();
        self.too_large = false;
        self.spent = false;
    }

    /// The block is larger than it may be: its data goes, and what is left of it will be skipped.
    fn fail(&mut self) -> DecodeError {
        self.data = Vec::new();
        self.has_data = false;
        self.too_large = true;
        self.ignore_line();
        DecodeError::EventTooLarge {
            bytes_max: self.event_bytes_max,
        }
    }

    /// Skips the rest of the line, if there is a rest.
    fn ignore_line(&mut self) {
        self.value = Vec::new();
        if !matches!(self.partial, Partial::Start) {
            self.partial = Partial::Ignored;
        }
    }

    /// The bytes kept for the block, but for a cut value.
    fn kept_len(&self) -> usize {
        self.data.len() + self.head.len()
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes as text, lent as they are if they are UTF-8.
fn text<'a>(bytes: &'a [u8], mended: &'a mut String) -> &'a str {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            *mended = String::from_utf8_lossy(bytes).into_owned();
            mended
        }
    }
}

/// The value of a `retry` field, if it is a number: ASCII digits and nothing else, at least one.
/// One that does not fit is taken for the largest that does.
fn retry_ms(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append = |ms: u64, digit: &u8| {
        ms.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    };
    Some(digits.iter().fold(0, append))
}

/// Empties a buffer, and gives its memory back if that is much.
fn recycle(buffer: &mut Vec<u8>) {
    if buffer.capacity() > BUFFER_BYTES_KEPT_MAX {
        *buffer = Vec::new();
    }
    buffer.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checklist 15.
    #[test]
    fn a_retry_is_ascii_digits_and_nothing_else() {
        assert_eq!(retry_ms(b"03000"), Some(3000));
        assert_eq!(retry_ms(b"0"), Some(0));
        assert_eq!(retry_ms(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(retry_ms(b"18446744073709551616"), Some(u64::MAX));
        for bad in ["", "+5", "-1", "1.5", " 1", "1000x", "\u{661}\u{662}", "1 "] {
            assert_eq!(retry_ms(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
