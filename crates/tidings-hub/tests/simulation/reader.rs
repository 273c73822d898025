//! A reader: a sink of limited appetite, a decoder, and the judge of what arrives. While it is
//! connected, its shard owns it.

use tidings_codec::gzip;
use tidings_codec::{Decoder, Item};
use tidings_hub::{
    Checksum, Coding, EventIdForm, Farewell, Framing, Interest, Notice, Position, SubscriberId,
};

use crate::inflate::Inflater;
use crate::truth::{Fate, Truth};

/// How a reader behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appetite {
    Fast,
    Slow,
    Stalled,
}

pub(crate) struct Reader {
    pub(crate) interest: Interest,
    pub(crate) appetite: Appetite,
    pub(crate) framing: Framing,
    pub(crate) coding: Coding,
    /// Its id in its shard, while it is connected.
    pub(crate) id: Option<SubscriberId>,
    /// The comment that its stream begins with, and no other stream.
    greeting: String,
    is_greeted: bool,
    /// Bytes its sink takes before it is full.
    pub(crate) room: usize,
    pub(crate) blocked: bool,
    /// The `Last-Event-ID` it would send.
    pub(crate) last_id: Option<String>,
    /// The place that id stands for.
    pub(crate) last_position: Option<Position>,
    /// Position up to which it has everything it wants.
    pub(crate) cursor: Position,
    /// Position up to which it knows of losses.
    pub(crate) told: Position,
    decoder: Decoder,
    /// Text of an unfinished block.
    block: Vec<u8>,
    /// Bytes of an unfinished chunk.
    chunk: Vec<u8>,
    /// Bytes of gzip's header that are yet to come.
    header_left: usize,
    inflater: Inflater,
    /// Of all its text.
    sum: Checksum,
    pub(crate) notices: usize,
    /// Events that it could read in a block whose end it has yet to get: they count as delivered
    /// only then.
    pub(crate) early: usize,
    pub(crate) events: usize,
    pub(crate) resets: usize,
}

impl Reader {
    pub(crate) fn new(
        interest: Interest,
        appetite: Appetite,
        framing: Framing,
        coding: Coding,
    ) -> Self {
        Self {
            interest,
            appetite,
            framing,
            coding,
            id: None,
            greeting: String::new(),
            is_greeted: false,
            room: 0,
            blocked: false,
            last_id: None,
            last_position: None,
            cursor: Position::ZERO,
            told: Position::ZERO,
            decoder: Decoder::new().with_comments(),
            block: Vec::new(),
            chunk: Vec::new(),
            header_left: 0,
            inflater: Inflater::new(),
            sum: Checksum::default(),
            notices: 0,
            early: 0,
            events: 0,
            resets: 0,
        }
    }

    /// Before a new connection that starts after `position`, with the comment `greeting`. Losses up
    /// to `told` are known.
    pub(crate) fn connect(&mut self, greeting: String, position: Position, told: Position) {
        self.greeting = greeting;
        self.is_greeted = false;
        self.cursor = position;
        self.told = told;
        self.blocked = false;
        self.room = 0;
        self.decoder = Decoder::new().with_comments();
        self.block.clear();
        self.chunk.clear();
        self.early = 0;
        self.header_left = gzip::HEADER.len();
        if self.coding != Coding::Identity {
            self.inflater = Inflater::new();
        }
        self.sum = Checksum::default();
    }

    /// Takes as many bytes as fit; returns how many.
    pub(crate) fn take(&mut self, bytes: &[u8], log: &Truth, epoch: tidings_hub::Epoch) -> usize {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.blocked = taken < bytes.len();
        let events = self.events;
        match self.framing {
            Framing::Plain => self.inflate(&bytes[..taken], log, epoch),
            Framing::Chunked => {
                self.chunk.extend_from_slice(&bytes[..taken]);
                while let Some((inner, rest)) = next_chunk(&self.chunk) {
                    self.chunk = rest;
                    self.inflate(&inner, log, epoch);
                }
            }
        }
        let is_cut = self.blocked && self.coding != Coding::Identity;
        self.early = if is_cut { self.early + self.events - events } else { 0 };
        taken
    }

    fn inflate(&mut self, mut bytes: &[u8], log: &Truth, epoch: tidings_hub::Epoch) {
        if self.coding == Coding::Identity {
            return self.decode(bytes, log, epoch);
        }
        if self.header_left > 0 {
            let header = self.header_left.min(bytes.len());
            let start = gzip::HEADER.len() - self.header_left;
            assert_eq!(bytes[..header], gzip::HEADER[start..start + header]);
            self.header_left -= header;
            bytes = &bytes[header..];
        }
        let text = self.inflater.read(bytes);
        self.sum = self.sum.then(Checksum::of(&text));
        self.decode(&text, log, epoch);
    }

    /// The stream ends with `farewell`, and is whole.
    pub(crate) fn finish(&mut self, farewell: &Farewell) {
        assert!(farewell.is_end && self.chunk.is_empty());
        let mut body = farewell.bytes.clone();
        if self.framing == Framing::Chunked {
            body = Vec::new();
            let mut rest = farewell.bytes.clone();
            while let Some((inner, left)) = next_chunk(&rest) {
                body.extend_from_slice(&inner);
                rest = left;
            }
            assert!(rest.is_empty() && farewell.bytes.ends_with(b"0\r\n\r\n"));
        }
        if self.coding == Coding::Identity {
            return assert!(body.is_empty());
        }
        let mut expected = Vec::new();
        gzip::end(&mut expected, self.sum);
        assert_eq!(body, expected, "the trailer of gzip");
        assert!(self.inflater.read(&body[..2]).is_empty() && self.inflater.is_done());
    }

    fn decode(&mut self, text: &[u8], log: &Truth, epoch: tidings_hub::Epoch) {
        let mut text_left = std::mem::take(&mut self.block);
        text_left.extend_from_slice(text);
        // One block at a time, so that the bytes of each event are known.
        let mut begin = 0;
        while let Some(end) = text_left[begin..].windows(2).position(|two| two == b"\n\n") {
            let end = begin + end + 2;
            self.decode_block(&text_left[begin..end], log, epoch);
            begin = end;
        }
        self.block = text_left.split_off(begin);
    }

    fn decode_block(&mut self, block: &[u8], log: &Truth, epoch: tidings_hub::Epoch) {
        let mut input = block;
        let mut decoder = std::mem::take(&mut self.decoder);
        while let Some(item) = decoder.next(&mut input).unwrap() {
            let event = match item {
                Item::Event(event) => event,
                Item::Comment(greeting) => {
                    assert_eq!(greeting, self.greeting, "another reader's stream");
                    assert!(!std::mem::replace(&mut self.is_greeted, true), "greeted twice");
                    continue;
                }
                _ => continue,
            };
            assert!(self.is_greeted, "a stream without its beginning");
            let position = position_of(event.last_event_id(), log, epoch);
            if event.event_type() == "notice" {
                // Its place may be that of the last event that the group wanted, before the cursor.
                self.quiet_until(position, log);
                self.notices += 1;
            } else if event.event_type() == "tidings.reset" {
                let told = lost_upto(event.data(), epoch);
                assert!(
                    self.has_lost(told, log),
                    "a reset without a loss between {} and {told}, id {position}",
                    self.cursor
                );
                (self.cursor, self.told) = (position.max(self.cursor), told);
                self.resets += 1;
            } else {
                self.event(position, event.data(), log);
                let expected = log.event(position).encodings(epoch);
                let is_exact = expected.iter().any(|expected| expected == block);
                assert!(is_exact, "{:?} is none of {expected:?}", block.escape_ascii());
            }
            self.last_id = Some(event.last_event_id().to_owned());
            self.last_position = Some(position);
        }
        let last = decoder.last_event_id().to_owned();
        if !last.is_empty() {
            let position = position_of(&last, log, epoch);
            self.quiet_until(position, log);
            self.last_position = Some(position);
            self.last_id = Some(last);
        }
        self.decoder = decoder;
    }

    fn event(&mut self, position: Position, data: &str, log: &Truth) {
        assert!(position > self.cursor, "{position} after {}", self.cursor);
        let event = log.event(position);
        assert!(self.interest.admits(&event.record), "{:?}: {:?}", self.interest, event.record);
        assert!(event.had(data), "an event that nobody published: {data:?}");
        self.pass_over(position.previous(), log);
        self.cursor = position;
        self.events += 1;
    }

    /// An id without an event claims that no wanted event lies between.
    fn quiet_until(&mut self, position: Position, log: &Truth) {
        if position > self.cursor {
            self.pass_over(position, log);
            self.cursor = position;
        }
    }

    /// Everything it wants up to `upto` that it was not sent is gone, and it knows.
    fn pass_over(&self, upto: Position, log: &Truth) {
        for event in log.admitted(&self.interest, self.cursor, upto) {
            let position = event.record.position();
            match event.fate {
                Fate::Expired => {}
                Fate::Lost => assert!(position <= self.told, "the loss of {position} is not told"),
                Fate::Kept => panic!("{position} was passed over after {}", self.cursor),
            }
        }
    }

    /// Whether it has missed an event between its cursor and `upto`.
    pub(crate) fn has_lost(&self, upto: Position, log: &Truth) -> bool {
        log.has_lost(&self.interest, self.cursor, upto)
    }

    /// Everything up to the end of the log has arrived, or its loss was told.
    pub(crate) fn assert_complete(&self, log: &Truth) {
        self.pass_over(Position::new(log.len() as u64), log);
    }
}

/// The place before the one that a `tidings.reset` names as that from which nothing is missing.
fn lost_upto(data: &str, epoch: tidings_hub::Epoch) -> Position {
    let (_, first) = data.split_once("\"first\":\"").unwrap();
    let (first, _) = first.split_once('"').unwrap();
    match EventIdForm::of(first, epoch) {
        EventIdForm::Ours(mark) => mark.position.previous(),
        _ => panic!("a place with another's name: {data}"),
    }
}

fn position_of(id: &str, log: &Truth, epoch: tidings_hub::Epoch) -> Position {
    let id = Notice::divide(id).map_or(id, |(place, _)| place);
    match EventIdForm::of(id, epoch) {
        EventIdForm::Ours(mark) => mark.position,
        _ => log.with_id(id).expect("an id that was never made"),
    }
}

/// Splits a whole chunk off the front.
fn next_chunk(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let line = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
    let end = line + 2 + size;
    let whole = bytes.len() >= end + 2;
    whole.then(|| {
        assert_eq!(&bytes[end..end + 2], b"\r\n", "chunk framing is torn");
        (bytes[line + 2..end].to_vec(), bytes[end + 2..].to_vec())
    })
}
