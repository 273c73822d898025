//! Hand-overs between a thread of requests and the committer, as lists.
//!
//! A thread that has a runtime of its own serves dozens of publishers in one turn of its loop, and
//! a batch answers dozens of them. Handed over one by one, each job is a lock and perhaps a wake-up
//! of the committer, which then begins a batch with less in it than is about to come; and each
//! answer is an entry into the queue of another thread, and a system call. So such a thread has a
//! *tray*, and one task for it. Jobs are put into it; the task comes after all tasks that were
//! ready with it, and hands over what is there by then. The committer puts down all answers of a
//! batch and wakes the task, which gives them out where a wake-up is a push to a local queue.
//! Figures: `docs/decisions/0058-what-a-publish-pays-for.md`.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use tidings_hub::Appended;
use tokio::sync::oneshot::Sender;

use super::Job;
use super::queue::JobQueue;
use crate::error::StreamError;

/// What a publisher gets.
pub(super) type Answer = Result<Vec<Appended>, StreamError>;

thread_local! {
    /// The tray of this thread, if it has one.
    static TRAY: RefCell<Option<Arc<Tray>>> = const { RefCell::new(None) };
}

/// What is on its way from or to the requests of one thread.
#[derive(Default)]
struct Tray(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    jobs: Vec<(Arc<JobQueue>, Job)>,
    answers: Vec<(Sender<Answer>, Answer)>,
    /// Of the thread's task, while it has nothing to do.
    waker: Option<Waker>,
    is_closed: bool,
}

impl Tray {
    fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of_this_thread() -> Option<Arc<Self>> {
        TRAY.with_borrow(Clone::clone)
    }
}

/// Where one publisher waits for its answer.
pub(super) struct Waiting {
    sender: Sender<Answer>,
    tray: Option<Arc<Tray>>,
}

impl Waiting {
    /// A publisher on this thread, which has the other half of `sender`.
    pub(super) fn here(sender: Sender<Answer>) -> Self {
        Self { sender, tray: Tray::of_this_thread() }
    }
}

/// Hands a job of this thread over to `queue`, at once or with others.
pub(super) fn hand_over(queue: &Arc<JobQueue>, job: Job) {
    let Some(tray) = job.waiting.tray.clone() else { return queue.add([job]) };
    let put = tray.change(|contents| {
        if contents.is_closed {
            return Err(job);
        }
        contents.jobs.push((Arc::clone(queue), job));
        Ok(contents.waker.take())
    });
    match put {
        Ok(waker) => waker.into_iter().for_each(Waker::wake),
        Err(job) => queue.add([job]),
    }
}

/// The answers of a batch, sorted by the threads that wait for them.
#[derive(Default)]
pub(super) struct Answers(Vec<(Arc<Tray>, Vec<(Sender<Answer>, Answer)>)>);

impl Answers {
    /// Gives `answer` at once, or with [`hand_over`](Self::hand_over).
    pub(super) fn give(&mut self, to: Waiting, answer: Answer) {
        let Waiting { sender, tray } = to;
        let Some(tray) = tray else {
            // A publisher that has left does not get the answer, but its events are stored.
            let _ = sender.send(answer);
            return;
        };
        // There are a few threads.
        match self.0.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &tray)) {
            Some((_, answers)) => answers.push((sender, answer)),
            None => self.0.push((tray, vec![(sender, answer)])),
        }
    }

    /// Puts down what is for threads with a tray.
    pub(super) fn hand_over(self) {
        for (tray, mut answers) in self.0 {
            let waker = tray.change(|contents| {
                if contents.is_closed {
                    return None;
                }
                contents.answers.append(&mut answers);
                contents.waker.take()
            });
            if let Some(waker) = waker {
                waker.wake();
            }
            // Nobody gives them out any more.
            give_out(answers);
        }
    }
}

fn give_out(answers: impl IntoIterator<Item = (Sender<Answer>, Answer)>) {
    for (sender, answer) in answers {
        let _ = sender.send(answer);
    }
}

/// Carries publishes of this thread to the committer, and their answers back, many at a time. To be
/// spawned once on a runtime that has this thread alone; never ends.
pub async fn carry_publishes() {
    let tray = Arc::new(Tray::default());
    TRAY.set(Some(Arc::clone(&tray)));
    let _closing = Closing(Arc::clone(&tray));
    let (mut jobs, mut answers) = (Vec::new(), Vec::new());
    poll_fn(|cx| {
        tray.change(|contents| {
            std::mem::swap(&mut contents.jobs, &mut jobs);
            std::mem::swap(&mut contents.answers, &mut answers);
            contents.waker = Some(cx.waker().clone());
        });
        add(&mut jobs);
        give_out(answers.drain(..));
        Poll::<()>::Pending
    })
    .await;
}

/// Adds `jobs` to their queues, of which there is usually one.
fn add(jobs: &mut Vec<(Arc<JobQueue>, Job)>) {
    while let Some((queue, _)) = jobs.first() {
        let queue = Arc::clone(queue);
        let others = jobs.iter().position(|(other, _)| !Arc::ptr_eq(other, &queue));
        queue.add(jobs.drain(..others.unwrap_or(jobs.len())).map(|(_, job)| job));
    }
}

/// Ends with the task.
struct Closing(Arc<Tray>);

impl Drop for Closing {
    fn drop(&mut self) {
        let (mut jobs, answers) = self.0.change(|contents| {
            contents.is_closed = true;
            (std::mem::take(&mut contents.jobs), std::mem::take(&mut contents.answers))
        });
        add(&mut jobs);
        give_out(answers);
        let _ = TRAY.try_with(|tray| tray.take());
    }
}
