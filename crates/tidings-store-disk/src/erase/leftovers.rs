//! Files that are no part of the log any more, and may still hold what was erased.

use std::sync::{Arc, PoisonError};

use crate::catalogue::LOST_ENDING;
use crate::error::Fault;
use crate::index::UNFINISHED_ENDING;
use crate::run_name::RunName;
use crate::segment::{Sealed, position_in};
use crate::state::Shared;

impl Shared {
    /// Removes what jobs of retention have left. Returns whether something is there that another
    /// thread is about to remove. No job and no backup may be under way.
    pub(super) fn remove_leftovers(&self) -> Result<bool, Fault> {
        let failed = |action| move |error| Fault::io(action, &self.config.path, error);
        let names = self.disk.names().map_err(failed("list"))?;
        let (lanes, hot) = {
            let state = self.read_state();
            let hot: Vec<_> = state.sealed.iter().map(|segment| segment.first()).collect();
            (state.lanes.clone(), [hot, vec![state.active.log.first]].concat())
        };
        let newest = hot.iter().max().copied().unwrap_or_default();
        let mut is_left = false;
        for name in names {
            if let Some(index) = unfinished_index(&name) {
                self.remove_unfinished(index, &name)?;
                continue;
            }
            let run = RunName::of_file(&name);
            let first = position_in(&name, ".log").or_else(|| position_in(&name, ".index"));
            let is_stale_run = run.is_some_and(|run| !lanes.runs().any(|known| known.name == run));
            let is_stale_loss =
                name.ends_with(LOST_ENDING) && lanes.lost_file.as_ref() != Some(&name);
            if is_stale_run || is_stale_loss {
                self.remove_file(&name)?;
            }
            // The newest may just be being created.
            is_left |= first.is_some_and(|first| first < newest && !hot.contains(&first));
        }
        self.disk.sync().map_err(failed("sync"))?;
        Ok(is_left)
    }

    /// Removes an index that could not be finished. One that is being written now is made of what
    /// is left; its writer is waited for.
    fn remove_unfinished(&self, index: &str, name: &str) -> Result<(), Fault> {
        let of_index = |file: &&Arc<Sealed>| file.log.index_name() == index;
        let file = self.read_state().complete().find(of_index).cloned();
        let _one = file
            .as_ref()
            .map(|file| file.log.repair.lock().unwrap_or_else(PoisonError::into_inner));
        self.remove_file(name)
    }
}

/// The index that the file was to become, if it is an unfinished one.
fn unfinished_index(name: &str) -> Option<&str> {
    let index = name.strip_suffix(UNFINISHED_ENDING)?;
    let is_index = position_in(index, ".index").is_some() || RunName::of_file(index).is_some();
    is_index.then_some(index)
}
