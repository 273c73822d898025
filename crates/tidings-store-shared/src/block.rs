//! Blocks: what the journal's stream consists of. An append makes one.
//!
//! Little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 2 | version, [`VERSION`]; of an erasure [`VERSION_OF_ERASURES`] |
//! | 1 | kind: 0 events, 1 barrier, 2 rename, 3 lost ids, 4 erasure |
//! | 1 | zero |
//! | 6 | epoch |
//! | 8 | position of the first record, or of the next one to come |
//! | 4 | number of records |
//! | 8 | time of the records, in milliseconds since 1970 |
//! | 16 | hash of the last valid block before this one |
//! | 16 | nonce |
//! | … | records, in the form that the disk store gives them; or [`Rename`], [`LostIds`], `Erase` |
//! | 4 | CRC-32 of everything before |

use bytes::Bytes;
use tidings_hub::{Draft, Epoch, Erase, EventId, FormerName, Position, Timestamp};
use tidings_store_disk::{decode_drafts, encode_draft};

use crate::erase_form;
use crate::hash::BlockHash;
use crate::journal::Nonce;
use crate::reader::{Reader, Unreadable};

const MAGIC: [u8; 4] = *b"TShB";
const VERSION: u16 = 1;
/// A hub that cannot erase must not pass over an erasure, so it gets a version that such a hub does
/// not know.
const VERSION_OF_ERASURES: u16 = 2;
const KIND_EVENTS: u8 = 0;
const KIND_BARRIER: u8 = 1;
const KIND_RENAME: u8 = 2;
const KIND_LOST: u8 = 3;
const KIND_ERASE: u8 = 4;
const CRC_BYTES: usize = 4;

/// Bytes of a block besides its records.
pub(crate) const OVERHEAD_BYTES: usize = 66 + CRC_BYTES;

/// A block of the shared log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Name of the log.
    pub epoch: Epoch,
    /// Position of its first record, or of the next one to come.
    pub first: Position,
    /// Time of its records.
    pub time: Timestamp,
    /// Hash of the last valid block before it.
    pub prev: BlockHash,
    /// Identifies the attempt to append it.
    pub nonce: Nonce,
    /// What it holds.
    pub content: Content,
}

/// What a block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Events, at least one. Their positions are consecutive.
    Events(Vec<Draft>),
    /// Nothing: that it was accepted proves what the block before it is.
    Barrier,
    /// A new name for the log, which lost its end.
    Rename(Rename),
    /// More ids that were lost at an earlier fork: those of a hub that had followed further than
    /// the one that wrote the rename.
    Lost(LostIds),
    /// Which records before it every hub has to erase from its copy.
    Erase(Erase),
}

/// The content of a block that gives a new name to a log that lost its end.
///
/// In the block: the number of former names (1 byte), for each the epoch (6) and the position up to
/// which the log is the same (8); then the lost ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rename {
    /// The former names of the log, the latest first: at least one.
    pub former: Vec<FormerName>,
    /// Publisher-given ids of the lost events.
    pub lost: LostIds,
}

/// Publisher-given ids of events that the log lost. A subscriber that comes with one may have seen
/// the lost event, or a later one with the same id.
///
/// In the block: the position (8 bytes), whether there were more than are listed (1), and for each
/// listed id its length (2) and its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostIds {
    /// Position up to which the log is what it was.
    pub upto: Position,
    /// Ids of events that were after it.
    pub ids: Vec<EventId>,
    /// Whether there were more than are listed.
    pub more: bool,
}

impl Block {
    /// The position after its last record.
    pub fn next(&self) -> Position {
        Position::new(self.first.get() + self.count() as u64)
    }

    /// Number of its records.
    pub fn count(&self) -> usize {
        match &self.content {
            Content::Events(drafts) => drafts.len(),
            Content::Barrier | Content::Rename(_) | Content::Lost(_) | Content::Erase(_) => 0,
        }
    }

    /// The bytes of the block.
    ///
    /// # Panics
    ///
    /// If it has 2^32 records, which fit in no journal.
    pub fn encode(&self) -> Bytes {
        let kind = match &self.content {
            Content::Events(_) => KIND_EVENTS,
            Content::Barrier => KIND_BARRIER,
            Content::Rename(_) => KIND_RENAME,
            Content::Lost(_) => KIND_LOST,
            Content::Erase(_) => KIND_ERASE,
        };
        let version = if kind == KIND_ERASE { VERSION_OF_ERASURES } else { VERSION };
        let count = u32::try_from(self.count()).expect("a block is bounded far below that");
        let mut bytes = Vec::with_capacity(OVERHEAD_BYTES + 256);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&[kind, 0]);
        bytes.extend_from_slice(self.epoch.as_str().as_bytes());
        bytes.extend_from_slice(&self.first.get().to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&self.time.as_millis().to_le_bytes());
        bytes.extend_from_slice(self.prev.as_bytes());
        bytes.extend_from_slice(&self.nonce.run.to_le_bytes());
        bytes.extend_from_slice(&self.nonce.number.to_le_bytes());
        match &self.content {
            Content::Events(drafts) => {
                for draft in drafts {
                    encode_draft(draft, &mut bytes);
                }
            }
            Content::Barrier => {}
            Content::Rename(rename) => rename.encode(&mut bytes),
            Content::Lost(lost) => lost.encode(&mut bytes),
            Content::Erase(erase) => erase_form::encode(erase, &mut bytes),
        }
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.into()
    }

    /// The block in `bytes`.
    ///
    /// # Errors
    ///
    /// [`Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = Reader(bytes);
        if rest.take::<4>()? != MAGIC {
            return Err(Unreadable::NoBlock);
        }
        let (content, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(Unreadable::NoBlock)?;
        if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
            return Err(Unreadable::NoBlock);
        }
        let version = u16::from_le_bytes(rest.take()?);
        let [kind, _] = rest.take()?;
        if version != VERSION && (version, kind) != (VERSION_OF_ERASURES, KIND_ERASE) {
            return Err(Unreadable::Version(version));
        }
        let epoch = rest.epoch()?;
        let first = Position::new(rest.number()?);
        let count = u32::from_le_bytes(rest.take()?) as usize;
        let time = Timestamp::from_millis(rest.number()?);
        let prev = BlockHash::from_bytes(rest.take()?);
        let nonce = Nonce { run: rest.number()?, number: rest.number()? };
        let body = rest.0.get(..rest.0.len() - CRC_BYTES).ok_or(Unreadable::NoBlock)?;
        let content = match kind {
            KIND_EVENTS => Content::Events(decode_drafts(body).ok_or(Unreadable::NoBlock)?),
            KIND_BARRIER if body.is_empty() => Content::Barrier,
            KIND_RENAME => Content::Rename(Rename::decode(Reader(body))?),
            KIND_LOST => Content::Lost(LostIds::decode(Reader(body))?),
            KIND_ERASE if version == VERSION_OF_ERASURES => {
                Content::Erase(erase_form::decode(Reader(body))?)
            }
            _ => return Err(Unreadable::NoBlock),
        };
        let block = Self { epoch, first, time, prev, nonce, content };
        let has_room = first.get().checked_add(count as u64).is_some();
        let is_whole = block.count() == count && has_room && (kind != KIND_EVENTS || count > 0);
        is_whole.then_some(block).ok_or(Unreadable::NoBlock)
    }
}

impl Rename {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::try_from(self.former.len()).expect("few names are remembered"));
        for name in &self.former {
            bytes.extend_from_slice(name.epoch.as_str().as_bytes());
            bytes.extend_from_slice(&name.upto.get().to_le_bytes());
        }
        self.lost.encode(bytes);
    }

    fn decode(mut rest: Reader<'_>) -> Result<Self, Unreadable> {
        let [count] = rest.take()?;
        let mut former = Vec::with_capacity(count.into());
        for _ in 0..count {
            let (epoch, upto) = (rest.epoch()?, Position::new(rest.number()?));
            former.push(FormerName { epoch, upto });
        }
        let rename = Self { former, lost: LostIds::decode(rest)? };
        (count > 0).then_some(rename).ok_or(Unreadable::NoBlock)
    }
}

impl LostIds {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.upto.get().to_le_bytes());
        bytes.push(u8::from(self.more));
        for id in &self.ids {
            let length = u16::try_from(id.as_str().len()).expect("an id is bounded below 64 KiB");
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(id.as_str().as_bytes());
        }
    }

    fn decode(mut rest: Reader<'_>) -> Result<Self, Unreadable> {
        let upto = Position::new(rest.number()?);
        let more = rest.take()? == [1];
        let mut ids = Vec::new();
        while !rest.0.is_empty() {
            let length = u16::from_le_bytes(rest.take()?);
            let id = rest.text(length.into())?;
            ids.push(EventId::new(id).map_err(|_| Unreadable::NoBlock)?);
        }
        Ok(Self { upto, ids, more })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use tidings_hub::{Erasing, Key, Kind, Topic, Visibility};

    fn block(content: Content) -> Block {
        Block {
            epoch: Epoch::from_random(7),
            first: Position::new(42),
            time: Timestamp::from_millis(1_700_000_000_000),
            prev: BlockHash::of(b"before"),
            nonce: Nonce { run: 1, number: 2 },
            content,
        }
    }

    fn erasing(what: Erasing) -> Content {
        let topic = Topic::new("users/7").unwrap();
        Content::Erase(Erase { topic, what, upto: Position::new(41) })
    }

    fn blocks() -> [Block; 7] {
        let draft = Draft {
            id: Some(EventId::new("urn:x:1").unwrap()),
            once: true,
            visibility: Visibility::Private,
            kind: Kind::LastEvent,
            ..Draft::new(Topic::new("grüße").unwrap(), "two\nlines\0")
        };
        let name =
            |seed, upto| FormerName { epoch: Epoch::from_random(seed), upto: Position::new(upto) };
        let lost = LostIds {
            upto: Position::new(41),
            ids: vec![EventId::new("a").unwrap(), EventId::new("ü 2").unwrap()],
            more: true,
        };
        let rename = Rename { former: vec![name(8, 41), name(9, 7)], lost: lost.clone() };
        [
            Content::Events(vec![draft; 3]),
            Content::Barrier,
            Content::Rename(rename),
            Content::Lost(lost),
            erasing(Erasing::All),
            erasing(Erasing::At(vec![Position::new(7), Position::new(9)])),
            erasing(Erasing::Key(Key::new("ann ü").unwrap())),
        ]
        .map(block)
    }

    #[test]
    fn a_block_reads_back_and_no_flipped_bit_goes_unseen() {
        for block in blocks() {
            let bytes = block.encode();
            assert_eq!(Block::decode(&bytes), Ok(block.clone()));
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Block::decode(&bytes), Err(Unreadable::NoBlock), "bit {bit}");
            }
            for length in 0..bytes.len() {
                assert_eq!(Block::decode(&bytes[..length]), Err(Unreadable::NoBlock));
            }
        }
    }

    #[test]
    fn the_overhead_of_a_block_is_what_the_table_says() {
        assert_eq!(block(Content::Barrier).encode().len(), OVERHEAD_BYTES);
    }

    #[test]
    fn a_block_of_another_version_is_distinguished_from_one_that_is_none() {
        for (version, content) in [(2, Content::Barrier), (3, erasing(Erasing::All))] {
            let mut bytes = block(content).encode().to_vec();
            bytes[4] = version;
            let end = bytes.len() - CRC_BYTES;
            let crc = crc32fast::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(Block::decode(&bytes), Err(Unreadable::Version(version.into())));
        }
    }

    #[test]
    fn a_version_that_cannot_erase_does_not_know_the_block_of_an_erasure() {
        let bytes = block(erasing(Erasing::All)).encode();
        assert_eq!(bytes[4..6], [2, 0], "every earlier one stops at any version but 1");
        assert_eq!(block(Content::Barrier).encode()[4..6], [1, 0], "others are as before");
    }

    #[test]
    fn events_are_at_least_one() {
        let none = block(Content::Events(Vec::new()));
        assert_eq!(Block::decode(&none.encode()), Err(Unreadable::NoBlock));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            kind in 0_u8..6,
        ) {
            // With a head and a checksum that are right, the rest is reached.
            let mut bytes = block(Content::Barrier).encode().to_vec();
            bytes[4] = if kind == KIND_ERASE { 2 } else { 1 };
            bytes[6] = kind;
            bytes.truncate(bytes.len() - CRC_BYTES);
            bytes.extend_from_slice(&body);
            let crc = crc32fast::hash(&bytes);
            bytes.extend_from_slice(&crc.to_le_bytes());
            let _ = Block::decode(&bytes);
            let _ = Block::decode(&body);
        }
    }
}
