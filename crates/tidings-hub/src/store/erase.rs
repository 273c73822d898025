use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

use tidings_codec::EventId;

use crate::draft::{Draft, Kind};
use crate::error::{AppendError, ReadError};
use crate::key::Key;
use crate::limits::ERASED_TOPICS_MAX;
use crate::position::Position;
use crate::record::Record;
use crate::topic::Topic;

/// What a [store](crate::Log) is that can erase records.
pub trait Eraser: Send + Sync {
    /// Erases records: when this returns, nothing that the store has on a disk or in memory holds
    /// their content, and a copy made from then on does not, either. Their places stay, with what
    /// [`Draft::erased`] says. It is called by any thread, one at a time, and may take long;
    /// appends and reads go on meanwhile. It asks `go_on` now and then while it waits, and gives up
    /// if that returns `false`.
    ///
    /// A record that stands for its key must be superseded before, or an older one stands for the
    /// key again.
    ///
    /// # Errors
    ///
    /// [`EraseError`]; asking again goes on where this ended.
    fn erase(&self, what: &Erase, go_on: &dyn Fn() -> bool) -> Result<Erased, EraseError>;
}

/// What to erase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erase {
    /// The topic under which the records are found.
    pub topic: Topic,
    /// Which of them.
    pub what: Erasing,
    /// Position up to which.
    pub upto: Position,
}

/// Which records of a topic are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erasing {
    /// All of them.
    All,
    /// Those at these positions.
    At(Vec<Position>),
    /// Those with this key.
    Key(Key),
}

impl Erase {
    /// Whether the record at `position` is meant, if it is found under the topic.
    pub fn takes(&self, draft: &Draft, position: Position) -> bool {
        let is_found = draft.topics().any(|topic| *topic == self.topic);
        let is_meant = match &self.what {
            Erasing::All => true,
            Erasing::At(positions) => positions.contains(&position),
            Erasing::Key(key) => draft.topic == self.topic && draft.key.as_ref() == Some(key),
        };
        // An end of the hub's own says nothing but that.
        let is_own_end = matches!(draft.kind, Kind::End | Kind::SilentEnd);
        let is_open = draft.kind != Kind::Erased && (!is_own_end || self.what == Erasing::All);
        is_found && is_meant && is_open && position <= self.upto
    }
}

/// What was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Number of publishers' events among the records.
    pub events: u64,
    /// The topics on which the records were, and those that an earlier erasure erased before it
    /// failed.
    pub topics: BTreeSet<Topic>,
}

impl Erased {
    /// Counts a record.
    pub fn note(&mut self, draft: &Draft) {
        self.events += u64::from(matches!(draft.kind, Kind::Event | Kind::LastEvent));
        if self.topics.len() <= ERASED_TOPICS_MAX {
            self.topics.extend(draft.topics().cloned());
        }
    }

    /// Adds what was erased elsewhere.
    pub fn add(&mut self, other: Self) {
        self.events += other.events;
        self.topics.extend(other.topics);
    }

    /// The topics, unless there are too many of them.
    pub fn few_topics(&self) -> Option<&BTreeSet<Topic>> {
        (self.topics.len() <= ERASED_TOPICS_MAX).then_some(&self.topics)
    }
}

/// Why not everything that was asked for is erased. What was erased until then stays erased.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EraseError {
    /// The caller gave up while the store waited for a backup to end.
    GivenUp,
    /// A file cannot be written.
    Store(AppendError),
    /// The log cannot be read.
    Read(ReadError),
}

impl fmt::Display for EraseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GivenUp => f.write_str("the erasure was given up before it was done"),
            Self::Store(_) => f.write_str("the bytes of an event cannot be erased"),
            Self::Read(_) => f.write_str("the events to be erased cannot be read"),
        }
    }
}

impl Error for EraseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::GivenUp => None,
            Self::Store(error) => Some(error),
            Self::Read(error) => Some(error),
        }
    }
}

impl From<ReadError> for EraseError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl Draft {
    /// What is at the place of this draft once it is erased: nothing that a reader could get, and
    /// the [mark](erased_id) of the publisher's own id, or of the key. The end of a topic stays an
    /// end, without an event, unless all of the topic is erased.
    #[must_use]
    pub fn erased(&self, with_topic: bool) -> Self {
        if self.kind.ends_topic() && !self.kind.is_removal() && !with_topic {
            let alternates = self.alternates.clone();
            return Self {
                alternates,
                visibility: self.visibility,
                kind: Kind::SilentEnd,
                ..Self::new(self.topic.clone(), "")
            };
        }
        let id = self.id.as_ref().map(|id| erased_id(&self.topic, id));
        let key = self.key.as_ref().map(|key| erased_key(&self.topic, key));
        Self { id: id.or(key), kind: Kind::Erased, ..Self::new(Topic::of_notes(), "") }
    }
}

impl Record {
    /// [`Draft::erased`], at the place of this record.
    #[must_use]
    pub fn erased(&self, with_topic: bool) -> Self {
        self.with_draft((**self).erased(with_topic)).rewritten()
    }
}

/// Number of characters of a mark.
pub const ERASED_ID_BYTES: usize = 10;

/// The mark by which the log knows that it had an event with this id on `topic`, and erased it: 60
/// bits of a hash, as an id on the [topic of notes](Topic::of_notes). It does not say what the id
/// was, but whoever guesses the id can see that it was there.
pub fn erased_id(topic: &Topic, id: &EventId) -> EventId {
    mark("id", topic, id.as_str())
}

/// The same for a key.
pub fn erased_key(topic: &Topic, key: &Key) -> EventId {
    mark("key", topic, key.as_str())
}

fn mark(kind: &str, topic: &Topic, name: &str) -> EventId {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // FNV-1a, and the last steps of MurmurHash3, which spread each bit. It is stored, so it must
    // never change.
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in [kind, "\0", topic.as_str(), "\0", name].iter().flat_map(|text| text.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^= hash >> 33;
    let letter = |n: usize| char::from(LETTERS[(hash >> (6 * n)) as usize & 63]);
    let text: String = (0..ERASED_ID_BYTES).map(letter).collect();
    EventId::new(text).expect("letters and digits")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_mark_is_always_the_same_and_says_nothing_in_clear() {
        let topic = Topic::new("orders").unwrap();
        let id = EventId::new("order-17").unwrap();
        let mark = erased_id(&topic, &id);
        assert_eq!(mark.as_str(), "hf-CYqMUg1", "it is stored in logs");
        assert_ne!(erased_id(&Topic::new("others").unwrap(), &id), mark);
        assert_ne!(erased_key(&topic, &Key::new("order-17").unwrap()), mark);
    }

    #[test]
    fn the_end_of_a_topic_stays_unless_the_whole_topic_is_erased() {
        let topic = Topic::new("orders").unwrap();
        let last = Draft { kind: Kind::LastEvent, ..Draft::new(topic, "secret") };
        let erased = last.erased(false);
        assert!(erased.kind == Kind::SilentEnd && erased.data.is_empty());
        let erased = last.erased(true);
        assert!(erased.kind == Kind::Erased && erased.topic.is_of_notes());
    }
}
