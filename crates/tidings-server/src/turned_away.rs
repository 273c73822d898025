use tidings_engine::Refusal;

use crate::quota::Full;

/// Why a subscriber is asked to come back later: by the engine, or by a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    Refused(Refusal),
    Full(Full),
}

impl TurnedAway {
    /// So many reasons there are.
    pub(crate) const COUNT: usize = Refusal::ALL.len() + Full::ALL.len();

    /// All of them, in the order of [`index`](Self::index).
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let refused = Refusal::ALL.iter().copied().map(Self::Refused);
        refused.chain(Full::ALL.iter().copied().map(Self::Full))
    }

    /// A number of its own below [`COUNT`](Self::COUNT).
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Refused(reason) => reason as usize,
            Self::Full(full) => Refusal::ALL.len() + full as usize,
        }
    }

    /// The name in metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.name(),
            Self::Full(full) => full.name(),
        }
    }

    /// One sentence for people.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.sentence(),
            Self::Full(full) => full.sentence(),
        }
    }
}

impl From<Refusal> for TurnedAway {
    fn from(reason: Refusal) -> Self {
        Self::Refused(reason)
    }
}

impl From<Full> for TurnedAway {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_number_and_a_name_of_its_own() {
        let numbers: Vec<_> = TurnedAway::all().map(TurnedAway::index).collect();
        assert_eq!(numbers, (0..TurnedAway::COUNT).collect::<Vec<_>>());
        let names: HashSet<_> = TurnedAway::all().map(TurnedAway::name).collect();
        assert_eq!(names.len(), TurnedAway::COUNT);
    }
}
