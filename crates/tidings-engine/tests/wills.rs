//! Last wills: their bound, and what becomes of those that find no room.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use tidings_engine::limits::WILLS_MAX;
use tidings_engine::{Engine, EngineConfig, LastWill, PublishError};
use tidings_hub::{Draft, Epoch, MemoryStore, Topic};

fn engine(topics_max: usize) -> Engine {
    let epoch = Epoch::parse("k7q2ma").unwrap();
    let store = MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600));
    Engine::start(Arc::new(store), EngineConfig { topics_max, ..EngineConfig::default() }).unwrap()
}

fn will(topic: &str, patience: Duration) -> LastWill {
    LastWill { topic: Topic::new(topic).unwrap(), event_type: None, data: "gone".into(), patience }
}

async fn is_ended(engine: &Engine, topic: &str) -> bool {
    let state = engine.topic(Topic::new(topic).unwrap()).await.unwrap();
    state.is_some_and(|state| state.ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_will_too_many_is_rejected_until_another_is_done() {
    let engine = engine(10);
    let hour = Duration::from_secs(3600);
    let mut wills = Vec::new();
    for _ in 0..WILLS_MAX {
        wills.push(engine.leave_will(will("run", hour)).await.unwrap());
    }
    let one_more = engine.leave_will(will("run", hour)).await;
    assert!(matches!(one_more, Err(PublishError::TooManyWills { wills_max: WILLS_MAX })));
    let done = wills.pop().unwrap();
    engine.publish(vec![done.crossed_out()]).await.unwrap();
    done.done();
    engine.leave_will(will("run", hour)).await.unwrap();
    assert_eq!(engine.status().topics, 0, "notes are on no topic that counts");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_will_without_room_for_its_topic_does_not_keep_others_waiting() {
    let engine = engine(1);
    engine.publish(vec![Draft::new(Topic::new("run").unwrap(), "one")]).await.unwrap();
    let soon = Duration::from_millis(20);
    // The first cannot be carried out, as there may be no further topic.
    let new = engine.leave_will(will("new", soon)).await.unwrap();
    let run = engine.leave_will(will("run", soon)).await.unwrap();
    drop((new, run));
    let ended = async {
        while !is_ended(&engine, "run").await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("its topic ends");
    assert!(engine.topic(Topic::new("new").unwrap()).await.unwrap().is_none());
    engine.stop().await;
}
