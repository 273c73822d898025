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

/// An answer, and where its publisher waits for it.
type Addressed = (Sender<Answer>, Answer);

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
    answers: Vec<Addressed>,
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

/// The answers of a batch, sorted by the threads that wait for them. Dropped, they are handed over:
/// also by a committer that panics, because their events are stored.
#[derive(Default)]
pub(super) struct Answers(Vec<(Arc<Tray>, Vec<Addressed>)>);

impl Answers {
    /// Gives `answer` at once, or puts it down with the others of its thread.
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
}

impl Drop for Answers {
    fn drop(&mut self) {
        for (tray, mut answers) in self.0.drain(..) {
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

fn give_out(answers: impl IntoIterator<Item = Addressed>) {
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
        // It may end on another thread, or after another one has begun here.
        let _ = TRAY.try_with(|tray| {
            let mut tray = tray.borrow_mut();
            if tray.as_ref().is_some_and(|tray| Arc::ptr_eq(tray, &self.0)) {
                *tray = None;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::Pin;
    use std::task::Context;

    use tokio::sync::oneshot::Receiver;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::super::queue::tests::{job, waiting};
    use super::*;

    type Carrier = Pin<Box<dyn Future<Output = ()>>>;

    /// The carrier of this thread, which has begun.
    fn carrier() -> Carrier {
        let mut carrier: Carrier = Box::pin(carry_publishes());
        turn(&mut carrier);
        carrier
    }

    fn turn(carrier: &mut Carrier) {
        assert!(carrier.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    fn publish(queue: &Arc<JobQueue>, data: &str) -> Receiver<Answer> {
        let (job, answered) = job(data);
        hand_over(queue, job);
        answered
    }

    /// What the committer does.
    fn commit(queue: &JobQueue) {
        let mut answers = Answers::default();
        for job in queue.next_batch(usize::MAX).unwrap() {
            answers.give(job.waiting, Ok(Vec::new()));
        }
        drop(answers);
    }

    fn waits(publisher: &mut Receiver<Answer>) -> bool {
        matches!(publisher.try_recv(), Err(TryRecvError::Empty))
    }

    fn is_answered(mut publisher: Receiver<Answer>) -> bool {
        matches!(publisher.try_recv(), Ok(Ok(_)))
    }

    #[test]
    fn jobs_and_answers_wait_in_the_tray_until_the_carrier_comes() {
        let queue = Arc::new(JobQueue::default());
        let mut carrier = carrier();
        let mut publishers = ["a", "b"].map(|data| publish(&queue, data));
        assert!(waiting(&queue).is_empty());
        turn(&mut carrier);
        assert_eq!(waiting(&queue), ["a", "b"]);
        commit(&queue);
        assert!(publishers.iter_mut().all(waits));
        turn(&mut carrier);
        assert!(publishers.into_iter().all(is_answered));
    }

    #[test]
    fn a_thread_without_a_tray_goes_to_the_committer_itself() {
        let queue = Arc::new(JobQueue::default());
        let publisher = publish(&queue, "a");
        assert_eq!(waiting(&queue), ["a"]);
        commit(&queue);
        assert!(is_answered(publisher));
    }

    #[test]
    fn jobs_of_one_tray_go_to_the_queues_that_they_are_for_in_their_order() {
        let queues = [(); 2].map(|()| Arc::new(JobQueue::default()));
        let mut carrier = carrier();
        let jobs = [(0, "a"), (1, "b"), (1, "c"), (0, "d"), (1, "e")];
        let publishers = jobs.map(|(queue, data)| publish(&queues[queue], data));
        turn(&mut carrier);
        assert_eq!(waiting(&queues[0]), ["a", "d"]);
        assert_eq!(waiting(&queues[1]), ["b", "c", "e"]);
        queues.iter().for_each(|queue| commit(queue));
        turn(&mut carrier);
        assert!(publishers.into_iter().all(is_answered));
    }

    #[test]
    fn what_is_in_the_tray_when_its_carrier_ends_is_handed_over() {
        let queue = Arc::new(JobQueue::default());
        let mut carrier = carrier();
        let first = publish(&queue, "a");
        turn(&mut carrier);
        commit(&queue);
        let second = publish(&queue, "b");
        drop(carrier);
        assert!(is_answered(first));
        assert_eq!(waiting(&queue), ["b"]);
        commit(&queue);
        assert!(is_answered(second));
    }

    #[test]
    fn a_closed_tray_takes_nothing() {
        let queue = Arc::new(JobQueue::default());
        let carrier = carrier();
        let (job, answered) = job("a");
        drop(carrier);
        hand_over(&queue, job);
        assert_eq!(waiting(&queue), ["a"]);
        commit(&queue);
        assert!(is_answered(answered));
    }

    #[test]
    fn a_carrier_that_ends_leaves_the_tray_of_the_next_one() {
        let queue = Arc::new(JobQueue::default());
        let first = carrier();
        let mut second = carrier();
        drop(first);
        let publisher = publish(&queue, "a");
        assert!(waiting(&queue).is_empty());
        turn(&mut second);
        commit(&queue);
        turn(&mut second);
        assert!(is_answered(publisher));
    }

    #[test]
    fn a_job_in_the_tray_of_a_committer_that_has_stopped_is_dropped() {
        let queue = Arc::new(JobQueue::default());
        let mut carrier = carrier();
        let mut publisher = publish(&queue, "a");
        queue.stop();
        turn(&mut carrier);
        assert!(matches!(publisher.try_recv(), Err(TryRecvError::Closed)));
    }
}
