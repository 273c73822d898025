//! The form of a record in a block.
//!
//! A length (4 bytes, little-endian), then that many bytes: flags, the topic, the fields that the
//! flags announce (further topics, type, id, `retry`), and the payload to the end. Numbers before
//! the payload have variable length (LEB128: seven bits a byte, lowest first), and texts are
//! preceded by their length as such a number.
//!
//! Position and time are in the block's header. A record of a copy has, after its flags, the check
//! that it has in the log it is a copy of.

mod erased;

use std::collections::HashSet;
use std::num::NonZeroU32;

use tidings_hub::{Check, Draft, EventId, EventType, Key, Kind, Piece, Pointer, Topic, Visibility};

pub(crate) use erased::erase;

const PRIVATE: u8 = 1;
const ENDS_TOPIC: u8 = 2;
const ONCE: u8 = 4;
const HAS_ALTERNATES: u8 = 8;
const HAS_TYPE: u8 = 16;
const HAS_ID: u8 = 32;
const HAS_RETRY: u8 = 64;
/// With neither this nor [`PRIVATE`], the record's topics decide who may read it.
const PUBLIC: u8 = 128;
/// With both, another byte follows the flags, with the visibility (2 bits), the kind (2 bits; zero
/// for those that [`ENDS_TOPIC`] expresses), [`HAS_CHECK`], and [`HAS_TTL`].
const MORE: u8 = PRIVATE | PUBLIC;
/// In that byte: three more bytes follow it, with the check.
const HAS_CHECK: u8 = 16;
const CHECK_BYTES: usize = 3;
/// In that byte: a number follows it, behind the check, with the time to live in seconds.
const HAS_TTL: u8 = 32;
/// In that byte: a number follows it, behind the time to live, with further flags.
const HAS_FURTHER: u8 = 128;
/// What that byte may have beside the visibility and the kind.
const OPTIONS: u8 = HAS_CHECK | HAS_TTL | HAS_FURTHER;

/// Further flag: a text follows the number, the key.
const HAS_KEY: u64 = 1;
/// Further flag: the record removes the key.
const REMOVES: u64 = 2;
/// Further flag: the topic had ended, and stays ended.
const STAYS_ENDED: u64 = 4;
/// Further flag: the record is a piece of the key's value, and behind the key is a number, the
/// bytes of text before it.
const IS_PIECE: u64 = 8;
/// Further flag, with that one: behind the number is a text, where in the data the value grows.
const GROWS_AT: u64 = 16;
/// Further flag: everything before the record on its topic was erased.
const ERASES: u64 = 32;

/// Whether only versions that know further flags can read the record: they come with [format
/// 2](crate::format).
pub(crate) fn needs_format_2(draft: &Draft) -> bool {
    further_flags(draft) != 0
}

fn further_flags(draft: &Draft) -> u64 {
    let key = if draft.key.is_some() { HAS_KEY } else { 0 };
    let piece = match draft.piece.as_deref() {
        None => 0,
        Some(Piece { at: None, .. }) => IS_PIECE,
        Some(Piece { at: Some(_), .. }) => IS_PIECE | GROWS_AT,
    };
    key | piece
        | match draft.kind {
            Kind::Removal => REMOVES,
            Kind::LateRemoval => REMOVES | STAYS_ENDED,
            Kind::Erasure => ERASES,
            _ => 0,
        }
}

/// Appends `draft` to `buffer`, in the form in which the log stores it.
///
/// # Panics
///
/// If it takes 4 GiB.
pub fn encode_draft(draft: &Draft, buffer: &mut Vec<u8>) {
    encode(draft, None, buffer);
}

/// Appends `draft` to `buffer`, with the check that it has in a log of which this one is a copy.
pub(crate) fn encode(draft: &Draft, check: Option<Check>, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    if draft.kind == Kind::Erased {
        erased::append(draft, check, buffer);
        let length = (buffer.len() - start - 4) as u32;
        buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
        return;
    }
    let more = more_flags(draft, check.is_some());
    let mut flags = 0;
    for (set, flag) in [
        (more.is_some(), MORE),
        (draft.visibility == Visibility::Private, PRIVATE),
        (draft.visibility == Visibility::Public, PUBLIC),
        (draft.kind == Kind::End, ENDS_TOPIC),
        (draft.once, ONCE),
        (!draft.alternates.is_empty(), HAS_ALTERNATES),
        (draft.event_type.is_some(), HAS_TYPE),
        (draft.id.is_some(), HAS_ID),
        (draft.retry_ms.is_some(), HAS_RETRY),
    ] {
        flags |= if set { flag } else { 0 };
    }
    buffer.push(flags);
    buffer.extend(more);
    if let Some(check) = check {
        buffer.extend_from_slice(&check.bits().to_le_bytes()[..CHECK_BYTES]);
    }
    if let Some(ttl_s) = draft.ttl_s {
        write_number(buffer, ttl_s.get().into());
    }
    let further = further_flags(draft);
    if further != 0 {
        write_number(buffer, further);
    }
    if let Some(key) = &draft.key {
        write_text(buffer, key.as_str());
    }
    if let Some(piece) = &draft.piece {
        write_number(buffer, piece.from);
        if let Some(at) = &piece.at {
            write_text(buffer, at.as_str());
        }
    }
    write_text(buffer, draft.topic.as_str());
    if !draft.alternates.is_empty() {
        write_number(buffer, draft.alternates.len() as u64);
        for topic in &draft.alternates {
            write_text(buffer, topic.as_str());
        }
    }
    if let Some(event_type) = &draft.event_type {
        write_text(buffer, event_type.as_str());
    }
    if let Some(id) = &draft.id {
        write_text(buffer, id.as_str());
    }
    if let Some(retry_ms) = draft.retry_ms {
        write_number(buffer, retry_ms);
    }
    buffer.extend_from_slice(draft.data.as_bytes());
    let length = u32::try_from(buffer.len() - start - 4).expect("an append is bounded below 4 GiB");
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// The byte that follows the flags, for the drafts that need it.
fn more_flags(draft: &Draft, has_check: bool) -> Option<u8> {
    let options = [
        (has_check, HAS_CHECK),
        (draft.ttl_s.is_some(), HAS_TTL),
        (needs_format_2(draft), HAS_FURTHER),
    ];
    let options = options.into_iter().filter(|(is_set, _)| *is_set);
    let options = options.fold(0, |all, (_, option)| all | option);
    let kind = match draft.kind {
        Kind::Event | Kind::End if options == 0 => return None,
        Kind::Event | Kind::End | Kind::Removal | Kind::LateRemoval | Kind::Erasure => 0,
        Kind::Erased => unreachable!("it has a form of its own"),
        Kind::LastEvent => 1,
        Kind::SilentEnd => 2,
        Kind::Note => 3,
    };
    let visibility = match draft.visibility {
        Visibility::ByTopic => 0,
        Visibility::Private => 1,
        Visibility::Public => 2,
    };
    Some(visibility | kind << 2 | options)
}

/// Decodes a byte of [`more_flags`] that follows `flags`; `None` if it is not one.
fn read_more_flags(byte: u8, flags: u8) -> Option<(Visibility, Kind)> {
    let visibility = match byte & 3 {
        0 => Visibility::ByTopic,
        1 => Visibility::Private,
        2 => Visibility::Public,
        _ => return None,
    };
    let kind = match (byte & !OPTIONS) >> 2 {
        0 if byte & OPTIONS != 0 => kind_of(flags),
        1 => Kind::LastEvent,
        2 => Kind::SilentEnd,
        3 => Kind::Note,
        _ => return None,
    };
    Some((visibility, kind))
}

/// The kind of a record that has these further flags; `None` if not all of them are known.
fn with_further(kind: Kind, further: u64) -> Option<Kind> {
    match further & !(HAS_KEY | IS_PIECE | GROWS_AT) {
        0 => Some(kind),
        REMOVES => Some(Kind::Removal),
        ERASES => Some(Kind::Erasure),
        flags if flags == REMOVES | STAYS_ENDED => Some(Kind::LateRemoval),
        _ => None,
    }
}

/// The kind that the flags express.
fn kind_of(flags: u8) -> Kind {
    if flags & ENDS_TOPIC != 0 { Kind::End } else { Kind::Event }
}

/// The drafts that [`encode_draft`] made into `bytes`, one after the other. `None` if anything else
/// did.
pub fn decode_drafts(mut bytes: &[u8]) -> Option<Vec<Draft>> {
    let mut texts = TopicTexts::default();
    let mut drafts = Vec::new();
    while !bytes.is_empty() {
        let (view, rest) = split(bytes)?;
        let mut draft = view.head(&mut texts)?;
        draft.data = view.data()?.into();
        drafts.push(draft);
        bytes = rest;
    }
    Some(drafts)
}

/// The record at the beginning of `body`, and the bytes after it. `None` if the bytes are not a
/// record: since the block's checksum was right, something else wrote them.
pub(crate) fn split(body: &[u8]) -> Option<(View<'_>, &[u8])> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((View::parse(record)?, rest))
}

/// A view of an encoded record, without copying it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    flags: u8,
    visibility: Visibility,
    pub(crate) kind: Kind,
    check: Option<Check>,
    ttl_s: Option<NonZeroU32>,
    pub(crate) key: Option<&'a str>,
    /// The bytes of text before a piece, and where in the data its value grows.
    pub(crate) piece: Option<(u64, Option<&'a str>)>,
    pub(crate) topic: &'a str,
    /// The further topics in encoded form, without their count.
    alternates: &'a [u8],
    event_type: Option<&'a str>,
    id: Option<&'a str>,
    retry_ms: Option<u64>,
    data: &'a [u8],
}

impl<'a> View<'a> {
    fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        if let Some(erased) = Self::parse_erased(bytes) {
            return Some(erased);
        }
        let (&flags, rest) = bytes.split_first()?;
        bytes = rest;
        let (mut check, mut ttl_s, mut key, mut piece) = (None, None, None, None);
        let (visibility, kind) = if flags & MORE == MORE {
            let (&more, rest) = bytes.split_first()?;
            bytes = rest;
            if more & HAS_CHECK != 0 {
                let ([low, middle, high], rest) = bytes.split_first_chunk::<CHECK_BYTES>()?;
                check = Some(Check::new(u32::from_le_bytes([*low, *middle, *high, 0])));
                bytes = rest;
            }
            if more & HAS_TTL != 0 {
                ttl_s = Some(u32::try_from(read_number(&mut bytes)?).ok()?.try_into().ok()?);
            }
            let mut further = 0;
            if more & HAS_FURTHER != 0 {
                further = read_number(&mut bytes)?;
                if further & HAS_KEY != 0 {
                    key = Some(read_text(&mut bytes)?);
                }
                if further & IS_PIECE != 0 {
                    let from = read_number(&mut bytes)?;
                    let at = match further & GROWS_AT {
                        0 => None,
                        _ => Some(read_text(&mut bytes)?),
                    };
                    piece = Some((from, at));
                } else if further & GROWS_AT != 0 {
                    return None;
                }
            }
            let (visibility, kind) = read_more_flags(more, flags)?;
            (visibility, with_further(kind, further)?)
        } else {
            let visibility = match (flags & PRIVATE != 0, flags & PUBLIC != 0) {
                (true, _) => Visibility::Private,
                (false, true) => Visibility::Public,
                (false, false) => Visibility::ByTopic,
            };
            (visibility, kind_of(flags))
        };
        let topic = read_text(&mut bytes)?;
        let mut alternates: &[u8] = &[];
        if flags & HAS_ALTERNATES != 0 {
            let count = read_number(&mut bytes)?;
            let before = bytes;
            for _ in 0..count {
                read_text(&mut bytes)?;
            }
            alternates = &before[..before.len() - bytes.len()];
        }
        let mut optional = |flag: u8| match flags & flag {
            0 => Some(None),
            _ => read_text(&mut bytes).map(Some),
        };
        let event_type = optional(HAS_TYPE)?;
        let id = optional(HAS_ID)?;
        let retry_ms = match flags & HAS_RETRY {
            0 => None,
            _ => Some(read_number(&mut bytes)?),
        };
        Some(Self {
            flags,
            visibility,
            kind,
            check,
            ttl_s,
            key,
            piece,
            topic,
            alternates,
            event_type,
            id,
            retry_ms,
            data: bytes,
        })
    }

    /// All topics, the canonical one first.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut alternates = self.alternates;
        std::iter::once(self.topic).chain(std::iter::from_fn(move || read_text(&mut alternates)))
    }

    /// The draft without its payload: enough to decide who wants it.
    pub(crate) fn head(&self, topics: &mut TopicTexts) -> Option<Draft> {
        let mut all = self.topics();
        let mut draft = Draft::new(topics.share(all.next()?)?, "");
        for alternate in all {
            draft.alternates.push(topics.share(alternate)?);
        }
        draft.event_type = match self.event_type {
            Some(text) => Some(EventType::new(text).ok()?),
            None => None,
        };
        draft.id = match self.id {
            Some(text) => Some(EventId::new(text).ok()?),
            None => None,
        };
        draft.once = self.flags & ONCE != 0;
        draft.retry_ms = self.retry_ms;
        draft.ttl_s = self.ttl_s;
        draft.key = match self.key {
            Some(text) => Some(Key::new(text).ok()?),
            None => None,
        };
        draft.piece = match self.piece {
            Some((from, at)) => {
                let at = at.map(|text| Pointer::new(text).ok());
                Some(Box::new(Piece { at: at.map_or(Some(None), |at| at.map(Some))?, from }))
            }
            None => None,
        };
        draft.visibility = self.visibility;
        draft.kind = self.kind;
        Some(draft)
    }

    fn parse_erased(bytes: &'a [u8]) -> Option<Self> {
        let (check, id) = erased::parse(bytes)?;
        Some(Self {
            flags: 0,
            visibility: Visibility::ByTopic,
            kind: Kind::Erased,
            check,
            ttl_s: None,
            key: None,
            piece: None,
            topic: Topic::NOTES,
            alternates: &[],
            event_type: None,
            id,
            retry_ms: None,
            data: &[],
        })
    }

    /// Whether it was erased.
    pub(crate) fn is_erased(&self) -> bool {
        self.kind == Kind::Erased
    }

    /// The check, in a copy of a log whose records have them.
    pub(crate) fn check(&self) -> Option<Check> {
        self.check
    }

    /// The payload.
    pub(crate) fn data(&self) -> Option<&'a str> {
        std::str::from_utf8(self.data).ok()
    }
}

/// Topics seen in one read, so that records on the same topic share its text.
#[derive(Debug, Default)]
pub(crate) struct TopicTexts(HashSet<Topic, foldhash::fast::RandomState>);

impl TopicTexts {
    fn share(&mut self, text: &str) -> Option<Topic> {
        if let Some(topic) = self.0.get(text) {
            return Some(topic.clone());
        }
        let topic = Topic::stored(text).ok()?;
        self.0.insert(topic.clone());
        Some(topic)
    }
}

fn write_text(buffer: &mut Vec<u8>, text: &str) {
    write_number(buffer, text.len() as u64);
    buffer.extend_from_slice(text.as_bytes());
}

pub(crate) fn write_number(buffer: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        buffer.push(number as u8 | 0x80);
        number >>= 7;
    }
    buffer.push(number as u8);
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(read_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

pub(crate) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn text(of: &str) -> impl Strategy<Value = String> + use<> {
        proptest::string::string_regex(of).unwrap()
    }

    fn draft() -> impl Strategy<Value = Draft> {
        let topic = || text("[a-zé/]{1,200}").prop_map(|t| Topic::new(t).unwrap());
        let field = || proptest::option::of(text("[^\r\n\0]{1,300}"));
        (
            topic(),
            proptest::collection::vec(topic(), 0..4),
            field(),
            field(),
            (
                proptest::option::of(any::<u64>()),
                proptest::option::of(1..=u32::MAX),
                proptest::option::of((
                    text("[^\r\n\0]{1,60}"),
                    proptest::option::of((
                        any::<u64>(),
                        proptest::option::of(text("(/[a-zé]{0,9}){0,3}")),
                    )),
                )),
            ),
            text("(?s).{0,400}"),
            any::<bool>(),
            prop_oneof![
                Just(Kind::Event),
                Just(Kind::LastEvent),
                Just(Kind::End),
                Just(Kind::SilentEnd),
                Just(Kind::Removal),
                Just(Kind::LateRemoval),
                Just(Kind::Erasure),
                Just(Kind::Note)
            ],
            prop_oneof![
                Just(Visibility::ByTopic),
                Just(Visibility::Public),
                Just(Visibility::Private)
            ],
        )
            .prop_map(
                |(topic, alternates, event_type, id, times, data, once, kind, visibility)| Draft {
                    topic,
                    alternates,
                    event_type: event_type.map(|t| EventType::new(t).unwrap()),
                    id: id.map(|t| EventId::new(t).unwrap()),
                    once,
                    retry_ms: times.0,
                    ttl_s: times.1.and_then(NonZeroU32::new),
                    key: times.2.as_ref().map(|(text, _)| Key::new(text).unwrap()),
                    piece: times.2.and_then(|(_, piece)| piece).map(|(from, at)| {
                        let at = at.map(|at| Pointer::new(&at).unwrap());
                        Box::new(Piece { at, from })
                    }),
                    data: data.into(),
                    visibility,
                    kind,
                    ..Draft::new(Topic::of_notes(), "")
                },
            )
    }

    proptest! {
        #[test]
        fn a_written_record_reads_back(drafts in proptest::collection::vec(draft(), 1..5)) {
            for check in [None, Some(Check::new(0)), Some(Check::new(0xA_BCDE))] {
                let mut buffer = Vec::new();
                for draft in &drafts {
                    encode(draft, check, &mut buffer);
                }
                let mut rest = &buffer[..];
                let mut topics = TopicTexts::default();
                for draft in &drafts {
                    let (view, after) = split(rest).unwrap();
                    rest = after;
                    let mut read = view.head(&mut topics).unwrap();
                    read.data = view.data().unwrap().into();
                    prop_assert_eq!(&read, draft);
                    prop_assert_eq!(view.check(), check);
                }
                prop_assert!(rest.is_empty());
                prop_assert_eq!(decode_drafts(&buffer), Some(drafts.clone()));
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Some((view, _)) = split(&bytes) {
                let _ = view.head(&mut TopicTexts::default());
                let _ = view.data();
            }
        }
    }
}
