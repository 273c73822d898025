//! How long things take, and how that is known of deliveries.
//!
//! A publish is timed by its publisher, a commit by the committer. A delivery begins in one thread
//! and ends in another: the committer notes up to which position everything that was published by
//! when is stored, and a worker looks that up once for a batch of frames, when the last of its live
//! subscribers has been written.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
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
    /// Up to which position a batch went, and when the first of its publishes came.
    recent: Mutex<VecDeque<(Position, Instant)>>,
}

impl Timings {
    /// A batch was stored whose first publish came at `came`: everything up to `upto` is stored.
    pub(crate) fn committed(&self, upto: Position, came: Instant, took: Duration) {
        self.commits.observe(took);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // A batch of repetitions has nothing new.
        if recent.back().is_some_and(|(last, _)| *last >= upto) {
            return;
        }
        if recent.len() == COMMITS_REMEMBERED_MAX {
            recent.pop_front();
        }
        recent.push_back((upto, came));
    }

    /// When the record at `position` was published, if that was not long ago.
    pub(crate) fn came(&self, position: Position) -> Option<Instant> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let place = recent.partition_point(|(upto, _)| *upto < position);
        // Before the first entry there may have been others.
        let known = place > 0 || recent.len() < COMMITS_REMEMBERED_MAX;
        recent.get(place).filter(|_| known).map(|(_, came)| *came)
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
        timings.committed(Position::new(5), at(1), Duration::ZERO);
        timings.committed(Position::new(3), at(2), Duration::ZERO);
        timings.committed(Position::new(9), at(3), Duration::ZERO);
        let came = |n| timings.came(Position::new(n));
        assert_eq!([came(1), came(5), came(6), came(9), came(10)], {
            [Some(at(1)), Some(at(1)), Some(at(3)), Some(at(3)), None]
        });
        for n in 0..COMMITS_REMEMBERED_MAX as u64 {
            timings.committed(Position::new(100 + n), at(n), Duration::ZERO);
        }
        assert_eq!(timings.came(Position::new(7)), None, "forgotten");
    }
}
