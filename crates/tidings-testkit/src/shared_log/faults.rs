use crate::store_suite::Dice;

/// How often requests to an [`Engine`](super::Engine) fail, each as one in this many; zero is
/// never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A request is not made at all.
    pub away: u64,
    /// A block is stored, and the answer is lost.
    pub answer_lost: u64,
    /// A block is not stored, and there is no answer.
    pub request_lost: u64,
    /// A block arrives later, after other requests, and there is no answer.
    pub late: u64,
    /// A block arrives a second time later.
    pub twice: u64,
    /// A block is stored although its expected sequence is not the last one.
    pub broken_cas: u64,
    /// A read shows an older state.
    pub past: u64,
    /// A page ends early, as if the rest was asked of a replica that is behind.
    pub short: u64,
    /// The bell's ring for a block does not reach a connection.
    pub ring_lost: u64,
}

impl Faults {
    /// None.
    pub const NONE: Self = Self {
        away: 0,
        answer_lost: 0,
        request_lost: 0,
        late: 0,
        twice: 0,
        broken_cas: 0,
        past: 0,
        short: 0,
        ring_lost: 0,
    };

    /// Some of each kind, or of some kinds none.
    pub fn some(dice: &mut Dice) -> Self {
        let mut rate = |most: u64| match dice.below(3) {
            0 => 0,
            _ => most + dice.below(most * 10),
        };
        Self {
            away: rate(10),
            answer_lost: rate(8),
            request_lost: rate(8),
            late: rate(8),
            twice: rate(8),
            broken_cas: rate(6),
            past: rate(4),
            short: rate(4),
            ring_lost: rate(1),
        }
    }
}
