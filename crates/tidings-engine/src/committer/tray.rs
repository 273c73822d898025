//! Hand-overs between a thread of requests and the committer, as lists.
//!
//! A thread that has a runtime of its own serves dozens of publishers in one turn of its loop, and
//! a batch answers dozens of them. Handed over one by one, each job is a lock and perhaps a wake-up
//! of the committer, which then begins a batch with less in it than is about to come; and each
//! answer is an entry into the queue of another thread, and a system call. So such a thread has a
//! *tray*, and one task for it. Jobs are put into it; the task comes after all tasks that were
//! ready with it, and hands over what is there by then. The committer puts down all answers of a
//! batch and wakes the task, which gives them out where a wake-up is a push to a local queue.
//!
//! A publisher that is alone pays for two switches of threads even so: one to the committer and one
//! back, each of which wakes a processor that sleeps. So a thread with nothing else to do commits
//! such a job itself if the committer sleeps ([`commit_here`]). It waits for the disk meanwhile, as
//! long as that takes. So it asks for leave first, and gets no connections until it is back.
//!
//! Figures: `docs/decisions/0058-what-a-publish-pays-for.md`.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use tidings_hub::Appended;
use tokio::sync::oneshot::Sender;

use super::{Desk, Job};
use crate::error::StreamError;

/// What a publisher gets.
pub(super) type Answer = Result<Vec<Appended>, StreamError>;

/// An answer, and where its publisher waits for it.
type Addressed = (Sender<Answer>, Answer);

/// A job, and the desk that it is for.
type Placed = (Arc<dyn Desk>, Job);

thread_local! {
    /// The tray of this thread, if it has one.
    static TRAY: RefCell<Option<Arc<Tray>>> = const { RefCell::new(None) };
}

/// What is on its way from or to the requests of one thread.
#[derive(Default)]
struct Tray(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    jobs: Vec<Placed>,
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

/// Hands a job of this thread over to `desk`, at once or with others.
pub(super) fn hand_over(desk: Arc<dyn Desk>, job: Job) {
    let Some(tray) = job.waiting.tray.clone() else { return desk.queue().add([job]) };
    let put = tray.change(|contents| {
        if contents.is_closed {
            return Err((desk, job));
        }
        contents.jobs.push((desk, job));
        Ok(contents.waker.take())
    });
    match put {
        Ok(waker) => waker.into_iter().for_each(Waker::wake),
        Err((desk, job)) => desk.queue().add([job]),
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
///
/// `leave` says whether the thread may wait for a disk: nobody else needs it now, and nobody will
/// as long as what it returns lives.
pub async fn carry_publishes<L>(leave: impl Fn() -> Option<L>) {
    let tray = Arc::new(Tray::default());
    TRAY.set(Some(Arc::clone(&tray)));
    let _closing = Closing(Arc::clone(&tray));
    let (mut jobs, mut answers) = (Vec::new(), Vec::new());
    let mut committed = None::<Arc<dyn Desk>>;
    poll_fn(|cx| {
        if let Some(desk) = committed.take() {
            desk.committed();
        }
        tray.change(|contents| std::mem::swap(&mut contents.jobs, &mut jobs));
        committed = commit_here(&mut jobs, &leave);
        if committed.is_some() {
            // After the publisher, which is about to be woken.
            cx.waker().wake_by_ref();
        }
        add(&mut jobs);
        tray.change(|contents| {
            std::mem::swap(&mut contents.answers, &mut answers);
            contents.waker = Some(cx.waker().clone());
        });
        give_out(answers.drain(..));
        Poll::<()>::Pending
    })
    .await;
}

/// Commits what is in `jobs` on this thread, if it is one publish, its committer sleeps, and there
/// is `leave`. Returns where it did.
fn commit_here<L>(jobs: &mut Vec<Placed>, leave: impl Fn() -> Option<L>) -> Option<Arc<dyn Desk>> {
    let [(desk, job)] = &jobs[..] else { return None };
    // The next part of a stream of drafts can be read while this one is stored. And without its
    // publisher, the thread may have a connection that has nothing to do with this job.
    if !desk.is_open() || job.stream.is_some() || job.waiting.sender.is_closed() {
        return None;
    }
    let _leave = leave()?;
    let desk = Arc::clone(desk);
    let stand_in = desk.queue().stand_in()?;
    let (_, job) = jobs.pop()?;
    desk.commit(job);
    drop(stand_in);
    Some(desk)
}

/// Adds `jobs` to the queues of their desks, of which there is usually one.
fn add(jobs: &mut Vec<Placed>) {
    while let Some((desk, _)) = jobs.first() {
        let desk = Arc::clone(desk);
        let others = jobs.iter().position(|(other, _)| !Arc::ptr_eq(other, &desk));
        desk.queue().add(jobs.drain(..others.unwrap_or(jobs.len())).map(|(_, job)| job));
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
mod tests;
