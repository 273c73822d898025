//! Publishers on threads that have a runtime of their own, and hand their events over together.

#![allow(clippy::unwrap_used)]

mod hooked_log;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use hooked_log::{Call, HookedLog};
use tidings_engine::{Engine, EngineConfig, PublishError, carry_publishes};
use tidings_hub::{Draft, Topic};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet, yield_now};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// An engine, and the number of batches that its log has taken.
fn engine() -> (Engine, Arc<AtomicUsize>) {
    let batches = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&batches);
    let log = HookedLog::new(move |call| {
        if call == Call::Append {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (Engine::start(Arc::new(log), EngineConfig::default()).unwrap(), batches)
}

/// An engine whose log, at each append, says so and waits until it may.
fn engine_at_a_gate() -> (Engine, Receiver<()>, Sender<()>) {
    let (came, has_come) = channel();
    let (open, opened) = channel();
    let opened = Mutex::new(opened);
    let log = HookedLog::new(move |call| {
        if call == Call::Append {
            let _ = came.send(());
            let _ = opened.lock().unwrap().recv();
        }
    });
    (Engine::start(Arc::new(log), EngineConfig::default()).unwrap(), has_come, open)
}

fn draft(data: impl ToString) -> Vec<Draft> {
    vec![Draft::new(Topic::new("a").unwrap(), data.to_string())]
}

/// A runtime that this thread has alone, and what carries its publishes.
fn runtime() -> (Runtime, JoinHandle<()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let carrier = runtime.spawn(carry_publishes(|| None::<()>));
    runtime.block_on(yield_now());
    (runtime, carrier)
}

fn start(future: impl Future) {
    assert!(pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn publishes_of_one_turn_are_one_batch() {
    const PUBLISHERS: usize = 64;
    let (engine, batches) = engine();
    let (runtime, _carrier) = runtime();
    runtime.block_on(async {
        let mut publishers = JoinSet::new();
        for number in 0..PUBLISHERS {
            let engine = engine.clone();
            publishers.spawn(async move { engine.publish(draft(number)).await });
        }
        for appended in publishers.join_all().await {
            assert_eq!(appended.unwrap().len(), 1);
        }
        assert_eq!(engine.head().get() as usize, PUBLISHERS);
        assert_eq!(batches.load(Ordering::SeqCst), 1);
        engine.stop().await;
    });
}

#[test]
fn publishes_one_after_the_other_are_answered() {
    let (engine, batches) = engine();
    let (runtime, _carrier) = runtime();
    runtime.block_on(async {
        for number in 1..=100 {
            let appended = engine.publish(draft(number)).await.unwrap();
            assert_eq!(appended[0].position.get(), number);
        }
        assert_eq!(batches.load(Ordering::SeqCst), 100);
        engine.stop().await;
    });
}

#[test]
fn publishers_on_several_threads_and_none_are_answered() {
    let (engine, _) = engine();
    let publishes = |engine: Engine| async move {
        for _ in 0..50 {
            engine.publish(draft("x")).await.unwrap();
        }
    };
    let threads = [true, true, false].map(|carries| {
        let engine = engine.clone();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            if carries {
                runtime.spawn(carry_publishes(|| None::<()>));
            }
            runtime.block_on(async {
                let publishers: JoinSet<_> = (0..8).map(|_| publishes(engine.clone())).collect();
                publishers.join_all().await;
            });
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(engine.head().get(), 3 * 8 * 50);
    runtime().0.block_on(engine.stop());
}

#[test]
fn several_engines_on_one_thread_get_what_is_theirs() {
    let engines = [engine().0, engine().0, engine().0];
    let (runtime, _carrier) = runtime();
    runtime.block_on(async {
        let mut publishers = JoinSet::new();
        for number in 0..60 {
            // Two thirds of them in turns, and the last one alone.
            let engine = engines[if number < 40 { number % 2 } else { 2 }].clone();
            publishers.spawn(async move { engine.publish(draft(number)).await });
        }
        for appended in publishers.join_all().await {
            appended.unwrap();
        }
        for engine in &engines {
            assert_eq!(engine.head().get(), 20);
            engine.stop().await;
        }
    });
}

#[test]
fn a_job_in_the_tray_is_published_without_its_carrier() {
    let (engine, _) = engine();
    let (runtime, carrier) = runtime();
    runtime.block_on(async {
        let mut publish = pin!(engine.publish(draft("x")));
        let first = publish.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(first.is_pending());
        carrier.abort();
        publish.await.unwrap();
        assert!(carrier.await.unwrap_err().is_cancelled());
        // There is no tray any more.
        engine.publish(draft("y")).await.unwrap();
        engine.stop().await;
    });
}

#[test]
fn an_answer_comes_without_the_carrier_that_took_the_job() {
    let (engine, has_come, open) = engine_at_a_gate();
    let (runtime, carrier) = runtime();
    runtime.block_on(async {
        let publisher = engine.clone();
        let publisher = tokio::spawn(async move { publisher.publish(draft("x")).await });
        while has_come.try_recv().is_err() {
            yield_now().await;
        }
        carrier.abort();
        assert!(carrier.await.unwrap_err().is_cancelled());
        open.send(()).unwrap();
        publisher.await.unwrap().unwrap();
        drop(open);
        engine.stop().await;
    });
}

#[test]
fn a_publisher_that_leaves_does_not_take_its_event_along() {
    let (engine, _) = engine();
    let (runtime, _carrier) = runtime();
    runtime.block_on(async {
        start(engine.publish(draft("left")));
        let appended = engine.publish(draft("stayed")).await.unwrap();
        assert_eq!(appended[0].position.get(), 2);
        engine.stop().await;
    });
}

#[test]
fn a_publisher_whose_job_is_in_the_tray_when_the_engine_stops_learns_it() {
    let (engine, _) = engine();
    let (runtime, _carrier) = runtime();
    runtime.block_on(async {
        engine.stop().await;
        let refused = engine.publish(draft("late")).await.unwrap_err();
        assert!(matches!(refused, PublishError::Stopping), "{refused}");
    });
}

#[test]
fn publishers_do_not_wait_for_a_committer_that_panicked_wherever_their_events_are() {
    let (came, has_come) = channel();
    let (open, opened) = channel::<()>();
    let opened = Mutex::new(opened);
    let log = HookedLog::new(move |call| {
        if call == Call::Append {
            came.send(()).unwrap();
            opened.lock().unwrap().recv().expect("a log that does not panic");
        }
    });
    let engine = Engine::start(Arc::new(log), EngineConfig::default()).unwrap();
    let (runtime, _carrier) = runtime();
    let publish = |data: &str| {
        let (engine, data) = (engine.clone(), draft(data));
        async move { engine.publish(data).await }
    };
    let turns = async |until: &dyn Fn() -> bool| {
        while !until() {
            yield_now().await;
        }
    };

    let stored = runtime.spawn(publish("stored, its answer is in the tray"));
    runtime.block_on(turns(&|| has_come.try_recv().is_ok()));
    let appended = runtime.spawn(publish("appended when the committer panics"));
    let turn = std::cell::Cell::new(0);
    runtime.block_on(turns(&|| turn.replace(turn.get() + 1) == 10));
    open.send(()).unwrap();
    // From here on the carrier has no turn.
    has_come.recv_timeout(PATIENCE).expect("the second batch comes to the log");
    let queued = std::thread::scope(|scope| {
        let queue = || {
            let mut queued = Box::pin(publish("in the queue"));
            start(queued.as_mut());
            queued
        };
        scope.spawn(queue).join().unwrap()
    });
    let mut in_tray = Box::pin(publish("in the tray"));
    start(in_tray.as_mut());
    drop(open);
    let other = Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(&*other.block_on(engine.thread_panicked()), "committer");

    let answers = async {
        assert_eq!(stored.await.unwrap().unwrap()[0].position.get(), 1);
        let late = publish("late");
        let others = [appended.await.unwrap(), queued.await, in_tray.await, late.await];
        for answer in others {
            assert!(matches!(answer, Err(PublishError::Stopping)), "{answer:?}");
        }
        engine.stop().await;
    };
    runtime.block_on(async { timeout(PATIENCE, answers).await }).expect("nobody waits");
}

#[test]
fn parts_of_a_stream_keep_their_order() {
    let (engine, _) = engine();
    let (runtime, _carrier) = runtime();
    runtime.block_on(async {
        let stream = engine.publish_stream(tidings_engine::Run::default());
        let mut parts = JoinSet::new();
        for part in 1..=20 {
            let publish = stream.clone().publish(draft(part));
            parts.spawn(async move { (part, publish.await.unwrap()[0].position.get()) });
        }
        for (part, position) in parts.join_all().await {
            assert_eq!(position, part);
        }
        engine.stop().await;
    });
}
