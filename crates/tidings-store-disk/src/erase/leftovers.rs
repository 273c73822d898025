//! Files that are no part of the log any more, and may still hold what was erased.

use crate::catalogue::LOST_ENDING;
use crate::error::Fault;
use crate::run_name::RunName;
use crate::segment::position_in;
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
}
