//! The form of a record that was erased. It keeps its length: two bytes say that it is one, then
//! come its check and its mark, if it has them, and zeros to the end.

use tidings_hub::{Check, Draft, ERASED_ID_BYTES, Kind};

use super::{CHECK_BYTES, HAS_CHECK, MORE, encode};

/// The two bytes with which it begins: no other record has this visibility. The second also says
/// what follows them: with [`HAS_CHECK`] the check, with [`HAS_MARK`] the mark.
const ERASED: [u8; 2] = [MORE, 3];
/// A mark follows: see [`tidings_hub::erased_id`].
const HAS_MARK: u8 = 4;

/// Makes `record`, an encoded record without its length, what `erased` says, in as many bytes. Its
/// check stays: subscribers come back with it.
pub(crate) fn erase(erased: &Draft, check: Option<Check>, record: &mut [u8]) {
    let mut bytes = Vec::new();
    if erased.kind == Kind::Erased {
        append(erased, check, &mut bytes);
        if bytes.len() > record.len() {
            bytes.clear();
            append(&Draft { id: None, ..erased.clone() }, check, &mut bytes);
        }
    } else {
        // The end of a topic without an event, whose payload is zeros.
        encode(erased, check, &mut bytes);
        bytes.drain(..4);
    }
    record[..bytes.len()].copy_from_slice(&bytes);
    record[bytes.len()..].fill(0);
}

/// Appends what an erased record begins with.
pub(super) fn append(erased: &Draft, check: Option<Check>, buffer: &mut Vec<u8>) {
    let [first, mut second] = ERASED;
    second |= check.map_or(0, |_| HAS_CHECK) | erased.id.as_ref().map_or(0, |_| HAS_MARK);
    buffer.extend_from_slice(&[first, second]);
    if let Some(check) = check {
        buffer.extend_from_slice(&check.bits().to_le_bytes()[..CHECK_BYTES]);
    }
    if let Some(id) = &erased.id {
        buffer.extend_from_slice(id.as_str().as_bytes());
    }
}

/// Check and mark of an erased record; `None` if it is not one.
pub(super) fn parse(bytes: &[u8]) -> Option<(Option<Check>, Option<&str>)> {
    let ([first, second], mut rest) = bytes.split_first_chunk::<2>()?;
    if [*first, *second & !(HAS_CHECK | HAS_MARK)] != ERASED {
        return None;
    }
    let mut check = None;
    if second & HAS_CHECK != 0 {
        let ([low, middle, high], behind) = rest.split_first_chunk::<CHECK_BYTES>()?;
        check = Some(Check::new(u32::from_le_bytes([*low, *middle, *high, 0])));
        rest = behind;
    }
    let has_mark = second & HAS_MARK != 0;
    let mark = has_mark.then(|| std::str::from_utf8(rest.get(..ERASED_ID_BYTES)?).ok());
    match mark {
        Some(mark) => Some((check, Some(mark?))),
        None => Some((check, None)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::{EventId, Topic};

    use super::*;
    use crate::record::{TopicTexts, split};

    #[test]
    fn an_erased_record_keeps_its_length_and_its_check_and_nothing_of_its_content() {
        let topic = Topic::new("secrets/of/ann").unwrap();
        let secret = Draft { id: EventId::new("ident").ok(), ..Draft::new(topic, "content") };
        let last = Draft { kind: Kind::LastEvent, ..secret.clone() };
        for check in [None, Some(Check::new(0)), Some(Check::new(0xA_BCDE))] {
            for draft in [&secret, &last] {
                let mut buffer = Vec::new();
                encode(draft, check, &mut buffer);
                let length = buffer.len();
                erase(&draft.erased(false), check, &mut buffer[4..]);
                assert_eq!(buffer.len(), length);
                let (view, after) = split(&buffer).unwrap();
                assert!(after.is_empty());
                assert_eq!(view.check(), check);
                assert_eq!(view.head(&mut TopicTexts::default()).unwrap(), draft.erased(false));
                let text = String::from_utf8_lossy(&buffer);
                assert!(!text.contains("ident") && !text.contains("content"), "{text}");
            }
        }
    }

    #[test]
    fn without_room_for_its_mark_an_erased_record_still_has_its_check() {
        let topic = Topic::new("t").unwrap();
        let small = Draft { id: EventId::new("i").ok(), ..Draft::new(topic, "") };
        let check = Some(Check::new(7));
        let mut buffer = Vec::new();
        encode(&small, check, &mut buffer);
        erase(&small.erased(false), check, &mut buffer[4..]);
        let (view, _) = split(&buffer).unwrap();
        assert_eq!((view.check(), view.is_erased()), (check, true));
        assert_eq!(view.head(&mut TopicTexts::default()).unwrap().id, None);
    }
}
