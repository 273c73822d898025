//! A thread that panics: the embedder learns of it, and nobody waits for the thread.

#![allow(clippy::unwrap_used)]

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use tidings_engine::{
    Attachment, Engine, EngineConfig, OpenError, PublishError, Rejection, SubscriberBody,
    SubscriberHook,
};
use tidings_hub::{
    AppendError, Appended, Bounds, Catalog, ControlStyle, Draft, Epoch, Health, Interest, Log,
    LogIdentity, Matcher, MemoryStore, Notice, Page, Position, ReadError, ReadQuery, Start,
    Timestamp, Topic,
};
use tokio::time::timeout;

/// What a [`FaultyLog`] cannot do without a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Append,
    ReadTail,
    ReadHistory,
    Nothing,
}

struct FaultyLog {
    inner: MemoryStore,
    fault: Fault,
}

impl Log for FaultyLog {
    fn append(&self, drafts: Vec<Draft>, now: Timestamp) -> Result<Vec<Appended>, AppendError> {
        assert_ne!(self.fault, Fault::Append);
        self.inner.append(drafts, now)
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        let is_history = query.interest.is_some();
        assert_ne!(self.fault, if is_history { Fault::ReadHistory } else { Fault::ReadTail });
        self.inner.read(query)
    }

    fn identity(&self) -> &LogIdentity {
        self.inner.identity()
    }

    fn bounds(&self) -> Bounds {
        self.inner.bounds()
    }

    fn wait(&self, after: Position, timeout: Duration) -> Position {
        self.inner.wait(after, timeout)
    }

    fn retain(&self, now: Timestamp) -> Result<(), AppendError> {
        self.inner.retain(now)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn catalog(&self) -> &dyn Catalog {
        self.inner.catalog()
    }
}

fn engine(fault: Fault) -> Engine {
    let epoch = Epoch::parse("k7q2ma").unwrap();
    let inner = MemoryStore::new(epoch, usize::MAX, Duration::MAX);
    let config = EngineConfig { shards: 1, ..EngineConfig::default() };
    Engine::start(Arc::new(FaultyLog { inner, fault }), config).unwrap()
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
    let opening = engine.open(interest, start).await.unwrap();
    let attachment = Attachment {
        control_style: ControlStyle::Native,
        preface: Vec::new(),
        expires: None,
        audience: None,
        hook,
    };
    engine.attach_body(opening, attachment).await
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
        let engine = engine(Fault::Append);
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
        let engine = engine(Fault::ReadTail);
        let _body = subscribe(&engine, Start::Live, None).await;
        engine.publish(vec![draft()]).await.unwrap();
        assert_eq!(&*engine.thread_panicked().await, "fanout");
        nobody_waits(&engine).await;
    })
    .await
    .expect("nothing waits without end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_does_not_wait_for_history_from_a_thread_that_panicked() {
    timeout(PATIENCE, async {
        let engine = engine(Fault::ReadHistory);
        engine.publish(vec![draft()]).await.unwrap();
        // The fan-out has passed it, so it is history.
        engine.wait(Position::ZERO).await;
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
async fn subscribers_of_a_worker_that_panicked_are_cut_off_and_none_waits_for_a_seat() {
    timeout(PATIENCE, async {
        let engine = engine(Fault::Nothing);
        let seated = subscribe(&engine, Start::Live, None).await;
        let interest = Interest::new(vec![Matcher::All], Vec::new());
        let late = engine.open(interest, Start::Live).await.unwrap();
        let trapped = subscribe(&engine, Start::Live, Some(Box::new(Trap))).await;
        assert_eq!(&*engine.thread_panicked().await, "worker-0");
        end(seated).await;
        end(trapped).await;
        let attachment = Attachment {
            control_style: ControlStyle::Native,
            preface: Vec::new(),
            expires: None,
            audience: None,
            hook: None,
        };
        end(engine.attach_body(late, attachment).await).await;
        assert_eq!(engine.status().subscribers, 0, "every place is free again");
        nobody_waits(&engine).await;
    })
    .await
    .expect("nothing waits without end");
}
