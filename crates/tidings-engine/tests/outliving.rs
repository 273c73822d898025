//! What requests have begun, when the requests, or their threads, are gone.

#![allow(clippy::unwrap_used)]

mod hooked_log;

use std::future::pending;
use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use hooked_log::{Call, HookedLog};
use tidings_engine::{Engine, EngineConfig, EraseTarget, LastWill, outlived_by, spawn_outliving};
use tidings_hub::{Draft, Topic};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(60);

/// An engine whose log, before it erases, says so and waits until it may.
fn engine() -> (Engine, Receiver<()>, Sender<()>) {
    let (came, has_come) = channel();
    let (open, opened) = channel();
    let opened = Mutex::new(opened);
    let log = HookedLog::new(move |call| {
        if call == Call::Erase {
            let _ = came.send(());
            let _ = opened.lock().unwrap().recv();
        }
    });
    (Engine::start(Arc::new(log), EngineConfig::default()).unwrap(), has_come, open)
}

/// The runtime that all threads of a server share.
fn shared_runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Begins `requests` on a thread with a runtime of its own, and ends both.
fn on_a_thread_that_ends(shared: Option<&Runtime>, requests: impl FnOnce() + Send + 'static) {
    let shared = shared.map(|shared| shared.handle().clone());
    let thread = thread::spawn(move || {
        if let Some(shared) = shared {
            outlived_by(shared);
        }
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { requests() });
    });
    thread.join().unwrap();
}

fn poll_once<T>(future: impl Future<Output = T>) {
    assert!(pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

fn topic() -> Topic {
    Topic::new("a").unwrap()
}

fn draft() -> Vec<Draft> {
    vec![Draft::new(topic(), "x")]
}

#[test]
fn an_erasure_is_carried_out_though_the_thread_of_its_request_ends() {
    let shared = shared_runtime();
    let (engine, has_come, open) = engine();
    shared.block_on(engine.publish(draft())).unwrap();
    let asked = engine.clone();
    on_a_thread_that_ends(Some(&shared), move || {
        asked.erase(topic(), EraseTarget::Topic).unwrap();
    });
    has_come.recv_timeout(PATIENCE).expect("it comes to the log");
    // The same request waits for it.
    let again = shared.block_on(async { engine.erase(topic(), EraseTarget::Topic).unwrap() });
    drop(open);
    assert_eq!(shared.block_on(again.wait(PATIENCE)).unwrap().unwrap(), 1);
    assert_eq!(engine.status().erased, 1);
    shared.block_on(engine.stop());
}

#[test]
fn an_erasure_that_was_cut_can_be_asked_for_again() {
    let shared = shared_runtime();
    let (engine, _, open) = engine();
    drop(open);
    shared.block_on(engine.publish(draft())).unwrap();
    let (asked, (erasure, was_asked)) = (engine.clone(), channel());
    on_a_thread_that_ends(None, move || {
        erasure.send(asked.erase(topic(), EraseTarget::Topic).unwrap()).unwrap();
    });
    let cut = shared.block_on(was_asked.recv().unwrap().wait(PATIENCE));
    assert!(cut.expect("it has an end").is_err());
    let again = shared.block_on(async { engine.erase(topic(), EraseTarget::Topic).unwrap() });
    assert_eq!(shared.block_on(again.wait(PATIENCE)).unwrap().unwrap(), 1);
    shared.block_on(engine.stop());
}

#[test]
fn a_last_will_is_left_though_the_thread_of_its_publisher_ends() {
    let shared = shared_runtime();
    let (engine, ..) = engine();
    let publisher = engine.clone();
    on_a_thread_that_ends(Some(&shared), move || {
        let (data, patience) = ("gone".into(), Duration::ZERO);
        let will = LastWill { topic: topic(), event_type: None, data, patience };
        // It may be there at once, as the shared runtime has threads of its own.
        let mut leaving = pin!(publisher.leave_will(will));
        let _ = leaving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    });
    let is_ended = async {
        let mut seen = engine.head();
        while !engine.topic(topic()).await.unwrap().is_some_and(|topic| topic.ended) {
            seen = engine.wait(seen).await;
        }
    };
    let is_ended = shared.block_on(async { tokio::time::timeout(PATIENCE, is_ended).await });
    is_ended.expect("its publisher is lost, and it is carried out");
    shared.block_on(engine.stop());
}

#[test]
fn what_others_wait_for_outlives_the_thread() {
    let shared = shared_runtime();
    let (done, is_done) = channel();
    let on_thread = {
        let (done, ends) = (done.clone(), shared.handle().clone());
        move || {
            assert_eq!(tokio::runtime::Handle::current().metrics().num_workers(), 1);
            assert_ne!(tokio::runtime::Handle::current().id(), ends.id());
            spawn_outliving(async move { done.send(tokio::runtime::Handle::current().id()) });
        }
    };
    on_a_thread_that_ends(Some(&shared), on_thread);
    assert_eq!(is_done.recv_timeout(PATIENCE).unwrap(), shared.handle().id());
    // Elsewhere it is the runtime that there is.
    shared.block_on(async {
        spawn_outliving(async move { done.send(tokio::runtime::Handle::current().id()) });
    });
    assert_eq!(is_done.recv_timeout(PATIENCE).unwrap(), shared.handle().id());
}

#[tokio::test]
async fn what_was_begun_is_finished_before_the_engine_stops() {
    let (engine, ..) = engine();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let (publisher, (done, is_done)) = (engine.clone(), oneshot::channel());
    let work = engine.run_to_end(async move {
        may_go_on.await.unwrap();
        done.send(publisher.publish(draft()).await).unwrap();
    });
    // Whoever asked for it does not wait.
    poll_once(work);
    let mut stop = pin!(engine.stop());
    poll_once(stop.as_mut());
    go_on.send(()).unwrap();
    is_done.await.unwrap().expect("it can still publish");
    stop.await;
    engine.publish(draft()).await.expect_err("it has stopped");
}

#[tokio::test]
async fn what_does_not_end_does_not_hold_up_the_engines_stop() {
    let (engine, ..) = engine();
    poll_once(engine.run_to_end(pending::<()>()));
    tokio::time::timeout(PATIENCE, engine.stop()).await.expect("it stops");
}

#[tokio::test]
async fn work_that_panics_has_ended() {
    let (engine, ..) = engine();
    let work: Option<()> = engine.run_to_end(async { panic!("of the work, on purpose") }).await;
    assert!(work.is_none());
    engine.stop().await;
}
