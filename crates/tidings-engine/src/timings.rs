//! Timings of publishes, commits and deliveries.
//!
//! A publish is timed by its publisher, a commit by the committer. A delivery begins in one thread
//! and ends in another: the committer records each batch's last position and time of publishing,
//! and a worker looks that up once per batch of frames, when the last of its live subscribers has
//! been written to.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidings_hub::Position;

use crate::histogram::Histogram;
use crate::limits::COMMITS_REMEMBERED_MAX;

#[derive(Debug, Default)]
pub(crate) struct Timings {
    /// From a publish to its answer.
    pub(crate) publishes: Histogram,
    /// From the first publish of a batch until the last live subscriber of a worker was written.
    pub(crate) deliveries: Histogram,
    /// One batch, appended and as firmly stored as it must be.
    pub(crate) commits: Histogram,
    recent: Mutex<Batches>,
}

#[derive(Debug, Default)]
struct Batches {
    /// Up to which position a batch went, and when the first of its publishes came.
    stored: VecDeque<(Position, Instant)>,
    /// When the first publish of the batch came that is being stored. A worker may have its records
    /// before the committer hears that they are stored.
    underway: Option<Instant>,
}

impl Timings {
    /// A batch is about to be stored whose first publish came at `came`.
    pub(crate) fn committing(&self, came: Instant) {
        self.lock().underway = Some(came);
    }

    /// The batch took `took`, and everything up to `upto` is stored; `None` if it failed.
    pub(crate) fn committed(&self, upto: Option<Position>, took: Duration) {
        let mut recent = self.lock();
        let came = recent.underway.take();
        let Some((upto, came)) = upto.zip(came) else { return };
        self.commits.observe(took);
        // A batch of repetitions has nothing new.
        if recent.stored.back().is_some_and(|(last, _)| *last >= upto) {
            return;
        }
        if recent.stored.len() == COMMITS_REMEMBERED_MAX {
            recent.stored.pop_front();
        }
        recent.stored.push_back((upto, came));
    }

    /// When the record at `position` was published, if that was not long ago.
    pub(crate) fn came(&self, position: Position) -> Option<Instant> {
        let recent = self.lock();
        let place = recent.stored.partition_point(|(upto, _)| *upto < position);
        // Before the first entry there may have been others.
        let known = place > 0 || recent.stored.len() < COMMITS_REMEMBERED_MAX;
        let stored = recent.stored.get(place).map(|(_, came)| *came);
        stored.or(recent.underway).filter(|_| known)
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_came_when_the_batch_came_that_it_was_stored_with() {
        let timings = Timings::default();
        let start = Instant::now();
        let at = |n: u64| start + Duration::from_secs(n);
        assert_eq!(timings.came(Position::new(1)), None);
        let stored = |upto, n| {
            timings.committing(at(n));
            timings.committed(Some(Position::new(upto)), Duration::ZERO);
        };
        stored(5, 1);
        stored(3, 2);
        stored(9, 3);
        let came = |n| timings.came(Position::new(n));
        assert_eq!([came(1), came(5), came(6), came(9), came(10)], {
            [Some(at(1)), Some(at(1)), Some(at(3)), Some(at(3)), None]
        });
        timings.committing(at(4));
        assert_eq!([came(9), came(10)], [Some(at(3)), Some(at(4))], "what is being stored");
        timings.committed(None, Duration::ZERO);
        assert_eq!(came(10), None, "it failed");
        for n in 0..COMMITS_REMEMBERED_MAX as u64 {
            stored(100 + n, n);
        }
        assert_eq!(timings.came(Position::new(7)), None, "forgotten");
    }
}
