//! A thread that does the committer's work in its place.

use super::Job;
use super::queue::JobQueue;

/// Where the jobs of one committer are done.
pub(crate) trait Desk: Send + Sync {
    /// The jobs that wait for the committer.
    fn queue(&self) -> &JobQueue;

    /// Whether any thread may commit, and not only the committer.
    fn is_open(&self) -> bool;

    /// Commits `job` on this thread, which is the only one that does, and answers its publisher.
    fn commit(&self, job: Job);

    /// What comes after a commit, once its publisher has the answer.
    fn committed(&self);
}
