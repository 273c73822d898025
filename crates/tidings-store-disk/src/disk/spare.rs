use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::SPARE_FILES;

/// File descriptors held in reserve: when the process has no more of them, the log can still begin
/// its next segments.
#[derive(Debug, Default)]
pub(super) struct SpareFiles(Mutex<Vec<File>>);

impl SpareFiles {
    /// Fills the reserve as far as the system allows.
    pub(super) fn fill(&self, folder: Option<&File>) {
        let mut held = self.lock();
        while held.len() < SPARE_FILES
            && let Some(Ok(another)) = folder.map(File::try_clone)
        {
            held.push(another);
        }
    }

    /// Returns one to the system; `false` if none is held.
    pub(super) fn give_up_one(&self) -> bool {
        self.lock().pop().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
