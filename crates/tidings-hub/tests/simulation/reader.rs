//! A reader: a sink of limited appetite, a decoder, and the judge of what arrives. While it is
//! connected, its shard owns it.

use tidings_codec::{Decoder, Item};
use tidings_hub::{EventIdForm, Framing, Interest, Position, Record, SubscriberId};

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
    decoder: Decoder,
    /// Bytes of an unfinished chunk.
    chunk: Vec<u8>,
    pub(crate) events: usize,
    pub(crate) resets: usize,
}

impl Reader {
    pub(crate) fn new(interest: Interest, appetite: Appetite, framing: Framing) -> Self {
        Self {
            interest,
            appetite,
            framing,
            id: None,
            greeting: String::new(),
            is_greeted: false,
            room: 0,
            blocked: false,
            last_id: None,
            last_position: None,
            cursor: Position::ZERO,
            decoder: Decoder::new().with_comments(),
            chunk: Vec::new(),
            events: 0,
            resets: 0,
        }
    }

    /// Before a new connection that starts after `position`, with the comment `greeting`.
    pub(crate) fn connect(&mut self, greeting: String, position: Position) {
        self.greeting = greeting;
        self.is_greeted = false;
        self.cursor = position;
        self.blocked = false;
        self.room = 0;
        self.decoder = Decoder::new().with_comments();
        self.chunk.clear();
    }

    /// Takes as many bytes as fit; returns how many.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        log: &[Record],
        first: Position,
        epoch: tidings_hub::Epoch,
    ) -> usize {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.blocked = taken < bytes.len();
        match self.framing {
            Framing::Plain => self.decode(&bytes[..taken], log, first, epoch),
            Framing::Chunked => {
                self.chunk.extend_from_slice(&bytes[..taken]);
                while let Some((inner, rest)) = next_chunk(&self.chunk) {
                    self.chunk = rest;
                    self.decode(&inner, log, first, epoch);
                }
            }
        }
        taken
    }

    fn decode(
        &mut self,
        mut input: &[u8],
        log: &[Record],
        first: Position,
        epoch: tidings_hub::Epoch,
    ) {
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
            if event.event_type() == "tidings.reset" {
                self.reset_to(position, log, first);
            } else {
                self.event(position, event.data(), log);
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

    /// The next record it wants after its cursor.
    fn next_wanted<'a>(&self, log: &'a [Record]) -> Option<&'a Record> {
        log[self.cursor.get() as usize..].iter().find(|record| self.interest.admits(record))
    }

    fn event(&mut self, position: Position, data: &str, log: &[Record]) {
        let expected = self.next_wanted(log).expect("an event that is not in the log");
        assert_eq!(expected.position(), position, "{:?} after {:?}", self.interest, self.cursor);
        assert_eq!(&*expected.data, data);
        self.cursor = position;
        self.events += 1;
    }

    /// An id without an event claims that no wanted event lies between.
    fn quiet_until(&mut self, position: Position, log: &[Record]) {
        if position <= self.cursor {
            return;
        }
        if let Some(missed) = self.next_wanted(log) {
            assert!(missed.position() > position, "an id passed over an event");
        }
        self.cursor = position;
    }

    /// A reset may pass over what retention dropped, and over nothing else.
    pub(crate) fn reset_to(&mut self, position: Position, log: &[Record], first: Position) {
        if position > self.cursor {
            let last_lost = log[self.cursor.get() as usize..position.get() as usize]
                .iter()
                .rev()
                .find(|record| self.interest.admits(record));
            if let Some(lost) = last_lost {
                assert!(lost.position() < first, "a reset lost what was still there");
            }
        }
        self.cursor = position;
        self.resets += 1;
    }

    /// Everything up to the end of the log has arrived.
    pub(crate) fn assert_complete(&self, log: &[Record]) {
        let missing = self.next_wanted(log).map(Record::position);
        assert_eq!(missing, None, "{:?} stands at {:?}", self.interest, self.cursor);
    }
}

fn position_of(id: &str, log: &[Record], epoch: tidings_hub::Epoch) -> Position {
    match EventIdForm::of(id, epoch) {
        EventIdForm::Ours(mark) => mark.position,
        _ => {
            let brought =
                |record: &&Record| record.id.as_ref().is_some_and(|own| own.as_str() == id);
            log.iter().find(brought).expect("an id that was never made").position()
        }
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
