//! The form of an erasure, in a block and in the list of those that are to be carried out.
//!
//! The position up to which (8 bytes); what is erased (1): 0 all of the topic, 1 the records at the
//! listed positions, 2 those of a key; the topic, as its length (2) and its text; then the
//! positions (8 each), or the key to the end.

use tidings_hub::{Erase, Erasing, Key, Position, Topic};

use crate::reader::{Reader, Unreadable};

const ALL: u8 = 0;
const AT: u8 = 1;
const KEY: u8 = 2;

pub(crate) fn encode(erase: &Erase, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&erase.upto.get().to_le_bytes());
    bytes.push(match erase.what {
        Erasing::All => ALL,
        Erasing::At(_) => AT,
        Erasing::Key(_) => KEY,
    });
    let topic = erase.topic.as_str();
    let length = u16::try_from(topic.len()).expect("a topic is bounded below 64 KiB");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(topic.as_bytes());
    match &erase.what {
        Erasing::All => {}
        Erasing::At(positions) => {
            positions.iter().for_each(|at| bytes.extend_from_slice(&at.get().to_le_bytes()));
        }
        Erasing::Key(key) => bytes.extend_from_slice(key.as_str().as_bytes()),
    }
}

pub(crate) fn decode(mut rest: Reader<'_>) -> Result<Erase, Unreadable> {
    let upto = Position::new(rest.number()?);
    let [kind] = rest.take()?;
    let length = u16::from_le_bytes(rest.take()?);
    let topic = Topic::new(rest.text(length.into())?).map_err(|_| Unreadable::NoBlock)?;
    let what = match kind {
        ALL if rest.0.is_empty() => Erasing::All,
        AT => {
            let mut positions = Vec::new();
            while !rest.0.is_empty() {
                positions.push(Position::new(rest.number()?));
            }
            Erasing::At(positions)
        }
        KEY => {
            let key = rest.text(rest.0.len())?;
            Erasing::Key(Key::new(key).map_err(|_| Unreadable::NoBlock)?)
        }
        _ => return Err(Unreadable::NoBlock),
    };
    Ok(Erase { topic, what, upto })
}
