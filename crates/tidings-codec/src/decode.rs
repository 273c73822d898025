//! From bytes to events.
//!
//! # The standard's algorithm, and ours
//!
//! The standard (HTML §9.2.6) reads a stream line by line. A line is a field name, a colon, and a
//! value, from which at most one leading space is removed. Each known name has its buffer:
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
//! line, there is an event; then data and type are cleared. The id buffer is *not* cleared, so an
//! id holds for the events after it. A block that no blank line follows before the stream ends is
//! dropped, except for its `retry`.
//!
//! We do the same, in an order that never looks at a byte twice and seldom copies one. There are
//! three ideas:
//!
//! 1. *A line that lies inside one chunk* is handled in place. If it is the only data line of its
//!    event, and the blank line is in the chunk as well, the event's data is lent straight from the
//!    chunk: one search for the end of the line, one check that it is UTF-8, no copy. Until we
//!    know, the line is `held`.
//! 2. *A line that is cut by the end of a chunk* is not kept whole to be parsed later. [`Place`]
//!    says how far into the line we are: the first few bytes of a name, the value of a known field,
//!    or something to skip. Data is appended to the data buffer as it comes; it is scanned once and
//!    copied once, however small the pieces. So the time is linear in the bytes, and an ignored
//!    line may be endless and takes no memory.
//! 3. *UTF-8 is checked where text is handed out*, once per value: when the event is dispatched.
//!    Lines may be cut before they are decoded (see [`line`](crate::line)). Ill-formed sequences
//!    become U+FFFD one by one as the Encoding standard says; only then is there a copy.
//!
//! The id buffer and the last event id are two strings that are swapped on dispatch. The id buffer
//! need not hold the last id when it is not set: a block without `id` leaves the last event id
//! alone, which is the same as setting it to what it already was. This also makes the id survive a
//! reconnection, which the text of the standard overlooks and every browser does.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use crate::block::{Block, TooLarge, recycle};
use crate::field::{Field, Name};
use crate::limits::EVENT_BYTES_MAX;
use crate::line::{Edge, Settled, line_end, line_end_within_16, unlikely_line_end};
use crate::{DecodeError, EventId, EventRef, Item};

/// Turns the bytes of an event stream into events.
///
/// It does no I/O: pass it the chunks of a response body as they arrive, of any size, and take out
/// the items that they complete. One decoder serves one event source for all its connections.
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
    comments_wanted: bool,
    edge: Edge,
    place: Place,
    /// The part of a cut line's name received so far.
    name: Name,
    /// The field of a cut line.
    field: Field,
    /// The part of a cut line's value received so far, unless it is data.
    value: Vec<u8>,
    block: Block,
    /// Whether the block has been dispatched. The item lent out borrows from it, so it is cleared
    /// on the next call.
    spent: bool,
    /// The repaired text that is lent out where the data was not UTF-8.
    mended: String,
}

/// How far into a line the chunks so far reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not at all: the next byte begins a line.
    Start,
    /// Into the name.
    Name,
    /// Just after the colon, where one space is not part of the value.
    Colon,
    /// Into a value that is data.
    Data,
    /// Into another value.
    Value,
    /// Into a line that will be ignored, whatever it contains.
    Ignored,
}

/// What a step found.
enum Step<'c> {
    /// The end of the chunk.
    MoreInput,
    /// The end of an event, with its data if that is in the chunk; otherwise the data is in the
    /// data buffer.
    Event(Option<&'c [u8]>),
    /// A comment, if it is in the chunk; otherwise it is in the value buffer.
    Comment(Option<&'c [u8]>),
}

impl Decoder {
    /// A decoder at the start of a source's first connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            comments_wanted: false,
            edge: Edge::default(),
            place: Place::Start,
            name: Name::default(),
            field: Field::Comment,
            value: Vec::new(),
            block: Block::new(EVENT_BYTES_MAX),
            spent: false,
            mended: String::new(),
        }
    }

    /// Returns comments too. Each comes at once, before the event whose lines surround it.
    #[must_use]
    pub fn with_comments(mut self) -> Self {
        self.comments_wanted = true;
        self
    }

    /// Sets the maximum number of bytes kept for one event. See [`EVENT_BYTES_MAX`].
    #[must_use]
    pub fn with_event_bytes_max(mut self, bytes_max: usize) -> Self {
        self.block.bytes_max = bytes_max;
        self
    }

    /// Starts from a known last event id: the one that was sent with the request.
    #[must_use]
    pub fn with_last_event_id(mut self, id: &EventId) -> Self {
        self.block.head.set_last_event_id(id.as_str());
        self
    }

    /// Takes bytes from the front of `input` until an item is complete, and lends it out. `None`
    /// means that all of `input` has been taken, and more is needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::EventTooLarge`], after which the decoder may be called again.
    #[inline]
    pub fn next<'s, 'c: 's>(
        &'s mut self,
        input: &mut &'c [u8],
    ) -> Result<Option<Item<'s>>, DecodeError> {
        // This is all that the end of a chunk, or a piece of a long line, needs.
        if input.is_empty() {
            return Ok(None);
        }
        if self.place == Place::Data {
            if input.len() < 16 && self.swallow(input) {
                return Ok(None);
            }
            match self.data_piece(input) {
                Ok(true) => return Ok(None),
                Ok(false) => {}
                Err(TooLarge) => return Err(self.event_too_large()),
            }
        }
        self.next_item(input)
    }

    /// Takes the whole chunk, which is tiny and begins within data, if the line does not end in it.
    #[inline]
    fn swallow(&mut self, input: &mut &[u8]) -> bool {
        let swallowed = self.block.has_room(input.len()) && line_end_within_16(input).is_none();
        if swallowed {
            self.block.data.extend_from_slice(mem::take(input));
        }
        swallowed
    }

    /// Call it when a stream has ended, for whatever reason: it drops an unfinished block and
    /// prepares for the next connection to the same source, which may begin with a byte order mark
    /// of its own. The last event id and the reconnection time are kept.
    pub fn end_of_stream(&mut self) {
        self.edge = Edge::default();
        self.place = Place::Start;
        self.value = Vec::new();
        self.mended = String::new();
        self.spent = false;
        self.block.clear();
    }

    /// Bytes held of an event that is not complete yet, and of the last event id.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        let block = if self.spent { 0 } else { self.block.data.len() + self.block.head.len() };
        self.value.len() + block + self.block.head.last_event_id().len()
    }

    /// Frees the memory that events before have left for those to come. For a stream that pauses.
    pub fn release(&mut self) {
        if self.spent {
            self.spent = false;
            self.block.clear();
        }
        self.mended = String::new();
        if self.value.is_empty() {
            self.value = Vec::new();
        }
        if self.block.data.is_empty() {
            self.block.data = Vec::new();
        }
        self.block.head.release();
    }

    /// The last event id, which a reconnecting client sends as `Last-Event-ID`, or leaves out if it
    /// is empty.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.block.head.last_event_id()
    }

    /// The reconnection time, if the source has ever given one. A number of milliseconds that does
    /// not fit in 64 bits counts as the largest that does.
    #[must_use]
    pub fn reconnection_time(&self) -> Option<Duration> {
        self.block.reconnection_time
    }

    /// Takes a step, and lends out the item it found.
    fn next_item<'s, 'c: 's>(
        &'s mut self,
        input: &mut &'c [u8],
    ) -> Result<Option<Item<'s>>, DecodeError> {
        let Ok(step) = self.step(input) else {
            return Err(self.event_too_large());
        };
        Ok(match step {
            Step::MoreInput => None,
            Step::Event(in_chunk) => {
                let data = text(in_chunk.unwrap_or(&self.block.data), &mut self.mended);
                Some(Item::Event(EventRef::new(data, &self.block.head)))
            }
            Step::Comment(in_chunk) => {
                let comment = text(in_chunk.unwrap_or(&self.value), &mut self.mended);
                Some(Item::Comment(comment))
            }
        })
    }

    /// Reads up to the next item.
    #[inline]
    fn step<'c>(&mut self, input: &mut &'c [u8]) -> Result<Step<'c>, TooLarge> {
        if self.spent {
            self.spent = false;
            self.block.clear();
        }
        if !self.mended.is_empty() {
            self.mended = String::new();
        }
        if self.edge.is_open() && self.edge.settle(input) == Settled::NotAMark {
            self.place = Place::Ignored;
        }
        if self.place != Place::Start && self.resume(input)? {
            return Ok(Step::Comment(None));
        }
        // The block's only data line so far, if it lies in this chunk.
        let mut held = None;
        // Here we are at the start of a line, or at the end of the chunk.
        while let Some(&first) = input.first() {
            match first {
                b'd' if input.starts_with(b"data:") => {
                    let after_colon = &input[b"data:".len()..];
                    let value = after_colon.strip_prefix(b" ").unwrap_or(after_colon);
                    let Some(len) = line_end(value) else {
                        self.block.keep(held);
                        return self.cut_data(value, after_colon, input);
                    };
                    *input = &value[len..];
                    self.edge.end_line(input);
                    self.data_line(&value[..len], &mut held)?;
                }
                b'\n' | b'\r' => {
                    self.edge.end_line(input);
                    if self.dispatch(held.is_some()) {
                        return Ok(Step::Event(held));
                    }
                }
                b':' if !self.comments_wanted => {
                    let Some(len) = line_end(input) else {
                        break;
                    };
                    *input = &input[len..];
                    self.edge.end_line(input);
                }
                _ => {
                    let Some(len) = line_end(input) else {
                        break;
                    };
                    let line = &input[..len];
                    *input = &input[len..];
                    self.edge.end_line(input);
                    if let Some(comment) = self.other_line(line, &mut held)? {
                        self.block.keep(held);
                        return Ok(Step::Comment(Some(comment)));
                    }
                }
            }
        }
        self.block.keep(held);
        if !input.is_empty() {
            // The chunk ends within this line.
            self.place = Place::Name;
            self.name.clear();
            self.resume(input)?;
        }
        Ok(Step::MoreInput)
    }

    /// Handles a line of data that lies in the chunk.
    #[inline]
    fn data_line<'c>(
        &mut self,
        value: &'c [u8],
        held: &mut Option<&'c [u8]>,
    ) -> Result<(), TooLarge> {
        if held.is_none() && !self.block.has_data && !self.block.too_large {
            if !self.block.has_room(value.len()) {
                return Err(self.block.fail());
            }
            *held = Some(value);
            return Ok(());
        }
        self.further_data_line(value, held)
    }

    /// Handles a line of data that is not the first of its block, or is not wanted.
    fn further_data_line<'c>(
        &mut self,
        value: &'c [u8],
        held: &mut Option<&'c [u8]>,
    ) -> Result<(), TooLarge> {
        if self.block.too_large {
            return Ok(());
        }
        self.block.keep(held.take());
        self.block.append_line(value)
    }

    /// Handles a line that lies in the chunk, is not blank and does not begin with `data:`. Returns
    /// the comment, if it is one and comments are wanted.
    fn other_line<'c>(
        &mut self,
        line: &'c [u8],
        held: &mut Option<&'c [u8]>,
    ) -> Result<Option<&'c [u8]>, TooLarge> {
        // One byte more than the longest name, for the colon.
        let start = &line[..line.len().min(Name::BYTES_MAX + 1)];
        let (name, value) = match start.iter().position(|&byte| byte == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match Field::from_name(name) {
            Some(Field::Comment) => {
                let wanted = self.comments_wanted && value.len() <= self.block.bytes_max;
                return Ok(wanted.then_some(value));
            }
            Some(Field::Data) => self.data_line(value, held)?,
            Some(field) => {
                if self.block.has_room(held.map_or(0, <[u8]>::len) + value.len()) {
                    self.block.set(field, value);
                } else if !self.block.too_large {
                    return Err(self.block.fail());
                }
            }
            None => {}
        }
        Ok(None)
    }

    /// Handles a blank line. Returns whether the block is an event.
    #[inline]
    fn dispatch(&mut self, held: bool) -> bool {
        if self.block.is_clear() {
            return held;
        }
        self.block.head.commit_id();
        let is_event = (held || self.block.has_data) && !self.block.too_large;
        if is_event {
            self.spent = true;
        } else {
            self.block.clear();
        }
        is_event
    }

    /// Continues a cut line, to its end or the end of the chunk. Returns whether this completes a
    /// comment.
    fn resume(&mut self, input: &mut &[u8]) -> Result<bool, TooLarge> {
        while !input.is_empty() {
            match self.place {
                Place::Start => break,
                Place::Name => {
                    self.name.take(input);
                    if let Some(&next) = input.first() {
                        let complete = matches!(next, b':' | b'\r' | b'\n');
                        self.begin_value(if complete { self.name.field() } else { None });
                        *input = input.strip_prefix(b":").unwrap_or(input);
                    }
                }
                Place::Colon => {
                    *input = input.strip_prefix(b" ").unwrap_or(input);
                    let is_data = self.field == Field::Data;
                    self.place = if is_data { Place::Data } else { Place::Value };
                }
                Place::Data => {
                    self.data_piece(input)?;
                }
                Place::Value => {
                    if self.value_piece(input)? {
                        return Ok(true);
                    }
                }
                Place::Ignored => {
                    self.take_piece(input);
                }
            }
        }
        Ok(false)
    }

    /// Handles a cut line of data whose name is in this chunk.
    fn cut_data<'c>(
        &mut self,
        value: &[u8],
        after_colon: &[u8],
        input: &mut &[u8],
    ) -> Result<Step<'c>, TooLarge> {
        *input = &[];
        if self.block.too_large {
            self.place = Place::Ignored;
            return Ok(Step::MoreInput);
        }
        self.field = Field::Data;
        self.place = if after_colon.is_empty() { Place::Colon } else { Place::Data };
        self.block.begin_data();
        self.append_data(value)?;
        Ok(Step::MoreInput)
    }

    /// Begins the value of a cut line, whose name is now known.
    fn begin_value(&mut self, field: Option<Field>) {
        let wanted = field.filter(|field| match field {
            Field::Data => !self.block.too_large,
            Field::Comment => self.comments_wanted,
            _ => true,
        });
        let Some(field) = wanted else {
            self.place = Place::Ignored;
            return;
        };
        if field == Field::Data {
            self.block.begin_data();
        } else {
            recycle(&mut self.value);
        }
        self.field = field;
        self.place = Place::Colon;
    }

    /// Takes the rest of the line from `input`, with its end if that is there: then we are at the
    /// start of a line.
    #[inline]
    fn take_piece<'c>(&mut self, input: &mut &'c [u8]) -> &'c [u8] {
        let Some(len) = unlikely_line_end(input) else {
            return mem::take(input);
        };
        let piece = &input[..len];
        *input = &input[len..];
        self.edge.end_line(input);
        self.place = Place::Start;
        piece
    }

    /// Handles a piece of a cut line of data. Returns whether nothing is left of the chunk.
    fn data_piece(&mut self, input: &mut &[u8]) -> Result<bool, TooLarge> {
        let piece = self.take_piece(input);
        self.append_data(piece)?;
        Ok(input.is_empty())
    }

    /// Appends to a cut line of data.
    #[inline]
    fn append_data(&mut self, piece: &[u8]) -> Result<(), TooLarge> {
        self.block.append_data(piece).inspect_err(|_| self.ignore_line())
    }

    /// Handles a piece of a value that is not data. Returns whether it completes a comment.
    fn value_piece(&mut self, input: &mut &[u8]) -> Result<bool, TooLarge> {
        let field = self.field;
        let piece = self.take_piece(input);
        let bytes = self.value.len() + piece.len();
        let has_room = match field {
            Field::Comment => bytes <= self.block.bytes_max,
            _ => self.block.has_room(bytes),
        };
        if !has_room {
            self.ignore_line();
            return if field == Field::Comment || self.block.too_large {
                Ok(false)
            } else {
                Err(self.block.fail())
            };
        }
        self.value.extend_from_slice(piece);
        let complete = self.place == Place::Start;
        if complete && field != Field::Comment {
            self.block.set(field, &self.value);
            recycle(&mut self.value);
        }
        Ok(complete && field == Field::Comment)
    }

    #[cold]
    fn event_too_large(&self) -> DecodeError {
        DecodeError::EventTooLarge { bytes_max: self.block.bytes_max }
    }

    /// Skips the rest of the line, if there is any.
    fn ignore_line(&mut self) {
        self.value = Vec::new();
        if self.place != Place::Start {
            self.place = Place::Ignored;
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Below this length, vector instructions do not pay.
const SHORT_TEXT_BYTES: usize = 64;
/// From this length on, they always do.
const LONG_TEXT_BYTES: usize = 256;

/// The bytes as text: as they are if they are valid UTF-8, otherwise repaired in `mended`.
fn text<'a>(bytes: &'a [u8], mended: &'a mut String) -> &'a str {
    // The standard library checks ASCII fastest, unless it is long; simdutf8 checks other text
    // fastest, unless it is short.
    let short = bytes.len() < SHORT_TEXT_BYTES;
    let checked =
        if short || (bytes.len() < LONG_TEXT_BYTES && bytes[..SHORT_TEXT_BYTES].is_ascii()) {
            core::str::from_utf8(bytes).ok()
        } else {
            simdutf8::basic::from_utf8(bytes).ok()
        };
    match checked {
        Some(text) => text,
        None => {
            *mended = String::from_utf8_lossy(bytes).into_owned();
            mended
        }
    }
}
