//! The engine over real sockets and real bodies.

#![allow(clippy::unwrap_used)]

mod subscribe_options;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http_body::Body;
use subscribe_options::subscribe_options;
use tidings_engine::{
    Engine, EngineConfig, OpenError, Rejection, SubscribeOptions, SubscriberBody, SubscriberHook,
    Verdict,
};
use tidings_hub::{
    CloseReason, Draft, Epoch, Interest, Kind, Matcher, MemoryStore, Notice, StandingState, Start,
    Topic,
};

fn config() -> EngineConfig {
    EngineConfig { subscribers_max: 1000, seed: 1, ..EngineConfig::default() }
}

fn engine(config: EngineConfig) -> Engine {
    let epoch = Epoch::parse("k7q2ma").unwrap();
    let store = MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600));
    Engine::start(Arc::new(store), config).unwrap()
}

fn interest(text: &str) -> Interest {
    Interest::new(vec![Matcher::parse(text).unwrap()], Vec::new())
}

fn draft(topic: &str, data: &str) -> Draft {
    Draft::new(Topic::new(topic).unwrap(), data)
}

fn greeting() -> SubscribeOptions {
    SubscribeOptions { preface: b": hi\n\n".to_vec(), ..subscribe_options() }
}

/// A connection whose server side was handed to the engine.
async fn socket_subscriber(engine: &Engine, topics: &str, start: Start) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (server, _) = listener.accept().unwrap();
    let pending = engine.open(interest(topics), start).await.unwrap();
    engine.attach_socket(pending, greeting(), b"HEAD\r\n\r\n".to_vec(), server);
    client
}

/// Reads the head and then chunks until `enough`, or the end of the body; returns what the chunks
/// held, with `[cut]` behind it if the body was cut.
fn read_chunks(client: &mut TcpStream, enough: impl Fn(&str) -> bool) -> String {
    let mut head = [0; 8];
    client.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HEAD\r\n\r\n");
    let mut body = String::new();
    while !enough(&body) {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            if client.read(&mut byte).unwrap() == 0 {
                assert!(line.is_empty(), "cut between two chunks");
                body.push_str("[cut]");
                return body;
            }
            line.push(byte[0]);
        }
        let size = std::str::from_utf8(&line[..line.len() - 2]).unwrap();
        let mut chunk = vec![0; usize::from_str_radix(size, 16).unwrap() + 2];
        client.read_exact(&mut chunk).unwrap();
        assert!(chunk.ends_with(b"\r\n"));
        if chunk.len() == 2 {
            break;
        }
        body.push_str(std::str::from_utf8(&chunk[..chunk.len() - 2]).unwrap());
    }
    body
}

async fn read_body(body: &mut SubscriberBody, enough: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    while !enough(&text) {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        let Some(frame) = frame else { break };
        let data = frame.unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    text
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it happens soon");
}

fn closes(engine: &Engine, reason: CloseReason) -> u64 {
    engine.status().closes.into_iter().find(|(r, _)| *r == reason).unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sinks_carry_the_same_bytes() {
    let engine = engine(config());
    engine.publish(vec![draft("a", "before")]).await.unwrap();
    let mut client = socket_subscriber(&engine, "a", Start::Earliest).await;
    let pending = engine.open(interest("a"), Start::Earliest).await.unwrap();
    let mut body = engine.attach_body(pending, greeting()).await;
    let large = "x\n".repeat(200_000);
    for data in ["one", "two\nlines", "", &large, "last"] {
        engine.publish(vec![draft("a", data), draft("b", "unwanted")]).await.unwrap();
    }
    let enough = |text: &str| text.ends_with("data: last\n\n");
    let by_body = read_body(&mut body, enough).await;
    let by_socket = tokio::task::spawn_blocking(move || read_chunks(&mut client, enough)).await;
    let by_socket = by_socket.unwrap();
    assert_eq!(by_socket.len(), by_body.len());
    assert!(by_socket == by_body, "the same bytes");
    assert!(by_socket.starts_with(": hi\n\nid: k7q2ma:1\ndata: before\n\nid: k7q2ma:2\ndata: one"));
    assert!(!by_socket.contains("unwanted"));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_loses_nothing_and_holds_nobody_up() {
    let engine = engine(config());
    let mut stalled = socket_subscriber(&engine, "a", Start::Live).await;
    let mut lively = socket_subscriber(&engine, "a", Start::Live).await;
    until(|| engine.status().subscribers == 2).await;
    let count = 20_000;
    let data = "x".repeat(500);
    for n in 0..count / 100 {
        let drafts = (0..100).map(|m| draft("a", &format!("{} {data}", n * 100 + m)));
        engine.publish(drafts.collect()).await.unwrap();
    }
    // 10 MB lie between the two: more than the ring, the kernel and the mailbox hold together.
    let last = format!("data: {} {data}\n\n", count - 1);
    let read = move |client: &mut TcpStream| read_chunks(client, |text| text.ends_with(&last));
    let expected: String = (0..count)
        .map(|n| format!("id: k7q2ma:{}\ndata: {n} {data}\n\n", n + 1))
        .collect::<String>();
    let (by_lively, by_stalled) = tokio::task::spawn_blocking(move || {
        let by_lively = read(&mut lively);
        (by_lively, read(&mut stalled))
    })
    .await
    .unwrap();
    assert!(by_lively.ends_with(&expected), "the lively one has everything");
    assert!(by_stalled.ends_with(&expected), "the stalled one has everything");
    engine.stop().await;
}

/// Takes its time to write down that the subscriber is there.
#[derive(Debug)]
struct SlowList(Arc<AtomicBool>);

impl SubscriberHook for SlowList {
    fn arrived(&mut self) -> Vec<Arc<Notice>> {
        std::thread::sleep(Duration::from_millis(100));
        self.0.store(true, Ordering::SeqCst);
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_there_once_its_subscriber_is_listed() {
    let engine = engine(config());
    let listed = Arc::new(AtomicBool::new(false));
    let hook: Box<dyn SubscriberHook> = Box::new(SlowList(Arc::clone(&listed)));
    let pending = engine.open(interest("a"), Start::Live).await.unwrap();
    let options = SubscribeOptions { hook: Some(hook), ..greeting() };
    let _body = engine.attach_body(pending, options).await;
    assert!(listed.load(Ordering::SeqCst));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bytes_of_a_body_are_there_before_its_head_can_be_sent() {
    let engine = engine(config());
    for _ in 0..200 {
        let pending = engine.open(interest("a"), Start::Live).await.unwrap();
        let mut body = engine.attach_body(pending, greeting()).await;
        let first = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx)));
        let Poll::Ready(Some(Ok(first))) = first.await else { panic!("nothing is there yet") };
        assert_eq!(first.into_data().unwrap(), ": hi\n\n");
    }
    // A stream that begins with nothing does not wait for it.
    let pending = engine.open(interest("a"), Start::Live).await.unwrap();
    let silent = engine.attach_body(pending, subscribe_options());
    tokio::time::timeout(Duration::from_secs(20), silent).await.expect("it is attached");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_noticed_and_forgotten() {
    let engine = engine(config());
    let gone = socket_subscriber(&engine, "a", Start::Live).await;
    let closed = socket_subscriber(&engine, "a", Start::Live).await;
    let mut chatty = socket_subscriber(&engine, "a", Start::Live).await;
    let pending = engine.open(interest("a"), Start::Live).await.unwrap();
    let body = engine.attach_body(pending, greeting()).await;
    until(|| engine.status().subscribers == 4).await;
    // Something must have come that can be left unread.
    let gone = tokio::task::spawn_blocking(move || gone.peek(&mut [0]).map(|_| gone));
    drop(gone.await.unwrap().unwrap());
    // It has read everything, so its close is an orderly one: only its next heartbeat tells it from
    // one that closed its own side alone.
    let closed = tokio::task::spawn_blocking(move || {
        let mut closed = closed;
        read_chunks(&mut closed, |text| text.ends_with("\n\n"));
    });
    closed.await.unwrap();
    drop(body);
    until(|| engine.status().subscribers == 1).await;
    // Closing a socket with bytes unread is a reset.
    assert_eq!(closes(&engine, CloseReason::PeerClosed), 2);
    assert_eq!(closes(&engine, CloseReason::PeerReset), 1);
    // A client may pipeline a little; one that talks on and on is cut off.
    while chatty.write(&[b'x'; 4096]).is_ok() && engine.status().subscribers == 1 {}
    until(|| engine.status().subscribers == 0).await;
    assert_eq!(closes(&engine, CloseReason::PeerReset), 2);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_ended_its_side_still_listens_until_it_closes() {
    let engine = engine(config());
    let mut client = socket_subscriber(&engine, "a", Start::Live).await;
    until(|| engine.status().subscribers == 1).await;
    client.shutdown(Shutdown::Write).unwrap();
    // The heartbeat that asks whether it is there.
    let (text, mut client) = tokio::task::spawn_blocking(move || {
        (read_chunks(&mut client, |text| text.contains("id: ")), client)
    })
    .await
    .unwrap();
    assert!(!text.contains("data"), "{text}");
    for number in 0..3 {
        engine.publish(vec![draft("a", &format!("event {number}"))]).await.unwrap();
    }
    let client = tokio::task::spawn_blocking(move || {
        read_until(&mut client, b"data: event 2");
        client
    });
    drop(client.await.unwrap());
    // What it does not read any more, it resets.
    engine.publish(vec![draft("a", "nobody is there")]).await.unwrap();
    until(|| engine.status().subscribers == 0).await;
    assert_eq!(closes(&engine, CloseReason::PeerClosed), 1);
    engine.stop().await;
}

/// Reads on until `wanted` has come.
fn read_until(client: &mut TcpStream, wanted: &[u8]) {
    let mut seen = Vec::new();
    while !seen.windows(wanted.len()).any(|window| window == wanted) {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_topic_ends_its_streams_and_turns_others_away() {
    let engine = engine(config());
    let mut client = socket_subscriber(&engine, "job", Start::Live).await;
    let mut wide = socket_subscriber(&engine, "**", Start::Live).await;
    until(|| engine.status().subscribers == 2).await;
    engine.publish(vec![draft("job", "half")]).await.unwrap();
    let mut end = draft("job", "done");
    end.kind = Kind::End;
    let ended = engine.publish(vec![end]).await.unwrap().remove(0);
    let text = tokio::task::spawn_blocking(move || read_chunks(&mut client, |_| false)).await;
    assert!(text.unwrap().ends_with("data: half\n\nid: k7q2ma:2\nretry: 86400000\ndata: done\n\n"));
    assert_eq!(closes(&engine, CloseReason::TopicEnded), 1);

    let open = |start| engine.open(interest("job"), start);
    assert!(matches!(open(Start::Live).await, Err(OpenError::Ended)));
    let after = |id: &str| Start::After(id.to_owned());
    assert!(matches!(open(after(ended.id.as_str())).await, Err(OpenError::Ended)));
    // Who has not seen the end yet gets what it missed, and then the end.
    let mut late = socket_subscriber(&engine, "job", after("k7q2ma:1")).await;
    let text = tokio::task::spawn_blocking(move || read_chunks(&mut late, |_| false)).await;
    assert_eq!(text.unwrap(), ": hi\n\nid: k7q2ma:2\nretry: 86400000\ndata: done\n\n");
    // Who wants more than the topic stays, and the topic can begin again.
    engine.publish(vec![draft("job", "again")]).await.unwrap();
    assert!(open(Start::Live).await.is_ok());
    let enough = |text: &str| text.ends_with("data: again\n\n");
    tokio::task::spawn_blocking(move || read_chunks(&mut wide, enough)).await.unwrap();
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_or_leaving_engine_refuses_and_a_drain_says_goodbye() {
    let engine = engine(EngineConfig { subscribers_max: 2, ..config() });
    let mut one = socket_subscriber(&engine, "a", Start::Live).await;
    let held = engine.open(interest("a"), Start::Live).await.unwrap();
    let third = engine.open(interest("a"), Start::Live).await;
    assert!(matches!(third, Err(OpenError::Rejected(Rejection::AtCapacity))));
    drop(held);
    assert!(engine.open(interest("a"), Start::Live).await.is_ok(), "a place was given back");
    engine.drain(Duration::from_millis(50)).await;
    assert_eq!(engine.status().subscribers, 0);
    let late = engine.open(interest("a"), Start::Live).await;
    assert!(matches!(late, Err(OpenError::Rejected(Rejection::Draining))));
    let text = tokio::task::spawn_blocking(move || read_chunks(&mut one, |_| false)).await;
    let text = text.unwrap();
    assert!(text.contains("event: tidings.open\nretry: "), "{text:?}");
    assert!(text.ends_with("\n\n[cut]"), "{text:?}");
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_broken_by_ids_that_move_with_the_log() {
    let engine = engine(EngineConfig { heartbeat: Duration::from_millis(300), ..config() });
    let mut quiet = socket_subscriber(&engine, "quiet", Start::Live).await;
    until(|| engine.status().subscribers == 1).await;
    engine.publish(vec![draft("loud", "1"), draft("loud", "2")]).await.unwrap();
    let beat = |text: &str| text.ends_with("id: k7q2ma:2\n\n");
    let text = tokio::task::spawn_blocking(move || read_chunks(&mut quiet, beat)).await;
    assert!(!text.unwrap().contains("data"));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_who_is_there_how_far_they_are_and_why_they_went() {
    let engine = engine(config());
    engine.publish(vec![draft("a", "before")]).await.unwrap();
    let mut live = socket_subscriber(&engine, "a", Start::Live).await;
    let pending = engine.open(interest("*"), Start::Earliest).await.unwrap();
    let (id, unknown) = (pending.connection, "0-ffff".parse().unwrap());
    let mut body = engine.attach_body(pending, greeting()).await;
    until(|| engine.status().subscribers == 2).await;
    engine.publish(vec![draft("a", "one"), draft("b/c", "unwanted")]).await.unwrap();
    read_body(&mut body, |text| text.ends_with("data: one\n\n")).await;
    let reading = tokio::task::spawn_blocking(move || {
        read_chunks(&mut live, |text| text.ends_with("data: one\n\n"));
        live
    });
    let _live = reading.await.unwrap();
    until(|| engine.status().deliveries == 3).await;
    // By now nobody reads history any more.
    engine.publish(vec![draft("x", "two")]).await.unwrap();
    read_body(&mut body, |text| text.ends_with("data: two\n\n")).await;
    until(|| engine.status().deliveries == 4).await;
    let topics = ["a", "x", "b/c"].map(|topic| Topic::new(topic).unwrap());
    assert_eq!(engine.subscribers_of(&topics).await, [2, 1, 0]);
    assert_eq!(engine.backlog().await.groups, 2);
    let latencies = engine.latencies();
    assert_eq!(latencies.publishes.cumulative.last().unwrap().1, 3);
    assert_eq!(latencies.commits.cumulative.last().unwrap().1, 3);
    until(|| engine.latencies().deliveries.cumulative.last().unwrap().1 >= 1).await;

    let there = engine.connection(id).await.unwrap();
    assert_eq!((there.id, there.direct, there.closed), (id, false, None));
    assert_eq!((there.started.get(), there.standing.position.get()), (0, 4));
    let record = |id: &str| engine.record(id.to_owned());
    let verdict = |record| there.verdict(record);
    let (one, two) = (record("k7q2ma:2").await.unwrap(), record("k7q2ma:3").await.unwrap());
    assert_eq!(one.as_deref().map(verdict), Some(Verdict::Written));
    assert_eq!(two.as_deref().map(verdict), Some(Verdict::NotWanted));
    assert!(record("k7q2ma:5").await.unwrap().is_none());
    assert!(engine.connection(unknown).await.is_none());

    drop(body);
    until(|| closes(&engine, CloseReason::PeerClosed) == 1).await;
    let gone = engine.connection(id).await.unwrap();
    assert!(gone.closed.is_some());
    assert_eq!(gone.standing.state, StandingState::Closed(CloseReason::PeerClosed));
    engine.stop().await;
}
