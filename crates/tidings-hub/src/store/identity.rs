use crate::epoch::Epoch;
use crate::former_name::FormerName;
use crate::position::{EventIdForm, Position};

/// The present and former names of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The name that the log got when it was created.
    pub epoch: Epoch,
    /// The names it had before it was restored from a backup, or lost its end; the latest first.
    pub former: Vec<FormerName>,
}

impl LogIdentity {
    /// A log that never had another name.
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, former: Vec::new() }
    }

    /// The position that `id` names if the log made it, under its name or a former one. The record
    /// need not be there: retention may have dropped it, or a client made the id up.
    pub fn position_of(&self, id: &str) -> Option<Position> {
        match EventIdForm::of(id, self.epoch) {
            EventIdForm::Ours(position) => Some(position),
            EventIdForm::OtherEpoch(epoch, position) => {
                let is_same = |name: &FormerName| name.epoch == epoch && position <= name.upto;
                self.former.iter().any(is_same).then_some(position)
            }
            EventIdForm::Foreign => None,
        }
    }
}
