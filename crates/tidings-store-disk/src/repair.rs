//! Rebuilding indexes that cannot be used.
//!
//! An index contains nothing that its segment does not. So a reader that finds a damaged one reads
//! the segment, keeps the new index in memory, and continues; the background thread writes it over
//! the damaged file. One reader does that while others wait for it. If the segment is damaged too,
//! that is remembered for a while: reading it again for every query would be slow.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::error::{Fault, OpenError};
use crate::limits::BACKGROUND_RETRY_MAX;
use crate::recovery;
use crate::segment::{Index, Sealed};
use crate::state::{SegmentRef, Shared};

impl Shared {
    /// Queries the index of `sealed`, and rebuilds it if it cannot answer.
    pub(crate) fn ask_index<R>(
        &self,
        sealed: &Arc<Sealed>,
        look: impl Fn(SegmentRef<'_>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        match look(sealed.as_ref().into()) {
            Err(fault) if matches!(sealed.index, Index::File(_)) => {
                let remade = self.remake_index(sealed, fault)?;
                look(remade.as_ref().into())
            }
            answer => answer,
        }
    }

    /// Rebuilds each index that led a reader to the wrong place.
    pub(crate) fn remake_misleading(&self) {
        let misleading = |segment: &&Arc<Sealed>| segment.log.take_misled();
        let found: Vec<_> = self.read_state().complete().filter(misleading).cloned().collect();
        for sealed in found {
            let fault = Fault::damaged(
                &sealed.log.path.with_file_name(sealed.log.index_name()),
                "it misleads",
            );
            // The outcome was logged, and the next reader will see it.
            let _ = self.remake_index(&sealed, fault);
        }
    }

    fn remake_index(&self, sealed: &Arc<Sealed>, fault: Fault) -> Result<Arc<Sealed>, Fault> {
        let mut last = sealed.log.repair.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.read_state().complete().find(|kept| kept.is_same_file(sealed)).cloned();
        if let Some(kept) = kept.as_ref().filter(|kept| !Arc::ptr_eq(kept, sealed)) {
            // Another reader was faster.
            return Ok(Arc::clone(kept));
        }
        if let Some((when, fault)) = &*last
            && when.elapsed() < BACKGROUND_RETRY_MAX
        {
            return Err(fault.clone());
        }
        tracing::warn!(reason = %fault, "an index cannot be used and is being rebuilt");
        let scanned = match recovery::index_again(sealed) {
            Ok(index) => index,
            Err(error) => {
                let fault = fault_of(error);
                tracing::error!(reason = %fault, "the segment of the index cannot be read either");
                *last = Some((Instant::now(), fault.clone()));
                return Err(fault);
            }
        };
        let remade = Arc::new(sealed.with_index(Index::Memory(Arc::new(scanned))));
        self.write_state().replace(sealed, &remade);
        Ok(remade)
    }
}

pub(crate) fn fault_of(error: OpenError) -> Fault {
    match error {
        OpenError::Io { action, path, source } => Fault::io(action, &path, source),
        OpenError::Damaged { path, what } => Fault::damaged(&path, what),
        OpenError::InUse { path }
        | OpenError::UnknownFormat { path, .. }
        | OpenError::IsCopy { path }
        | OpenError::NotACopy { path } => {
            Fault::damaged(&path, "it is not the segment that was opened")
        }
    }
}
