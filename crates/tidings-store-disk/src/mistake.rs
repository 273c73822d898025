//! Mistakes that tests plant, to see that they would be found.

#[cfg(test)]
use std::cell::Cell;

/// A mistake in how rules are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Segments that were moved to runs count again when the log is opened.
    LeftoversCount,
    /// An event with a time to live counts among the last ones of its topic.
    TimeToLiveCounts,
    /// What was dropped is not on the disk when the drop is.
    LossesLater,
    /// The inputs of a job are removed before the catalogue is replaced.
    InputsFirst,
    /// The losses of a job are not noted.
    LossesForgotten,
    /// A removal goes although an older event of its key stays.
    RemovalTooEarly,
    /// That a removal went is not noted.
    RemovalGoesUnseen,
    /// Of a value that has pieces, only the newest is kept.
    PiecesGo,
    /// The catalogue names runs that are not synced.
    RunsUnsynced,
    /// The catalogue takes its place before it is synced.
    CatalogueUnsynced,
    /// The inputs of a job are removed although the sync of the folder with the new catalogue
    /// failed.
    InputsTooEarly,
    /// A copy is cut although rules were applied to what is after the cut.
    CutWhereSorted,
}

impl Mistake {
    /// Whether it was planted.
    #[cfg(not(test))]
    pub(crate) const fn is_planted(self) -> bool {
        false
    }
}

#[cfg(test)]
thread_local!(static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) });

#[cfg(test)]
impl Mistake {
    pub(crate) const ALL: [Self; 8] = [
        Self::LeftoversCount,
        Self::TimeToLiveCounts,
        Self::LossesLater,
        Self::InputsFirst,
        Self::LossesForgotten,
        Self::RemovalTooEarly,
        Self::RemovalGoesUnseen,
        Self::PiecesGo,
    ];

    /// Those of what is on the disk when the catalogue is, and when its inputs go.
    pub(crate) const OF_SYNCS: [Self; 3] =
        [Self::RunsUnsynced, Self::CatalogueUnsynced, Self::InputsTooEarly];

    pub(crate) fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }

    /// Plants it in this thread, for as long as the answer is held.
    pub(crate) fn plant(self) -> impl Drop {
        struct Planted;
        impl Drop for Planted {
            fn drop(&mut self) {
                PLANTED.set(None);
            }
        }
        PLANTED.set(Some(self));
        Planted
    }
}
