//! Jobs on their way to the committer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Job;
use crate::limits::TIME_INTERVAL;

/// The jobs that wait for the committer, in order.
#[derive(Default)]
pub(super) struct JobQueue {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    stopping: bool,
    /// Whether the committer sleeps and must be woken.
    idle: bool,
}

impl JobQueue {
    /// Adds `jobs`, unless it is stopped: then they are dropped, which tells their publishers.
    pub(super) fn add(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut queue = self.lock();
        if queue.stopping {
            return;
        }
        let before = queue.jobs.len();
        queue.jobs.extend(jobs);
        if queue.jobs.len() == before {
            // The committer would not get up for nothing, and those that come next must wake it.
            return;
        }
        let sleeps = std::mem::take(&mut queue.idle);
        drop(queue);
        // Not under the lock, which the committer takes as soon as it is awake.
        if sleeps {
            self.filled.notify_one();
        }
    }

    /// Takes no more jobs.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.filled.notify_one();
    }

    /// Stops, and drops the jobs that are left, which tells their publishers.
    pub(super) fn abandon(&self) {
        let jobs = {
            let mut queue = self.lock();
            queue.stopping = true;
            std::mem::take(&mut queue.jobs)
        };
        self.filled.notify_one();
        drop(jobs);
    }

    /// The jobs to append together, of at most `bytes_max` bytes unless it is one; empty after a
    /// while without publishes; `None` once it is stopped and empty.
    pub(super) fn next_batch(&self, bytes_max: usize) -> Option<Vec<Job>> {
        let mut queue = self.lock();
        if queue.jobs.is_empty() && !queue.stopping {
            queue.idle = true;
            let waited = self.filled.wait_timeout_while(queue, TIME_INTERVAL, |queue| {
                queue.jobs.is_empty() && !queue.stopping
            });
            queue = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue);
            queue.idle = false;
        }
        if queue.jobs.is_empty() && queue.stopping {
            return None;
        }
        let mut cost = 0;
        let count = queue.jobs.iter().take_while(|job| {
            cost += job.cost;
            cost <= bytes_max
        });
        // A job larger than a batch goes alone.
        let count = count.count().max(1).min(queue.jobs.len());
        Some(queue.jobs.drain(..count).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::time::Instant;

    use tidings_hub::{Draft, Topic};
    use tokio::sync::oneshot::error::TryRecvError;
    use tokio::sync::{Semaphore, oneshot};

    use super::super::Taking;
    use super::super::tray::{Answer, Waiting};
    use super::*;

    /// A job with one event for a publisher on this thread, which waits at the other half.
    pub(in crate::committer) fn job(data: &str) -> (Job, oneshot::Receiver<Answer>) {
        let (answer, answered) = oneshot::channel();
        let drafts = vec![Draft::new(Topic::new("a").unwrap(), data)];
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let job = Job {
            cost: drafts.iter().map(Draft::cost).sum(),
            drafts,
            taking: Taking::AllOrNothing,
            came: Instant::now(),
            begins: false,
            topic_share: None,
            stream: None,
            waiting: Waiting::here(answer),
            _room: room,
        };
        (job, answered)
    }

    /// The events that wait in `queue`.
    pub(in crate::committer) fn waiting(queue: &JobQueue) -> Vec<String> {
        queue.lock().jobs.iter().map(|job| job.drafts[0].data.to_string()).collect()
    }

    #[test]
    fn adding_nothing_leaves_the_committer_to_be_woken_by_the_next_job() {
        let queue = JobQueue::default();
        queue.lock().idle = true;
        queue.add([]);
        assert!(queue.lock().idle, "nobody has woken the committer");
        queue.add([job("a").0]);
        assert!(!queue.lock().idle);
    }

    #[test]
    fn jobs_of_one_list_are_one_batch_in_their_order() {
        let queue = JobQueue::default();
        queue.add(["a", "b", "c"].map(|data| job(data).0));
        assert_eq!(waiting(&queue), ["a", "b", "c"]);
        assert_eq!(queue.next_batch(usize::MAX).unwrap().len(), 3);
    }

    #[test]
    fn a_batch_ends_before_the_job_that_is_too_much_for_it() {
        let queue = JobQueue::default();
        queue.add(["a", "b", "large"].map(|data| job(data).0));
        let small = job("a").0.cost;
        assert_eq!(queue.next_batch(2 * small).unwrap().len(), 2);
        assert_eq!(queue.next_batch(1).unwrap().len(), 1, "a job larger than a batch goes alone");
    }

    #[test]
    fn what_is_left_when_it_stops_is_still_committed() {
        let queue = JobQueue::default();
        let (left, mut left_answer) = job("left");
        queue.add([left]);
        queue.stop();
        let (late, mut late_answer) = job("late");
        queue.add([late]);
        assert!(matches!(late_answer.try_recv(), Err(TryRecvError::Closed)));
        assert!(matches!(left_answer.try_recv(), Err(TryRecvError::Empty)));
        assert_eq!(queue.next_batch(usize::MAX).unwrap().len(), 1);
        assert!(queue.next_batch(usize::MAX).is_none());
    }

    #[test]
    fn what_is_left_when_it_is_abandoned_is_dropped() {
        let queue = JobQueue::default();
        let (left, mut answer) = job("left");
        queue.add([left]);
        queue.abandon();
        assert!(matches!(answer.try_recv(), Err(TryRecvError::Closed)));
        assert!(queue.next_batch(usize::MAX).is_none());
    }
}
