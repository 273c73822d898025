//! Topics that are runs: what begins and ends one, and what its publishers and subscribers see.

#![allow(clippy::unwrap_used)]

mod subscribe_options;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use subscribe_options::subscribe_options;
use tidings_engine::{
    Engine, EngineConfig, OpenError, PublishError, PublishStream, Run, SubscriberBody,
};
use tidings_hub::{Draft, Epoch, Interest, Kind, Matcher, MemoryStore, Start, Topic};

fn engine() -> Engine {
    let epoch = Epoch::parse("k7q2ma").unwrap();
    let store = MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600));
    Engine::start(Arc::new(store), EngineConfig::default()).unwrap()
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn draft(name: &str, data: &str) -> Draft {
    Draft::new(topic(name), data)
}

fn end(name: &str, kind: Kind) -> Draft {
    Draft { kind, ..draft(name, "the end") }
}

fn about(name: &str) -> Run {
    Run { topic: Some(topic(name)), begins: false }
}

/// A stream of events that must begin their topics, and is about none.
fn first(engine: &Engine) -> PublishStream {
    engine.publish_stream(Run { topic: None, begins: true })
}

fn interest(name: &str) -> Interest {
    Interest::new(vec![Matcher::Exact(topic(name))], Vec::new())
}

async fn subscribe(engine: &Engine, name: &str, start: Start) -> SubscriberBody {
    let pending = engine.open(interest(name), start).await.unwrap();
    engine.attach_body(pending, subscribe_options()).await
}

/// Everything that comes until the stream ends.
async fn read_all(mut body: SubscriberBody) -> String {
    let mut text = String::new();
    let all = async {
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            let data = frame.unwrap().into_data().unwrap();
            text.push_str(std::str::from_utf8(&data).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("the stream ends");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_end_closes_streams_and_is_no_event_to_anybody() {
    let engine = engine();
    engine.publish(vec![draft("run", "one")]).await.unwrap();
    let live = subscribe(&engine, "run", Start::Live).await;
    engine.publish(vec![draft("run", "two")]).await.unwrap();
    engine.publish(vec![end("run", Kind::SilentEnd)]).await.unwrap();
    assert_eq!(read_all(live).await, "id: k7q2ma:2\ndata: two\n\n");

    // A reader that comes later gets what is missing; one that has it all is turned away.
    let late = subscribe(&engine, "run", Start::After("k7q2ma:1".into())).await;
    assert_eq!(read_all(late).await, "id: k7q2ma:2\ndata: two\n\n");
    let last = subscribe(&engine, "run", Start::Last(1)).await;
    assert_eq!(read_all(last).await, "id: k7q2ma:2\ndata: two\n\n", "the end counts for nothing");
    for start in [Start::After("k7q2ma:2".into()), Start::Live] {
        let again = engine.open(interest("run"), start).await;
        assert!(matches!(again, Err(OpenError::Ended)));
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_event_is_delivered_and_ends_its_topic() {
    let engine = engine();
    let live = subscribe(&engine, "run", Start::Live).await;
    engine.publish(vec![draft("run", "one"), end("run", Kind::LastEvent)]).await.unwrap();
    assert_eq!(read_all(live).await, "id: k7q2ma:1\ndata: one\n\nid: k7q2ma:2\ndata: the end\n\n");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_many_publishers_begins_a_topic_and_none_once_it_has_ended() {
    let engine = engine();
    let attempts = (0..50).map(|n| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let draft = draft("run", &n.to_string());
            if n % 2 == 0 {
                return first(&engine).publish_whole(vec![draft]).await;
            }
            let stream = engine.publish_stream(Run { begins: true, ..about("run") });
            stream.publish(vec![draft]).await.map_err(|failed| failed.error)
        })
    });
    let mut begun = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(_) => begun += 1,
            Err(PublishError::TopicExists { topic }) => assert_eq!(topic.as_str(), "run"),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(begun, 1);
    assert_eq!(engine.head().get(), 1, "nothing of the others is stored");

    engine.publish(vec![end("ended", Kind::SilentEnd)]).await.unwrap();
    let late = first(&engine).publish_whole(vec![draft("ended", "x")]).await;
    assert!(matches!(late, Err(PublishError::TopicExists { .. })));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_begins_a_topic_goes_on_after_its_first_part() {
    let engine = engine();
    let stream = engine.publish_stream(Run { begins: true, ..about("run") });
    for data in ["one", "two"] {
        stream.clone().publish(vec![draft("run", data)]).await.unwrap();
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_topic_stops_its_other_publishers_at_once() {
    let engine = engine();
    let run = engine.publish_stream(about("run"));
    let beside = engine.publish_stream(about("beside"));
    run.clone().publish(vec![draft("run", "one")]).await.unwrap();
    assert!(engine.has_publisher(&topic("run")));
    engine.publish(vec![end("run", Kind::LastEvent)]).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), run.topic_ended()).await;
    told.expect("the publisher is stopped");
    assert!(!engine.has_publisher(&topic("run")), "although it is held yet");
    let more = run.clone().publish(vec![draft("run", "more")]).await.unwrap_err();
    assert!(matches!(more.error, PublishError::TopicEnded { .. }));
    assert_eq!(engine.head().get(), 2, "nothing is stored behind the end");
    // Others go on, and so does a new run.
    beside.publish(vec![draft("beside", "x")]).await.unwrap();
    drop(run);
    assert!(!engine.has_publisher(&topic("run")));
    let next = engine.publish_stream(about("run"));
    next.publish(vec![draft("run", "again")]).await.unwrap();
    engine.stop().await;
}

/// A hub answers a request for a topic that is open only by this.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_topic_has_ended_is_no_publisher_of_it_once_that_is_answered() {
    let engine = engine();
    let run = engine.publish_stream(about("run"));
    run.clone().publish(vec![end("run", Kind::LastEvent)]).await.unwrap();
    assert!(!engine.has_publisher(&topic("run")), "although its stream is held yet");
    let next = engine.publish_stream(about("run"));
    assert!(engine.has_publisher(&topic("run")), "the next run");
    drop((run, next));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_its_topic_itself_is_not_stopped() {
    let engine = engine();
    let run = engine.publish_stream(about("run"));
    let mut parts = Vec::new();
    // All in the committer's queue at once.
    for part in [draft("run", "one"), end("run", Kind::SilentEnd), draft("run", "again")] {
        parts.push(run.clone().publish(vec![part]));
    }
    for part in parts {
        part.await.unwrap();
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_publisher_has_in_the_queue_behind_the_end_is_not_stored() {
    for _ in 0..50 {
        let engine = engine();
        let run = engine.publish_stream(about("run"));
        let ending = engine.publish(vec![end("run", Kind::LastEvent)]);
        let more = run.publish(vec![draft("run", "more")]);
        let (ended, more) = tokio::join!(ending, more);
        let ended = ended.unwrap()[0].position;
        match more {
            Ok(stored) => assert!(stored[0].position < ended),
            Err(failed) => assert!(matches!(failed.error, PublishError::TopicEnded { .. })),
        }
        engine.stop().await;
    }
}
