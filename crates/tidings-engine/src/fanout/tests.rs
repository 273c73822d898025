#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use tidings_hub::{Draft, Epoch, FrameBatch, MemoryStore, Timestamp, Topic};
use tokio::sync::Semaphore;

use super::*;
use crate::counters::Permit;
use crate::limits::MAILBOX_BYTES_MAX;
use crate::sys::Poller;

/// Everything that a fan-out is between, with one worker, which does nothing by itself.
struct World {
    store: MemoryStore,
    mailboxes: Vec<Arc<Mailbox>>,
    recent: Recent,
    forgetting: Forgetting,
    head: watch::Sender<Position>,
    counters: Arc<Counters>,
    stopping: AtomicBool,
    fanout: Fanout,
    _poller: Poller,
}

impl World {
    fn new() -> Self {
        let poller = Poller::new().unwrap();
        let epoch = Epoch::parse("k7q2ma").unwrap();
        Self {
            store: MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600)),
            mailboxes: vec![Arc::new(Mailbox::new(poller.bell()))],
            recent: Recent::starting_after(Position::ZERO),
            forgetting: Forgetting::new(Position::ZERO, Arc::new(Semaphore::new(1))),
            head: watch::Sender::new(Position::ZERO),
            counters: Arc::default(),
            stopping: AtomicBool::new(false),
            fanout: Fanout::new(Position::ZERO, 1),
            _poller: poller,
        }
    }

    fn ends(&self) -> Ends<'_> {
        Ends {
            store: &self.store,
            mailboxes: &self.mailboxes,
            recent: &self.recent,
            forgetting: &self.forgetting,
            head: &self.head,
            counters: &self.counters,
            stopping: &self.stopping,
        }
    }

    /// Somebody listens, as long as the result lives.
    fn listen(&self) -> Permit {
        self.counters.admit(1).unwrap()
    }

    fn append(&self, events: usize, bytes: usize) {
        let topic = Topic::new("t").unwrap();
        let drafts = (0..events).map(|_| Draft::new(topic.clone(), "x".repeat(bytes)));
        self.store.append(drafts.collect(), Timestamp::default()).unwrap();
    }

    /// The positions of the frames that have come to the worker since the last time.
    fn came(&self) -> Vec<u64> {
        let mut batches: VecDeque<Arc<FrameBatch>> = VecDeque::new();
        self.mailboxes[0].take(&mut VecDeque::new(), &mut batches, true);
        let frames = batches.iter().flat_map(|batch| &batch.frames);
        frames.map(|frame| frame.position().get()).collect()
    }

    /// Runs the thread until `is_enough`, and stops it.
    fn run_until(&self, is_enough: impl Fn() -> bool) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.fanout.run(&self.ends()));
            while !is_enough() {
                std::thread::yield_now();
            }
            self.stopping.store(true, Ordering::Release);
        });
    }
}

#[test]
fn the_committer_fans_out_what_it_has_appended() {
    let world = World::new();
    let _subscriber = world.listen();
    world.append(3, 1);
    world.fanout.lead(&world.ends());
    assert_eq!(world.came(), [1, 2, 3]);
    assert_eq!(*world.head.borrow(), Position::new(3), "polls wait for this");
    world.append(1, 1);
    world.fanout.lead(&world.ends());
    assert_eq!(world.came(), [4], "each once");
    world.fanout.lead(&world.ends());
    assert_eq!(world.came(), [], "nothing was appended");
}

#[test]
fn while_nobody_listens_the_committer_leaves_it() {
    let world = World::new();
    world.append(3, 1);
    world.fanout.lead(&world.ends());
    assert_eq!(world.came(), []);
    world.run_until(|| *world.head.borrow() == Position::new(3));
    assert_eq!(world.came(), [], "the thread passes it over");
}

#[test]
fn a_large_batch_is_left_to_the_thread() {
    let world = World::new();
    let _subscriber = world.listen();
    world.append(LED_RECORDS_MAX as usize + 1, 1);
    world.fanout.lead(&world.ends());
    assert_eq!(world.came(), []);
    let head = world.store.bounds().head;
    world.run_until(|| *world.head.borrow() == head);
    assert_eq!(world.came(), Vec::from_iter(1..=head.get()));
}

#[test]
fn a_full_mailbox_is_left_to_the_thread_which_waits() {
    let world = World::new();
    let _subscriber = world.listen();
    world.append(1, MAILBOX_BYTES_MAX / 2);
    world.fanout.lead(&world.ends());
    world.append(1, 1);
    world.fanout.lead(&world.ends());
    assert_eq!(world.came(), [1], "the second does not wait for the first, nor is it left out");
    world.run_until(|| *world.head.borrow() == Position::new(2));
    assert_eq!(world.came(), [2]);
}

#[test]
fn a_step_that_is_under_way_takes_what_the_committer_then_appends() {
    let world = World::new();
    let _subscriber = world.listen();
    world.append(1, 1);
    let held = world.fanout.lock();
    world.fanout.lead(&world.ends());
    assert!(world.fanout.is_left.load(Ordering::SeqCst), "for the thread, which has the lock");
    drop(held);
    assert_eq!(world.came(), []);
    world.run_until(|| *world.head.borrow() == Position::new(1));
    assert_eq!(world.came(), [1]);
}

/// The committer and the thread at once, with a worker that takes its time: every event comes, once
/// and in order, whoever takes which step.
#[test]
fn two_that_take_steps_leave_nothing_out() {
    const EVENTS: u64 = 5_000;
    let world = World::new();
    let _subscriber = world.listen();
    let mut came = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| world.fanout.run(&world.ends()));
        scope.spawn(|| {
            for number in 0..EVENTS / 5 {
                // Some wait for room in the mailbox, some are led. All fit into the store, for else
                // it would drop what a slow reader has not had.
                let is_large = number % 300 < 20;
                world.append(5, if is_large { MAILBOX_BYTES_MAX / 64 } else { 1 });
                world.fanout.lead(&world.ends());
            }
        });
        while came.len() < EVENTS as usize {
            came.extend(world.came());
            std::thread::yield_now();
        }
        world.stopping.store(true, Ordering::Release);
    });
    assert_eq!(came, Vec::from_iter(1..=EVENTS));
}
