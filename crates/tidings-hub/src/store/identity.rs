use crate::epoch::Epoch;
use crate::event_id_form::EventIdForm;
use crate::former_name::FormerName;
use crate::mark::Mark;

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

    /// The place that `id` names if the log made it, under its name or a former one. The record
    /// need not be there: retention may have dropped it, or a client made the id up. Whether its
    /// check fits is for the log itself to say (`fits`).
    pub fn mark_of(&self, id: &str) -> Option<Mark> {
        match EventIdForm::of(id, self.epoch) {
            EventIdForm::Ours(mark) => Some(mark),
            EventIdForm::OtherEpoch(epoch, mark) => {
                let is_same = |name: &FormerName| name.epoch == epoch && mark.position <= name.upto;
                self.former.iter().any(is_same).then_some(mark)
            }
            EventIdForm::Foreign => None,
        }
    }
}
