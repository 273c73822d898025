//! `LiveState` of our client against our hub.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidings_client::{
    Change, Event, EventId, Keyed, LiveState, Lost, PublishError, Publisher, RetryPolicy,
    StateError,
};
use tidings_hub::{Epoch, Log, MemoryStore};
use tidings_testkit::ports;
use tidings_testkit::server::{EPOCH, TestServer};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The hub asks for seconds, but the test does not wait.
struct Soon;

impl RetryPolicy for Soon {
    fn wait(&mut self, _: &Lost<'_>) -> Option<Duration> {
        Some(Duration::from_millis(50))
    }
}

fn state(server: &TestServer, topics: &[&str]) -> LiveState {
    LiveState::open_with(&server.url(""), topics, |builder| builder.retry_policy(Soon)).unwrap()
}

/// The next changes: key, and value.
async fn changes(state: &mut LiveState, count: usize) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    while all.len() < count {
        let Change { key, value, .. } = state.next().await.unwrap().unwrap();
        all.push((key, value));
    }
    all
}

fn change(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

fn removal(key: &str) -> (String, Option<String>) {
    (key.to_owned(), None)
}

fn values(state: &LiveState) -> Vec<(&str, &str)> {
    state.iter().map(|(_, key, value)| (key, value)).collect()
}

fn store(epoch: &str) -> Arc<dyn Log> {
    let epoch = Epoch::parse(epoch).unwrap();
    Arc::new(MemoryStore::new(epoch, 64 << 20, Duration::from_secs(3600)))
}

/// A server on the address of one that has ended.
fn start_at(address: SocketAddr, store: &Arc<dyn Log>) -> TestServer {
    let builder = TestServer::builder().store(store.clone());
    builder.config(|config| config.http.listen = vec![address]).start()
}

#[test]
fn a_state_is_complete_and_then_changes() {
    let server = TestServer::start();
    for number in 0..30 {
        server.put(&format!("stocks?key=K{}", number % 3), &number.to_string());
    }
    server.put("stocks?key=gone", "x");
    server.remove("stocks?key=gone");
    let mut state = state(&server, &["stocks"]);
    assert!(state.is_empty());
    runtime().block_on(async {
        state.load().await.unwrap();
        assert_eq!(values(&state), [("K0", "27"), ("K1", "28"), ("K2", "29")]);
        server.put("stocks?key=K0", "new");
        server.remove("stocks?key=K1");
        assert_eq!(changes(&mut state, 2).await, [change("K0", "new"), removal("K1")]);
        assert_eq!((state.get("stocks", "K0"), state.len()), (Some("new"), 2));
    });
}

#[test]
fn a_publisher_sets_and_removes_keys_in_every_way_it_publishes() {
    let server = TestServer::start();
    let publisher = Publisher::new(&server.url("")).unwrap();
    let mut state = state(&server, &["stocks", "a//b"]);
    runtime().block_on(async {
        let one = publisher.keyed("A&B=C ");
        one.publish("stocks", &Event::new("1")).await.unwrap();
        // A topic that cannot stand in a path travels in a line.
        one.publish("a//b", &Event::new("2")).await.unwrap();
        let many = publisher.keyed("many");
        let events = [("stocks", &Event::new("3")), ("stocks", &Event::new("4"))];
        many.publish_all(events).await.unwrap();
        let mut stream = publisher.stream();
        stream.set_keyed(Some(Keyed::whole("streamed")));
        stream.send("stocks", &Event::new("5")).await.unwrap();
        stream.set_keyed(Some(Keyed::piece("streamed", None)));
        stream.send("stocks", &Event::new("6")).await.unwrap();
        stream.set_keyed(None);
        stream.send("a//b", &Event::new("no key")).await.unwrap();
        stream.finish().await.unwrap();
        state.load().await.unwrap();
        let stocks = ["A&B=C ", "many", "streamed"].map(|key| state.get("stocks", key));
        assert_eq!(stocks, [Some("1"), Some("4"), Some("56")]);
        assert_eq!(
            (state.get("a//b", "A&B=C "), state.get("a//b", "")),
            (Some("2"), Some("no key"))
        );

        let first = publisher.remove("stocks", "A&B=C ").await.unwrap();
        let second = publisher.remove("a//b", "A&B=C ").await.unwrap();
        let position = |id: EventId| id.as_str().split_once(':').unwrap().1.parse::<u64>().unwrap();
        assert_eq!(position(first) + 1, position(second));
        let unknown = publisher.remove("stocks", "never set").await.unwrap_err();
        assert_eq!(unknown.problem().unwrap().code, "key_unknown");
        assert_eq!(changes(&mut state, 2).await, [removal("A&B=C "), removal("A&B=C ")]);
        assert_eq!(state.len(), 3);

        // Ids of publishers have any characters.
        for (id, data) in [("a&b=1 +", "old"), ("a&b=2 +", "new")] {
            let mut event = Event::new(data);
            event.id = Some(EventId::new(id).unwrap());
            publisher.keyed("V").publish("versions", &event).await.unwrap();
        }
        let remove = |version: &str| {
            let version = EventId::new(version).unwrap();
            let publisher = publisher.clone();
            async move { publisher.remove_if_version("versions", "V", &version).await }
        };
        let differs = remove("a&b=1 +").await.unwrap_err();
        assert_eq!(differs.problem().unwrap().code, "version_differs");
        assert!(remove("a&b=2 +").await.is_ok());
        let unknown = remove("a&b=2 +").await.unwrap_err();
        assert_eq!(unknown.problem().unwrap().code, "version_differs");

        let ended = publisher.remove("nothing/*", "x").await.unwrap_err();
        assert!(matches!(ended, PublishError::Refused(_)), "{ended:?}");
    });
}

#[test]
fn over_a_restart_it_has_what_changed_and_what_was_removed() {
    let store = store(EPOCH);
    let server = start_at(ports::address(), &store);
    let address = server.address();
    for key in ["a", "b", "c"] {
        server.put(&format!("t?key={key}"), "1");
    }
    let runtime = runtime();
    let mut state = state(&server, &["t"]);
    runtime.block_on(state.load()).unwrap();
    server.stop();
    let server = start_at(address, &store);
    server.put("t?key=a", "2");
    server.remove("t?key=b");
    server.put("t?key=d", "1");
    let mut all = runtime.block_on(changes(&mut state, 3));
    all.sort();
    assert_eq!(all, [change("a", "2"), removal("b"), change("d", "1")]);
    assert_eq!(values(&state), [("a", "2"), ("c", "1"), ("d", "1")]);
}

#[test]
fn after_a_reset_it_is_another_at_once() {
    let old = store(EPOCH);
    let server = start_at(ports::address(), &old);
    let address = server.address();
    for key in ["a", "b", "c"] {
        server.put(&format!("t?key={key}"), "old");
    }
    let runtime = runtime();
    let mut state = state(&server, &["t"]);
    runtime.block_on(state.load()).unwrap();
    server.stop();
    // Another log, as after it was restored from a backup.
    let server = start_at(address, &store("zzzzzz"));
    server.put("t?key=a", "old");
    server.put("t?key=b", "new");
    runtime.block_on(async {
        assert_eq!(changes(&mut state, 1).await, [removal("c")]);
        assert_eq!(values(&state), [("a", "old"), ("b", "new")], "all of it is there");
        assert_eq!(changes(&mut state, 1).await, [change("b", "new")]);
    });
}

#[test]
fn values_grow_by_pieces() {
    let server = TestServer::start();
    server.put("chat?key=m", r#"{"done":false,"text":"The sky"}"#);
    server.put("chat?append=m&at=/text", r#"{"done":false,"text":" is"}"#);
    let mut state = state(&server, &["chat"]);
    runtime().block_on(async {
        state.load().await.unwrap();
        server.put("chat?append=m&at=/text", r#"{"done":true,"text":" “blue”"}"#);
        server.put("chat?append=log", "one");
        server.put("chat?append=log", " two");
        let grown = r#"{"done":true,"text":"The sky is “blue”"}"#;
        let expected = [change("m", grown), change("log", "one"), change("log", "one two")];
        assert_eq!(changes(&mut state, 3).await, expected);
        let mut late = self::state(&server, &["chat"]);
        late.load().await.unwrap();
        assert_eq!(values(&late), values(&state));
    });
}

#[test]
fn a_value_that_begins_again_is_not_added_to_what_retention_has_dropped() {
    let epoch = Epoch::parse(EPOCH).unwrap();
    let store = MemoryStore::new(epoch, 4000, Duration::from_secs(3600));
    let server = TestServer::builder().store(Arc::new(store)).start();
    server.put("chat?append=m", "old");
    let mut state = state(&server, &["chat"]);
    runtime().block_on(async {
        state.load().await.unwrap();
        let is_gone = (0..20).any(|_| {
            server.put("other", &"x".repeat(300));
            server.get_json("/events/chat?from=state").json()["events"] == serde_json::json!([])
        });
        assert!(is_gone);
        server.put("chat?append=m", "new");
        assert_eq!(changes(&mut state, 1).await, [change("m", "new")]);
        assert_eq!(values(&state), [("m", "new")]);
    });
}

#[test]
fn several_topics_have_their_own_keys_and_an_erased_one_is_empty() {
    let server = TestServer::start();
    server.put("stocks?key=A", "1");
    server.put("fx/eur?key=A", "2");
    server.put("fx/usd", "3");
    let mut state = state(&server, &["stocks", "fx/*"]);
    runtime().block_on(async {
        state.load().await.unwrap();
        let all = [("fx/eur", "A", "2"), ("fx/usd", "", "3"), ("stocks", "A", "1")];
        assert_eq!(state.iter().collect::<Vec<_>>(), all);
        let erased = server.request("DELETE", "/events/stocks?erase", &[], "");
        assert_eq!(erased.status(), 200);
        assert_eq!(changes(&mut state, 1).await, [removal("A")]);
        assert_eq!((state.get("stocks", "A"), state.get("fx/eur", "A")), (None, Some("2")));
    });
}

#[test]
fn it_ends_with_its_topics_and_a_rejection_is_an_error() {
    let server = TestServer::start();
    server.put("t?key=a", "1");
    runtime().block_on(async {
        // As it is by default, where the hub asks for a day of patience.
        let mut state = LiveState::open(&server.url(""), &["t"]).unwrap();
        state.load().await.unwrap();
        server.remove("t");
        assert!(state.next().await.is_none());
        assert_eq!(state.get("t", "a"), Some("1"));
        let mut wrong = self::state(&server, &["a/**/b"]);
        let error = wrong.load().await.unwrap_err();
        let StateError::Read(error) = error else { panic!("{error}") };
        assert_eq!(error.status().unwrap(), 400);
        assert!(LiveState::open("no url", &["t"]).is_err());
    });
}

/// As it stands in docs/guides/state.md; tests/browser/state_guide.test.js compares.
async fn watch(hub: &str, mut show: impl FnMut(&str, Option<&str>)) -> Result<(), Box<dyn Error>> {
    let mut stocks = LiveState::open(hub, &["stocks"])?;
    stocks.load().await?;
    for (_topic, key, value) in stocks.iter() {
        show(key, Some(value));
    }
    while let Some(change) = stocks.next().await {
        let change = change?;
        show(&change.key, change.value.as_deref());
    }
    Ok(())
}

#[test]
fn what_the_guide_shows_works() {
    let server = TestServer::start();
    server.put("stocks?key=ACME", "101");
    let mut shown = Vec::new();
    let url = server.url("");
    let watching = watch(&url, |key, value| {
        shown.push((key.to_owned(), value.map(str::to_owned)));
        match shown.len() {
            1 => server.put("stocks?key=ACME", "102"),
            2 => server.remove("stocks?key=ACME"),
            _ => server.remove("stocks"),
        }
    });
    runtime().block_on(watching).unwrap();
    assert_eq!(shown, [change("ACME", "101"), change("ACME", "102"), removal("ACME")]);
}
