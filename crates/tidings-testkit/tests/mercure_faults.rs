//! Faults that Mercure hubs have had, each as a scenario in which this hub must not have it.

use crate::mercure;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::mercure::{HUB, Tokens, bearer, event, id_of, post};
use tidings_hub::{
    AppendError, Appended, Attach, Checksum, Coding, ControlStyle, CustomMatcher, Draft, Epoch,
    EventForm, Frame, FrameBatch, Framing, Interest, Log, Matcher, MemoryStore, Position, Record,
    Shard, ShardConfig, StreamForm, Timestamp, Topic, TopicTest,
};
use tidings_store_disk::{DiskConfig, DiskStore, Durability};
use tidings_testkit::http::{Connection, request};
use tidings_testkit::layers::{Layered, LogLayer};
use tidings_testkit::server::TestServer;

fn with(store: Arc<dyn Log>) -> TestServer {
    TestServer::builder().config(mercure::configure).store(store).start()
}

fn subscribe(server: &TestServer, query: &str) -> Connection {
    let token = bearer(&Tokens::everything().zero);
    server.subscribe(&format!("{HUB}?{query}"), &[("authorization", &token)])
}

/// Publishes `count` events without HTTP, which is not tested here.
fn publish_many(server: &TestServer, topic: &str, count: usize) {
    let topic = Topic::new(topic).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for batch in 0..count.div_ceil(1000) {
        let size = (count - batch * 1000).min(1000);
        let drafts = (0..size).map(|n| Draft::new(topic.clone(), (batch * 1000 + n).to_string()));
        runtime.block_on(server.engine().publish(drafts.collect())).unwrap();
    }
}

/// A folder that is removed with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mercure-faults-{}-{number}", std::process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn open(&self) -> Arc<dyn Log> {
        let config = DiskConfig { durability: Durability::Os, ..DiskConfig::new(&self.0) };
        Arc::new(DiskStore::open(config).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Fault 1: after a restart nothing was replayed until the next publish.
#[test]
fn a_stream_resumes_across_a_restart_before_anything_new_is_published() {
    let folder = Folder::new();
    let ids = {
        let server = with(folder.open());
        let ids: Vec<_> =
            (1..=3).map(|n| id_of(&post(&server, &format!("topic=a&data={n}")))).collect();
        server.stop();
        ids
    };
    let server = with(folder.open());
    let token = bearer(&Tokens::everything().zero);
    let mut connection = server.connect();
    let headers = [("authorization", token.as_str()), ("last-event-id", ids[0].as_str())];
    connection.send(request("GET", &format!("{HUB}?topic=a"), &headers, b""));
    assert_eq!(connection.head().header("last-event-id"), Some(ids[0].as_str()));
    assert_eq!(event(&mut connection), format!("id: {}\ndata: 2\n\n", ids[1]));
    assert_eq!(event(&mut connection), format!("id: {}\ndata: 3\n\n", ids[2]));
}

/// Fault 2: an id was looked for only among the oldest 10,000, and at most 1,000 events were
/// replayed.
#[test]
fn an_old_id_is_found_and_a_long_replay_is_complete() {
    let server = TestServer::builder().config(mercure::configure).start();
    publish_many(&server, "a", 12_000);
    let id = id_of(&post(&server, "topic=a&data=mine&id=urn:mine"));
    publish_many(&server, "a", 3_000);
    let mut stream = subscribe(&server, &format!("topic=a&lastEventID={id}"));
    for n in 0..3_000 {
        assert!(event(&mut stream).ends_with(&format!("data: {n}\n\n")));
    }
    let mut all = subscribe(&server, "topic=a&lastEventID=earliest");
    for n in 0..12_000 {
        assert!(event(&mut all).ends_with(&format!("data: {n}\n\n")));
    }
    assert!(event(&mut all).contains("data: mine"));
}

/// Fault 3: the size of the history was not enforced.
#[test]
fn history_is_kept_within_its_size() {
    const BYTES: usize = 1 << 20;
    let epoch = Epoch::from_random(7);
    let server = with(Arc::new(MemoryStore::new(epoch, BYTES, Duration::from_secs(3600))));
    publish_many(&server, "a", 20_000);
    let status = server.engine().status();
    assert!(status.store.bytes <= BYTES as u64, "{}", status.store.bytes);
    assert!(status.bounds.first > Position::new(1));
}

/// Fault 4: an unknown id was answered with nothing at all.
#[test]
fn an_unknown_id_is_reported_and_everything_is_sent() {
    let server = TestServer::builder().config(mercure::configure).start();
    post(&server, "topic=a&data=1");
    let token = bearer(&Tokens::everything().zero);
    for id in ["unknown", "urn:uuid:00000000-0000-0000-0000-000000000000", "zzzzzz:1", "k7q2ma:99"]
    {
        let mut connection = server.connect();
        let headers = [("authorization", token.as_str()), ("last-event-id", id)];
        connection.send(request("GET", &format!("{HUB}?topic=a"), &headers, b""));
        assert_eq!(connection.head().header("last-event-id"), Some("earliest"), "{id}");
        assert!(event(&mut connection).ends_with("data: 1\n\n"), "{id}");
    }
}

/// Two updates with one id are two events, and a client that saw the first may now request fewer
/// topics.
#[test]
fn an_id_of_several_topics_resumes_after_the_oldest_update_with_it_whatever_is_requested() {
    let server = TestServer::builder().config(mercure::configure).start();
    for (topic, id) in [("a", "five"), ("b", "b1"), ("b", "five"), ("c", "end")] {
        post(&server, &format!("topic={topic}&id={id}&data={id}"));
    }
    let token = bearer(&Tokens::everything().zero);
    for (query, rest) in [
        ("topic=a&topic=b", &["b1", "five"][..]),
        ("topic=b", &["b1", "five"]),
        ("topic=c", &["end"]),
        ("topic=*", &["b1", "five", "end"]),
    ] {
        let mut connection = server.connect();
        let headers = [("authorization", token.as_str()), ("last-event-id", "five")];
        connection.send(request("GET", &format!("{HUB}?{query}"), &headers, b""));
        assert_eq!(connection.head().header("last-event-id"), Some("five"), "{query}");
        for data in rest {
            assert!(event(&mut connection).ends_with(&format!("data: {data}\n\n")), "{query}");
        }
    }
}

/// Fault 5: slow readers were dropped.
#[test]
fn a_slow_reader_loses_nothing() {
    let server = TestServer::builder().config(mercure::configure).start();
    let mut slow = subscribe(&server, "topic=a");
    publish_many(&server, "a", 30_000);
    for n in 0..30_000 {
        assert!(event(&mut slow).ends_with(&format!("data: {n}\n\n")));
    }
}

/// Fault 5: closed subscribers were still counted.
#[test]
fn a_closed_subscriber_is_counted_by_its_reason() {
    let server = TestServer::builder().config(mercure::configure).start();
    let gone = subscribe(&server, "topic=a");
    assert_eq!(server.engine().status().subscribers, 1);
    drop(gone);
    let mut witness = subscribe(&server, "topic=a");
    // Closed connections are noticed without events; these only pass the time.
    while server.engine().status().subscribers > 1 {
        post(&server, "topic=a&data=x");
        event(&mut witness);
    }
    let closes = server.engine().status().closes;
    let by_peer: u64 =
        closes.iter().filter(|(reason, _)| reason.is_peer()).map(|(_, count)| count).sum();
    assert_eq!(by_peer, 1, "{closes:?}");
}

/// Fault 6: subscribing waited for publishing, and delivery too.
#[test]
fn subscribers_are_accepted_and_served_while_a_publish_waits_for_the_disk() {
    let slow = Arc::new(SlowDisk::new());
    let server = with(Arc::new(Layered(OnSlowDisk(Arc::clone(&slow)))) as Arc<dyn Log>);
    let id = id_of(&post(&server, "topic=a&data=1"));
    slow.hold();
    let mut publisher = server.connect();
    let token = bearer(&Tokens::everything().zero);
    let headers = [("authorization", token.as_str()), mercure::FORM];
    publisher.send(request("POST", HUB, &headers, b"topic=a&data=2"));
    slow.wait_until_asked();
    let mut stream = subscribe(&server, "topic=a&lastEventID=earliest");
    assert_eq!(event(&mut stream), format!("id: {id}\ndata: 1\n\n"));
    slow.release();
    assert_eq!(publisher.response().status(), 200);
    assert!(event(&mut stream).ends_with("data: 2\n\n"));
}

/// Fault 7: the first publish on a topic looked at every subscriber and all its selectors.
#[test]
fn a_publish_tests_few_of_many_topics_and_templates() {
    let asked = Arc::new(AtomicU64::new(0));
    let mut shard = shard();
    for number in 0..10_000 {
        let prefix = format!("https://x.example/{number}/");
        let test = Counting { prefix: prefix.clone(), asked: Arc::clone(&asked) };
        let template = CustomMatcher::new(&format!("template {prefix}"), Arc::new(test)).unwrap();
        attach(&mut shard, Matcher::Custom(template));
        let topic = Topic::new(format!("https://x.example/{number}/1")).unwrap();
        attach(&mut shard, Matcher::Exact(topic));
    }
    assert!(shard.poll_write().is_none(), "nothing is to be said yet");
    hand_in(&mut shard, "https://x.example/7777/1", "x");
    let mut told = 0;
    while let Some(length) = shard.poll_write().map(|transmit| transmit.bytes.len()) {
        shard.handle_written(length);
        told += 1;
    }
    assert_eq!(told, 2, "one by its topic, one by its template");
    let asked = asked.load(Ordering::Relaxed);
    assert!((1..=4).contains(&asked), "{asked} of 10,000 templates were asked");
}

/// Fault 8: an event was encoded again for every subscriber.
#[test]
fn an_event_is_encoded_once_for_all_its_subscribers() {
    let mut shard = shard();
    for _ in 0..100 {
        attach(&mut shard, Matcher::Exact(Topic::new("a").unwrap()));
    }
    hand_in(&mut shard, "a", "x");
    let mut places = Vec::new();
    while let Some(transmit) = shard.poll_write() {
        places.push(transmit.bytes.as_ptr_range());
        let length = transmit.bytes.len();
        shard.handle_written(length);
    }
    assert_eq!(places.len(), 100);
    assert!(places.iter().all(|place| *place == places[0]), "all are given the same bytes");
}

/// Fault 9: presence cost an fsync per topic and connection, and pushed events out of the history.
#[test]
fn presence_costs_the_store_nothing() {
    let slow = Arc::new(SlowDisk::new());
    let server = with(Arc::new(Layered(OnSlowDisk(Arc::clone(&slow)))) as Arc<dyn Log>);
    let mut watcher = subscribe(&server, "topic=*");
    assert!(event(&mut watcher).contains("\"active\": true"), "its own");
    let before = server.engine().status();
    // From here on any write to disk would wait for ever.
    slow.hold();
    for _ in 0..20 {
        let here = subscribe(&server, "topic=a&topic=b");
        assert!(event(&mut watcher).contains("\"active\": true"));
        assert!(event(&mut watcher).contains("\"active\": true"));
        let token = bearer(&Tokens::everything().zero);
        let list = format!("{HUB}/subscriptions");
        let list = server.request("GET", &list, &[("authorization", &token)], "");
        assert_eq!(list.json()["subscriptions"].as_array().unwrap().len(), 3);
        drop(here);
        assert!(event(&mut watcher).contains("\"active\": false"));
        assert!(event(&mut watcher).contains("\"active\": false"));
    }
    assert!(!slow.was_asked());
    let after = server.engine().status();
    assert_eq!((after.bounds, after.store.bytes), (before.bounds, before.store.bytes));
    slow.release();
}

/// A topic test that counts its calls.
struct Counting {
    prefix: String,
    asked: Arc<AtomicU64>,
}

impl TopicTest for Counting {
    fn matches(&self, topic: &str) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed);
        topic.starts_with(&self.prefix)
    }

    fn literal_prefix(&self) -> &str {
        &self.prefix
    }
}

fn shard() -> Shard<()> {
    let config = ShardConfig {
        epoch: Epoch::from_random(7),
        head: Position::ZERO.into(),
        heartbeat_ms: 15_000,
        connection_age_max_ms: None,
        ring_bytes_max: 64 << 20,
        window_bytes_max: 0,
        seed: 7,
    };
    Shard::new(config, 0)
}

fn attach(shard: &mut Shard<()>, wanted: Matcher) {
    let attach = Attach {
        interest: Interest::new(vec![wanted], Vec::new()),
        form: StreamForm {
            framing: Framing::Chunked,
            control_style: ControlStyle::Comments,
            event_form: EventForm::AsPublished,
            coding: Coding::Identity,
        },
        audience: None,
        position: Position::ZERO,
        told: Position::ZERO,
        state: None,
        ended: Vec::new(),
        first: Vec::new(),
        began: Checksum::default(),
        expires_ms: None,
        term_ms: None,
    };
    shard.attach(attach, ());
}

fn hand_in(shard: &mut Shard<()>, topic: &str, data: &str) {
    let draft = Draft::new(Topic::new(topic).unwrap(), data);
    let record = Record::new(draft, Position::new(1), Timestamp::default());
    let frame = Arc::new(Frame::encode(Arc::new(record), Epoch::from_random(7)));
    let (after, upto) = (Position::ZERO, Position::new(1).into());
    shard.handle_frames(&FrameBatch { after, frames: vec![frame], upto });
}

/// A store whose disk can be made to hang.
struct SlowDisk {
    store: MemoryStore,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Default)]
struct Gate {
    shut: bool,
    asked: bool,
}

impl SlowDisk {
    fn new() -> Self {
        let store = MemoryStore::new(Epoch::from_random(7), 1 << 20, Duration::from_secs(3600));
        Self { store, gate: Mutex::default(), changed: Condvar::new() }
    }

    fn hold(&self) {
        self.gate.lock().unwrap().shut = true;
    }

    fn wait_until_asked(&self) {
        let gate = self.gate.lock().unwrap();
        drop(self.changed.wait_while(gate, |gate| !gate.asked).unwrap());
    }

    fn was_asked(&self) -> bool {
        self.gate.lock().unwrap().asked
    }

    fn release(&self) {
        self.gate.lock().unwrap().shut = false;
        self.changed.notify_all();
    }
}

/// A log on it.
struct OnSlowDisk(Arc<SlowDisk>);

impl LogLayer for OnSlowDisk {
    fn under(&self) -> &dyn Log {
        &self.0.store
    }

    fn append(
        &self,
        drafts: Vec<Draft>,
        _: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        let SlowDisk { store, gate, changed } = &*self.0;
        let mut gate = gate.lock().unwrap();
        gate.asked = gate.shut;
        changed.notify_all();
        drop(changed.wait_while(gate, |gate| gate.shut).unwrap());
        store.append(drafts, now)
    }
}
