//! What is bounded stays bounded when those who asked for it go away: a permit belongs to the work.

#![allow(clippy::unwrap_used)]

mod hooked_log;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use hooked_log::{Call, HookedLog};
use tidings_engine::limits::{COMMIT_QUEUE_BYTES_MAX, STORE_READS_MAX};
use tidings_engine::{Engine, EngineConfig};
use tidings_hub::{Draft, Interest, Matcher, Position, Start, Topic};

/// At which appends and reads wait until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    /// Reads of history that have come to it.
    reads: AtomicUsize,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self, call: Call) {
        match call {
            // The fan-out reads for everybody, and is not meant.
            Call::ReadTail | Call::Wait => return,
            Call::ReadHistory => drop(self.reads.fetch_add(1, Ordering::SeqCst)),
            Call::Append | Call::Erase => {}
        }
        drop(self.opened.wait_while(self.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
    }
}

/// An engine whose log waits at a gate, and the gate.
fn engine() -> (Engine, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let passed = Arc::clone(&gate);
    let log = HookedLog::new(move |call| passed.pass(call));
    (Engine::start(Arc::new(log), EngineConfig::default()).unwrap(), gate)
}

fn everything() -> Interest {
    Interest::new(vec![Matcher::All], Vec::new())
}

/// Starts `future`, and gives it up at its first pause.
fn abandon(future: impl Future) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "the gate is shut");
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_that_nobody_waits_for_keep_their_room_in_the_queue() {
    let (engine, gate) = engine();
    let data = "x".repeat(1 << 20);
    let topic = Topic::new("a").unwrap();
    for _ in 0..100 {
        abandon(engine.publish(vec![Draft::new(topic.clone(), data.clone())]));
    }
    gate.open();
    // It comes after all that were queued.
    engine.publish(vec![Draft::new(topic, "last")]).await.unwrap();
    let queued = engine.head().get() as usize - 1;
    assert!(queued <= COMMIT_QUEUE_BYTES_MAX >> 20, "{queued} MiB were queued");
    assert!(queued >= COMMIT_QUEUE_BYTES_MAX >> 21, "what was queued is stored: {queued} MiB");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_nobody_waits_for_keep_their_place() {
    let (engine, gate) = engine();
    for _ in 0..10 * STORE_READS_MAX {
        abandon(engine.history(everything(), Position::ZERO, 1));
    }
    gate.open();
    engine.history(everything(), Position::ZERO, 1).await.unwrap();
    engine.stop().await;
    let begun = gate.reads.load(Ordering::SeqCst) - 1;
    assert!((1..=STORE_READS_MAX).contains(&begun), "{begun} reads were begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_is_counted_gets_every_event_from_then_on() {
    let gate = Arc::new(Gate::default());
    let passed = Arc::clone(&gate);
    let log = HookedLog::new(move |call| match call {
        Call::ReadHistory => passed.pass(call),
        Call::ReadTail | Call::Append | Call::Wait | Call::Erase => {}
    });
    let engine = Engine::start(Arc::new(log), EngineConfig::default()).unwrap();
    // The store is busy with other reads, so the place where the subscriber starts is found late.
    for _ in 0..STORE_READS_MAX {
        abandon(engine.history(everything(), Position::ZERO, 1));
    }
    let opening = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.open(everything(), Start::Live).await })
    };
    while engine.status().subscribers == 0 {
        tokio::task::yield_now().await;
    }
    engine.publish(vec![Draft::new(Topic::new("a").unwrap(), "seen")]).await.unwrap();
    gate.open();
    let pending = opening.await.unwrap().unwrap();
    assert_eq!(pending.id.as_str(), "k7q2ma:0", "it begins before the event");
    engine.stop().await;
}
