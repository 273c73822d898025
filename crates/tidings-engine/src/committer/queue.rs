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
        queue.jobs.extend(jobs);
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
