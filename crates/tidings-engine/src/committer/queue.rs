//! Jobs on their way to the committer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Job;
use crate::limits::TIME_INTERVAL;

/// The jobs that wait for the committer, in order.
#[derive(Default)]
pub(crate) struct JobQueue {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    stopping: bool,
    committer: State,
}

/// What the committer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It works, or has been woken.
    #[default]
    Awake,
    /// It must be woken.
    Asleep,
    /// Another thread does its work, and wakes it if there is more.
    Replaced,
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
        if queue.committer == State::Asleep {
            self.wake(queue);
        }
    }

    /// Lets the caller do the committer's work as long as the result lives; `None` if the committer
    /// is at it, or has something to do.
    pub(super) fn stand_in(&self) -> Option<StandIn<'_>> {
        let mut queue = self.lock();
        if queue.committer != State::Asleep || !queue.jobs.is_empty() || queue.stopping {
            return None;
        }
        queue.committer = State::Replaced;
        Some(StandIn(self))
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
            queue.committer = State::Asleep;
            // One that is replaced must not get up when its time is over.
            while queue.committer != State::Awake {
                let waited = self.filled.wait_timeout_while(queue, TIME_INTERVAL, |queue| {
                    queue.committer == State::Replaced || queue.jobs.is_empty() && !queue.stopping
                });
                queue = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue);
                if queue.committer == State::Asleep {
                    queue.committer = State::Awake;
                }
            }
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

    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.committer = State::Awake;
        // Not under the lock, which the committer takes as soon as it is awake.
        drop(queue);
        self.filled.notify_one();
    }
}

/// Somebody does the committer's work.
pub(super) struct StandIn<'a>(&'a JobQueue);

impl Drop for StandIn<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.committer = State::Asleep;
        if !queue.jobs.is_empty() || queue.stopping {
            self.0.wake(queue);
        }
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

    /// As if the committer had found nothing to do.
    pub(in crate::committer) fn fall_asleep(queue: &JobQueue) {
        queue.lock().committer = State::Asleep;
    }

    #[test]
    fn adding_nothing_leaves_the_committer_to_be_woken_by_the_next_job() {
        let queue = JobQueue::default();
        fall_asleep(&queue);
        queue.add([]);
        assert_eq!(queue.lock().committer, State::Asleep, "nobody has woken it");
        queue.add([job("a").0]);
        assert_eq!(queue.lock().committer, State::Awake);
    }

    #[test]
    fn a_committer_is_replaced_only_while_it_sleeps_and_has_nothing_to_do() {
        let queue = JobQueue::default();
        assert!(queue.stand_in().is_none(), "it is awake");
        fall_asleep(&queue);
        let stand_in = queue.stand_in().unwrap();
        assert!(queue.stand_in().is_none(), "it has a stand-in");
        queue.add([job("a").0]);
        assert_eq!(queue.lock().committer, State::Replaced, "two would commit at once");
        drop(stand_in);
        assert_eq!(queue.lock().committer, State::Awake, "there is a job");
        queue.next_batch(usize::MAX).unwrap();
        fall_asleep(&queue);
        drop(queue.stand_in().unwrap());
        assert_eq!(queue.lock().committer, State::Asleep, "there was nothing for it");
        queue.stop();
        assert!(queue.stand_in().is_none(), "it is about to end");
    }

    #[test]
    fn a_committer_that_is_replaced_gets_up_for_nothing_until_it_is_not() {
        for stops in [false, true] {
            let queue = JobQueue::default();
            std::thread::scope(|scope| {
                let committer = scope.spawn(|| queue.next_batch(usize::MAX));
                let stand_in = loop {
                    match queue.stand_in() {
                        Some(stand_in) => break stand_in,
                        None => std::thread::yield_now(),
                    }
                };
                match stops {
                    true => queue.stop(),
                    false => queue.add([job("a").0]),
                }
                queue.filled.notify_all();
                // Nor when its time is over.
                std::thread::sleep(TIME_INTERVAL * 11 / 10);
                assert!(!committer.is_finished());
                drop(stand_in);
                assert_eq!(committer.join().unwrap().map(|jobs| jobs.len()), (!stops).then_some(1));
            });
        }
    }

    #[test]
    fn a_stand_in_that_panics_gives_the_work_back() {
        let queue = JobQueue::default();
        fall_asleep(&queue);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _stand_in = queue.stand_in().unwrap();
            queue.add([job("a").0]);
            panic!("of a commit, on purpose");
        }));
        assert!(outcome.is_err());
        assert_eq!(queue.lock().committer, State::Awake);
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
