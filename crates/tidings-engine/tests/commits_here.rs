//! A thread with one publisher, which commits in place of the committer.

#![allow(clippy::unwrap_used)]

mod hooked_log;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hooked_log::{Call, HookedLog};
use tidings_engine::{Engine, EngineConfig, PublishError, carry_publishes};
use tidings_hub::{Appended, Draft, Position, Topic};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

/// An engine whose log notes that another thread than the committer appends, and then does what
/// `at_append` does.
fn engine(at_append: impl Fn() + Send + Sync + 'static) -> (Engine, Arc<AtomicBool>) {
    let is_here = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&is_here);
    let log = HookedLog::new(move |call| {
        if call == Call::Append && thread::current().name() != Some("tidings-committer") {
            noted.store(true, Ordering::SeqCst);
            at_append();
        }
    });
    (Engine::start(Arc::new(log), EngineConfig::default()).unwrap(), is_here)
}

fn draft(data: impl ToString) -> Vec<Draft> {
    vec![Draft::new(Topic::new("a").unwrap(), data.to_string())]
}

type Published = Result<Vec<Appended>, PublishError>;

/// Publishes one event after the other on a thread that may wait for the log, until it has appended
/// one itself. Returns the answer to that, and how many there were.
fn publish_until_here(engine: &Engine, is_here: &AtomicBool) -> (Published, u64) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.spawn(carry_publishes(|| Some(())));
    runtime.block_on(async {
        yield_now().await;
        for number in 1.. {
            let answer = engine.publish(draft(number)).await;
            if is_here.load(Ordering::SeqCst) {
                return (answer, number);
            }
            // Until the committer sleeps, it is the one that appends.
            answer.unwrap();
        }
        unreachable!()
    })
}

/// Waits without a runtime of its own for a future that needs none.
fn wait<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn an_event_that_its_publishers_thread_appends_is_answered_and_fanned_out() {
    let (engine, is_here) = engine(|| {});
    let mut head = Position::ZERO;
    let (publisher, flag) = (engine.clone(), Arc::clone(&is_here));
    let publisher = thread::spawn(move || publish_until_here(&publisher, &flag));
    let (answer, count) = publisher.join().unwrap();
    assert_eq!(answer.unwrap()[0].position.get(), count);
    while head.get() < count {
        head = wait(engine.wait(head));
    }
    // The committer is at its place again.
    assert_eq!(wait(engine.publish(draft("next"))).unwrap()[0].position.get(), count + 1);
    wait(engine.stop());
}

/// An engine, a thread that appends to its log itself, and what lets it go on.
struct Gate {
    engine: Engine,
    publisher: JoinHandle<(Published, u64)>,
    open: Sender<()>,
}

/// Waits until the thread is at it.
fn gate() -> Gate {
    let (came, has_come) = channel();
    let (open, opened) = channel::<()>();
    let opened = Mutex::new(opened);
    let (engine, is_here) = engine(move || {
        let _ = came.send(());
        let _ = opened.lock().unwrap().recv();
    });
    let publisher = engine.clone();
    let publisher = thread::spawn(move || publish_until_here(&publisher, &is_here));
    has_come.recv().unwrap();
    Gate { engine, publisher, open }
}

#[test]
fn what_others_publish_meanwhile_comes_after_it() {
    let Gate { engine, publisher, open } = gate();
    let head = engine.head().get();
    wait(async {
        let mut others: JoinSet<_> = (0..5)
            .map(|number| {
                let engine = engine.clone();
                async move { engine.publish(draft(number)).await }
            })
            .collect();
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(others.try_join_next().is_none(), "two threads would append at once");
        assert_eq!(engine.head().get(), head);
        drop(open);
        let mut positions = Vec::new();
        while let Some(answer) = others.join_next().await {
            positions.push(answer.unwrap().unwrap()[0].position.get() - head);
        }
        positions.sort();
        assert_eq!(positions, [2, 3, 4, 5, 6]);
    });
    let (answer, _) = publisher.join().unwrap();
    assert_eq!(answer.unwrap()[0].position.get(), head + 1);
    wait(engine.stop());
}

#[test]
fn an_engine_that_stops_waits_for_it() {
    let Gate { engine, publisher, open } = gate();
    let head = engine.head().get();
    wait(async {
        let stopping = engine.stop();
        let mut stopping = pin!(stopping);
        let first = timeout(Duration::from_millis(50), stopping.as_mut()).await;
        assert!(first.is_err(), "something is being appended");
        drop(open);
        stopping.await;
        assert_eq!(engine.head().get(), head + 1);
    });
    publisher.join().unwrap().0.unwrap();
}

#[test]
fn a_panic_in_it_ends_the_engine_as_one_of_the_committer_does() {
    let (engine, is_here) = engine(|| panic!("of a log, on purpose"));
    let publisher = engine.clone();
    let publisher = thread::spawn(move || publish_until_here(&publisher, &is_here));
    let (answer, _) = publisher.join().unwrap();
    assert!(matches!(answer, Err(PublishError::Stopping)), "{answer:?}");
    assert_eq!(&*wait(engine.thread_panicked()), "committer");
    let answer = wait(engine.publish(draft("late")));
    assert!(matches!(answer, Err(PublishError::Stopping)), "{answer:?}");
    wait(engine.stop());
}
