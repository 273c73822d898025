//! What one subscriber got, from its first connection to its last, whatever hubs it was on.

use std::hash::{DefaultHasher, Hash, Hasher};

/// An event as a hub shows it or a subscriber got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The number that its publisher wrote into its data: no other event has it.
    pub number: u64,
    /// The [`fingerprint`] of its id.
    pub id: u64,
}

impl Seen {
    /// The event with this id and data: a number, and after a space anything. `None` if
    /// the data begins with no number.
    pub fn parse(id: &str, data: &str) -> Option<Self> {
        let number = data.split(' ').next()?.parse().ok()?;
        Some(Self { number, id: fingerprint(id) })
    }
}

/// A short name for an event id, so that millions of them fit the memory. A log that lost its end
/// gets a new name, and ids with either are of the same event: only place and check count.
pub fn fingerprint(id: &str) -> u64 {
    let place = id.split_once(':').map_or(id, |(_, place)| place);
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    hasher.finish()
}

/// One thing that a subscriber got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An event.
    Event(Seen),
    /// An event whose data no publisher would write.
    Foreign,
    /// A reset.
    Reset {
        /// Fingerprint of the id that the subscriber came with; `None` if it had none.
        after: Option<u64>,
    },
}

/// Everything that one subscriber got, in this order.
pub type Transcript = Vec<Entry>;
