//! Hand-overs, turn by turn.

#![allow(clippy::unwrap_used)]

use std::pin::Pin;
use std::task::Context;

use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use super::super::queue::tests::{fall_asleep, job, waiting};
use super::super::{JobQueue, OpenStreams};
use super::*;

type Carrier = Pin<Box<dyn Future<Output = ()>>>;

/// A desk whose committer commits when the test does.
struct Counter {
    queue: JobQueue,
    is_open: bool,
    /// What was done here.
    done: Mutex<Vec<String>>,
}

impl Counter {
    fn new() -> Arc<Self> {
        Self::open(false)
    }

    fn open(is_open: bool) -> Arc<Self> {
        Arc::new(Self { queue: JobQueue::default(), is_open, done: Mutex::default() })
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.done.lock().unwrap())
    }
}

impl Desk for Counter {
    fn queue(&self) -> &JobQueue {
        &self.queue
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn commit(&self, job: Job) {
        self.done.lock().unwrap().push(job.drafts[0].data.to_string());
        Answers::default().give(job.waiting, Ok(Vec::new()));
    }

    fn committed(&self) {
        self.done.lock().unwrap().push("fan out".to_owned());
    }
}

/// The carrier of this thread, which has begun, and has leave for nothing.
fn carrier() -> Carrier {
    begun(|| None::<()>)
}

fn begun<L: 'static>(leave: impl Fn() -> Option<L> + 'static) -> Carrier {
    let mut carrier: Carrier = Box::pin(carry_publishes(leave));
    turn(&mut carrier);
    carrier
}

fn turn(carrier: &mut Carrier) {
    assert!(carrier.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

fn publish(desk: &Arc<Counter>, data: &str) -> Receiver<Answer> {
    let (job, answered) = job(data);
    hand_over(Arc::<Counter>::clone(desk), job);
    answered
}

/// What the committer does.
fn commit(desk: &Counter) {
    let mut answers = Answers::default();
    for job in desk.queue.next_batch(usize::MAX).unwrap() {
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
    let desk = Counter::new();
    let mut carrier = carrier();
    let mut publishers = ["a", "b"].map(|data| publish(&desk, data));
    assert!(waiting(&desk.queue).is_empty());
    turn(&mut carrier);
    assert_eq!(waiting(&desk.queue), ["a", "b"]);
    commit(&desk);
    assert!(publishers.iter_mut().all(waits));
    turn(&mut carrier);
    assert!(publishers.into_iter().all(is_answered));
}

#[test]
fn a_thread_without_a_tray_goes_to_the_committer_itself() {
    let desk = Counter::new();
    let publisher = publish(&desk, "a");
    assert_eq!(waiting(&desk.queue), ["a"]);
    commit(&desk);
    assert!(is_answered(publisher));
}

#[test]
fn jobs_of_one_tray_go_to_the_queues_that_they_are_for_in_their_order() {
    let desks = [(); 2].map(|()| Counter::new());
    let mut carrier = carrier();
    let jobs = [(0, "a"), (1, "b"), (1, "c"), (0, "d"), (1, "e")];
    let publishers = jobs.map(|(desk, data)| publish(&desks[desk], data));
    turn(&mut carrier);
    assert_eq!(waiting(&desks[0].queue), ["a", "d"]);
    assert_eq!(waiting(&desks[1].queue), ["b", "c", "e"]);
    desks.iter().for_each(|desk| commit(desk));
    turn(&mut carrier);
    assert!(publishers.into_iter().all(is_answered));
}

#[test]
fn what_is_in_the_tray_when_its_carrier_ends_is_handed_over() {
    let desk = Counter::new();
    let mut carrier = carrier();
    let first = publish(&desk, "a");
    turn(&mut carrier);
    commit(&desk);
    let second = publish(&desk, "b");
    drop(carrier);
    assert!(is_answered(first));
    assert_eq!(waiting(&desk.queue), ["b"]);
    commit(&desk);
    assert!(is_answered(second));
}

#[test]
fn a_closed_tray_takes_nothing() {
    let desk = Counter::new();
    let carrier = carrier();
    let (job, answered) = job("a");
    drop(carrier);
    hand_over(Arc::<Counter>::clone(&desk), job);
    assert_eq!(waiting(&desk.queue), ["a"]);
    commit(&desk);
    assert!(is_answered(answered));
}

#[test]
fn a_carrier_that_ends_leaves_the_tray_of_the_next_one() {
    let desk = Counter::new();
    let first = carrier();
    let mut second = carrier();
    drop(first);
    let publisher = publish(&desk, "a");
    assert!(waiting(&desk.queue).is_empty());
    turn(&mut second);
    commit(&desk);
    turn(&mut second);
    assert!(is_answered(publisher));
}

#[test]
fn a_job_in_the_tray_of_a_committer_that_has_stopped_is_dropped() {
    let desk = Counter::new();
    let mut carrier = carrier();
    let mut publisher = publish(&desk, "a");
    desk.queue.stop();
    turn(&mut carrier);
    assert!(matches!(publisher.try_recv(), Err(TryRecvError::Closed)));
}

#[test]
fn a_lone_publish_is_committed_here_if_the_committer_sleeps() {
    let desk = Counter::open(true);
    let mut carrier = begun(|| Some(()));
    let publisher = publish(&desk, "awake");
    turn(&mut carrier);
    assert_eq!(waiting(&desk.queue), ["awake"]);
    commit(&desk);
    turn(&mut carrier);
    assert!(is_answered(publisher));
    fall_asleep(&desk.queue);
    let publisher = publish(&desk, "asleep");
    turn(&mut carrier);
    assert_eq!(desk.done(), ["asleep"]);
    assert!(is_answered(publisher));
    turn(&mut carrier);
    assert_eq!(desk.done(), ["fan out"], "once its publisher has had its turn");
    turn(&mut carrier);
    assert!(desk.done().is_empty());
}

#[test]
fn what_is_not_alone_or_not_allowed_is_left_to_the_committer() {
    let left = |desk: Arc<Counter>, leave: bool, publishes: &[&str]| {
        let mut carrier = begun(move || leave.then_some(()));
        fall_asleep(&desk.queue);
        let publishers: Vec<_> = publishes.iter().map(|data| publish(&desk, data)).collect();
        turn(&mut carrier);
        assert!(desk.done().is_empty());
        assert_eq!(waiting(&desk.queue), publishes);
        drop(publishers);
    };
    left(Counter::open(true), true, &["a", "b"]);
    left(Counter::open(true), false, &["a"]);
    left(Counter::open(false), true, &["a"]);

    let desk = Counter::open(true);
    let mut carrier = begun(|| Some(()));
    fall_asleep(&desk.queue);
    drop(publish(&desk, "of a publisher that has left"));
    turn(&mut carrier);
    assert!(desk.done().is_empty());
    let streams = Arc::<OpenStreams>::default();
    let (mut part, _answered) = job("of a stream");
    part.stream = Some(streams.open(None, false));
    fall_asleep(&desk.queue);
    desk.queue.next_batch(usize::MAX).unwrap();
    hand_over(Arc::<Counter>::clone(&desk), part);
    turn(&mut carrier);
    assert!(desk.done().is_empty());
}

#[test]
fn the_thread_has_leave_until_its_commit_is_over() {
    /// Says that it is given back.
    struct Leave(Arc<Mutex<Vec<String>>>);

    impl Drop for Leave {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("back".to_owned());
        }
    }

    struct Noting(JobQueue, Arc<Mutex<Vec<String>>>);

    impl Desk for Noting {
        fn queue(&self) -> &JobQueue {
            &self.0
        }

        fn is_open(&self) -> bool {
            true
        }

        fn commit(&self, _: Job) {
            self.1.lock().unwrap().push("commit".to_owned());
        }

        fn committed(&self) {}
    }

    let noted = Arc::<Mutex<Vec<String>>>::default();
    let desk = Arc::new(Noting(JobQueue::default(), Arc::clone(&noted)));
    fall_asleep(&desk.0);
    let leave = Arc::clone(&noted);
    let mut carrier = begun(move || Some(Leave(Arc::clone(&leave))));
    let (job, _answered) = job("a");
    hand_over(desk, job);
    turn(&mut carrier);
    assert_eq!(*noted.lock().unwrap(), ["commit", "back"]);
}
