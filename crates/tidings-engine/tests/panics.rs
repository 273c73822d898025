//! A thread that panics: the embedder learns of it, and nobody waits for the thread.

#![allow(clippy::unwrap_used)]

mod hooked_log;

mod subscribe_options;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hooked_log::{Call, HookedLog};
use http_body::Body;
use subscribe_options::subscribe_options;
use tidings_engine::{
    Engine, EngineConfig, OpenError, PublishError, Rejection, SubscribeOptions, SubscriberBody,
    SubscriberHook,
};
use tidings_hub::{Draft, Interest, Log, Matcher, Notice, Start, Timestamp, Topic};
use tokio::time::timeout;

/// An engine whose log panics when it is asked for `fault`.
fn engine(fault: Option<Call>) -> Engine {
    start(HookedLog::new(move |call| assert_ne!(Some(call), fault)))
}

fn start(log: impl Log) -> Engine {
    let config = EngineConfig { shards: 1, ..EngineConfig::default() };
    Engine::start(Arc::new(log), config).unwrap()
}

fn draft() -> Draft {
    Draft::new(Topic::new("a").unwrap(), "x")
}

async fn subscribe(
    engine: &Engine,
    start: Start,
    hook: Option<Box<dyn SubscriberHook>>,
) -> SubscriberBody {
    let interest = Interest::new(vec![Matcher::All], Vec::new());
    let pending = engine.open(interest, start).await.unwrap();
    let options = SubscribeOptions { hook, ..subscribe_options() };
    engine.attach_body(pending, options).await
}

/// Reads until the body ends, well or not.
async fn end(mut body: SubscriberBody) {
    while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
}

/// Everything is turned away or answered, and the engine can be stopped.
async fn nobody_waits(engine: &Engine) {
    let published = engine.publish(vec![draft()]).await;
    assert!(matches!(published, Err(PublishError::Stopping)), "{published:?}");
    let opened = engine.open(Interest::new(vec![Matcher::All], Vec::new()), Start::Live).await;
    assert!(matches!(opened, Err(OpenError::Rejected(Rejection::Draining))), "{opened:?}");
    assert!(engine.failures().await.contains(&"thread_ended"));
    engine.stop().await;
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_does_not_wait_for_a_committer_that_panicked() {
    timeout(PATIENCE, async {
        let engine = engine(Some(Call::Append));
        let (first, second) =
            tokio::join!(engine.publish(vec![draft()]), engine.publish(vec![draft()]));
        assert!(first.is_err() && second.is_err());
        assert_eq!(&*engine.thread_panicked().await, "committer");
        nobody_waits(&engine).await;
    })
    .await
    .expect("nothing waits without end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_out_that_panicked_is_told_of() {
    timeout(PATIENCE, async {
        let engine = engine(Some(Call::ReadTail));
        let _body = subscribe(&engine, Start::Live, None).await;
        engine.publish(vec![draft()]).await.unwrap();
        // Whichever of the two took the step; the publisher has its answer.
        let name = engine.thread_panicked().await;
        assert!(["fanout", "committer"].contains(&&*name), "{name}");
        nobody_waits(&engine).await;
    })
    .await
    .expect("nothing waits without end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_does_not_wait_for_history_from_a_thread_that_panicked() {
    timeout(PATIENCE, async {
        // Others read history, too, when they start.
        let log = HookedLog::new(|call| {
            let is_replay = thread::current().name().unwrap().starts_with("tidings-replay");
            assert!(call != Call::ReadHistory || !is_replay);
        });
        // From before the engine was started, so that no worker has it in memory.
        log.append(vec![draft()], Timestamp::default()).unwrap();
        let engine = start(log);
        let first = subscribe(&engine, Start::Earliest, None).await;
        let name = engine.thread_panicked().await;
        assert!(name.starts_with("replay-"), "{name}");
        nobody_waits(&engine).await;
        end(first).await;
    })
    .await
    .expect("nothing waits without end");
}

/// Panics on the worker.
#[derive(Debug)]
struct Trap;

impl SubscriberHook for Trap {
    fn arrived(&mut self) -> Vec<Arc<Notice>> {
        panic!("the trap")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_of_a_worker_that_panicked_are_cut_off_and_none_waits_to_be_attached() {
    timeout(PATIENCE, async {
        let engine = engine(None);
        let subscribed = subscribe(&engine, Start::Live, None).await;
        let interest = Interest::new(vec![Matcher::All], Vec::new());
        let late = engine.open(interest, Start::Live).await.unwrap();
        let trapped = subscribe(&engine, Start::Live, Some(Box::new(Trap))).await;
        assert_eq!(&*engine.thread_panicked().await, "worker-0");
        end(subscribed).await;
        end(trapped).await;
        end(engine.attach_body(late, subscribe_options()).await).await;
        assert_eq!(engine.status().subscribers, 0, "every place is free again");
        nobody_waits(&engine).await;
    })
    .await
    .expect("nothing waits without end");
}
