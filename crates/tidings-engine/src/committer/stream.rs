use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One publisher's events in several jobs, in order. When something is wrong with one of them,
/// nothing behind it is published, although further jobs are in the queue by then.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobStream(Arc<AtomicBool>);

impl JobStream {
    /// Nothing more of it is published. Only the committer says so, and only it asks.
    pub(super) fn break_off(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
