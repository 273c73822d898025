//! Limits per address and per token, each with its answer at the edge.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tidings_hub::{Draft, Epoch, MemoryStore, Topic};
use tidings_server::{ApiKey, Config, JwtKey, KeyLimits, TrustedProxies};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::server::{EPOCH, TestServer};
use tidings_testkit::token::hs256;

const KEYS: [&str; 2] = ["key-of-the-first-one", "key-of-the-second-one"];

fn server(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::builder().config(change).start()
}

fn with_keys(config: &mut Config) {
    let key = |key: &str| ApiKey::new(key, key, &["**"], &["**"]).unwrap();
    config.http.api_keys = KEYS.iter().map(|text| key(text)).collect();
}

fn at_most(count: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(count)
}

/// Requests a stream. `None` if the answer is to come back later.
fn is_let_in(server: &TestServer, headers: &[(&str, &str)]) -> Option<Connection> {
    let mut connection = server.connect();
    connection.send(request("GET", "/events/t", headers, b""));
    let head = connection.head();
    // Whatever the answer is, it must not keep a browser away for good.
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    if head.header("connection") != Some("close") {
        return Some(connection);
    }
    assert!(connection.reads(b"retry: "), "it says when to come back");
    None
}

fn is_too_many(answer: &Response, code: &str) {
    assert_eq!((answer.status(), answer.code().as_str()), (429, code));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
}

#[test]
fn an_address_with_too_many_connections_gets_an_answer_and_then_none() {
    let server = server(|config| config.http.connections_per_address_max = at_most(3));
    let stream = server.subscribe("/events/t", &[]);
    let mut idle = server.connect();
    idle.send(request("GET", "/healthz", &[], b""));
    assert_eq!(idle.response().status(), 200);
    let mut last = server.connect();
    last.send(request("GET", "/healthz", &[], b""));
    assert_eq!(last.response().status(), 200);

    let refused = server.post("/events/t", "x");
    is_too_many(&refused, "too_many_connections");
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(is_let_in(&server, &[]).is_none());
    let mercure = "/.well-known/mercure";
    assert_eq!(server.request("POST", mercure, &[], "topic=a").status(), 429);
    assert_eq!(server.request("GET", &format!("{mercure}?topic=a"), &[], "").status(), 200);

    // This many more are answered; beyond that a connection is closed at once.
    let silent: Vec<_> = (0..64).map(|_| server.connect()).collect();
    let mut shut = server.connect();
    shut.send(request("GET", "/healthz", &[], b""));
    assert!(shut.is_closed());
    drop((silent, shut));

    // Connections already served are not affected; each one that ends makes room, a subscriber's
    // too.
    idle.send(request("POST", "/events/t", &[], b"x"));
    assert_eq!(idle.response().status(), 200);
    drop(stream);
    let is_let_in_again = || {
        let mut connection = server.connect();
        connection.send(request("POST", "/events/t", &[], b"x"));
        !connection.is_closed() && connection.response().status() == 200
    };
    while !is_let_in_again() {
        std::thread::yield_now();
    }
}

#[test]
fn a_trusted_proxy_may_have_any_number_of_connections() {
    let server = server(|config| {
        config.http.connections_per_address_max = at_most(1);
        config.http.trusted_proxies = TrustedProxies::new(&["127.0.0.0/8"]).unwrap();
    });
    let _streams = [(); 3].map(|()| server.subscribe("/events/t", &[]));
    assert_eq!(server.post("/events/t", "x").status(), 200);
}

#[test]
fn subscribers_are_counted_by_the_address_behind_a_trusted_proxy() {
    for portable in [false, true] {
        let server = TestServer::builder()
            .engine(|engine| engine.portable |= portable)
            .config(|config| {
                config.http.subscribers_per_address_max = at_most(2);
                config.http.trusted_proxies = TrustedProxies::new(&["127.0.0.1"]).unwrap();
            })
            .start();
        let from = |address| is_let_in(&server, &[("x-forwarded-for", address)]);
        let first = [from("203.0.113.1"), from("203.0.113.1")];
        assert!(first.iter().all(Option::is_some));
        assert!(from("203.0.113.1").is_none());
        assert!(from("8.8.8.8, 203.0.113.1").is_none(), "a client's own claim does not count");
        assert!(from("203.0.113.2").is_some(), "another address has its own");
        let second = [from("2001:db8::1"), from("2001:db8::2")];
        assert!(second.iter().all(Option::is_some));
        assert!(from("2001:db8::3").is_none(), "an IPv6 network is one address");
        drop(first);
        while from("203.0.113.1").is_none() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn forwarded_headers_from_an_untrusted_address_are_ignored() {
    let server = server(|config| config.http.subscribers_per_address_max = at_most(1));
    let _stream = is_let_in(&server, &[("x-forwarded-for", "203.0.113.1")]).unwrap();
    assert!(is_let_in(&server, &[("x-forwarded-for", "203.0.113.2")]).is_none());
}

#[test]
fn each_token_has_its_own_limit_of_subscribers() {
    let server = server(|config| {
        with_keys(config);
        config.http.subscribers_per_token_max = at_most(1);
    });
    let [one, two] = KEYS.map(|key| format!("Bearer {key}"));
    let first = is_let_in(&server, &[("authorization", &one)]).unwrap();
    assert!(is_let_in(&server, &[("authorization", &one)]).is_none());
    let mercure =
        server.request("GET", "/.well-known/mercure?topic=t", &[("authorization", &one)], "");
    assert!(mercure.text().contains("retry: "), "on the other face, too: {mercure:?}");
    let _second = is_let_in(&server, &[("authorization", &two)]).unwrap();
    drop(first);
    while is_let_in(&server, &[("authorization", &one)]).is_none() {
        std::thread::yield_now();
    }
}

const SIGNING: &[u8; 32] = b"a secret of the one who signs us";

/// An API key and two tokens of one signing key; each of the two keys is within `limits`.
fn with_limited_keys(config: &mut Config, limits: KeyLimits) -> [Vec<String>; 2] {
    let key = ApiKey::new("k", KEYS[0], &["**"], &["**"]).unwrap();
    config.http.api_keys = vec![key.with_limits(limits)];
    config.http.jwt_keys = vec![JwtKey::hs256(SIGNING).unwrap().with_limits(limits)];
    let token = |name: &str| {
        let grant =
            json!({"sub": name, "mercure": {"publish": ["*", "**"], "subscribe": ["*", "**"]}});
        format!("Bearer {}", hs256(&grant, SIGNING))
    };
    [vec![format!("Bearer {}", KEYS[0])], vec![token("one"), token("two")]]
}

/// The first and the last bearer of each key, who may be the same, on a hub of its own.
fn for_each_limited_key(limits: KeyLimits, check: impl Fn(&TestServer, &str, &str)) {
    for number in 0..2 {
        let mut bearers = Vec::new();
        let server = server(|config| bearers = with_limited_keys(config, limits)[number].clone());
        check(&server, &bearers[0], bearers.last().unwrap());
    }
}

/// Publishes without a key.
fn publish_inside(server: &TestServer, topic: &str, data: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let draft = Draft::new(Topic::new(topic).unwrap(), data);
    runtime.block_on(server.engine().publish(vec![draft])).unwrap();
}

#[test]
fn a_key_has_its_share_of_streams_and_long_polls_on_both_faces() {
    let limits = KeyLimits { connections_max: at_most(1), ..KeyLimits::default() };
    for_each_limited_key(limits, |server, one, two| {
        let first = is_let_in(server, &[("authorization", one)]).unwrap();
        assert!(is_let_in(server, &[("authorization", two)]).is_none());
        let target = "/.well-known/mercure?topic=t";
        let mercure = server.request("GET", target, &[("authorization", two)], "");
        assert!(mercure.text().contains("retry: "), "{mercure:?}");
        let json = [("authorization", two), ("accept", "application/json")];
        let poll = server.request("GET", "/events/t?wait=1s", &json, "");
        is_too_many(&poll, "too_many_connections");
        let page = server.request("GET", "/events/t", &json, "");
        assert_eq!(page.status(), 200, "a page does not wait");
        drop(first);
        while is_let_in(server, &[("authorization", two)]).is_none() {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_key_that_publishes_more_bytes_than_it_may_gets_429_by_every_door() {
    // One event of this size pays for the rest of the test.
    let limits = KeyLimits { publish_bytes_max: NonZeroU64::new(1000), ..KeyLimits::default() };
    for_each_limited_key(limits, |server, one, two| {
        let post = |target: &str, key: &str, kind: &str, body: &str| {
            let headers = [("authorization", key), ("content-type", kind)];
            server.request("POST", target, &headers, body)
        };
        let mercure = "/.well-known/mercure";
        assert_eq!(post("/events/t", one, "text/plain", "x").status(), 200);
        let large = format!("topic=t&data={}", "x".repeat(600_000));
        assert_eq!(post(mercure, one, FORM, &large).status(), 200, "it may be overdrawn once");
        let head = server.engine().status().bounds.head;

        let refused = post("/events/t", two, "text/plain", "x");
        is_too_many(&refused, "too_many_publishes");
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((60..=600).contains(&seconds), "{seconds}");
        is_too_many(&post("/events", two, NDJSON, "{\"topic\":\"t\"}\n"), "too_many_publishes");
        let stream = post("/events/t", two, "text/event-stream", "data: x\n\n");
        is_too_many(&stream, "too_many_publishes");
        let refused = post(mercure, two, FORM, "topic=t&data=x");
        assert_eq!(refused.status(), 429);
        assert!(refused.header("retry-after").is_some());
        assert_eq!(server.engine().status().bounds.head, head, "nothing of it is stored");
        let page = [("authorization", two), ("accept", "application/json")];
        assert_eq!(server.request("GET", "/events/t", &page, "").status(), 200);
    });
}

#[test]
fn a_stream_with_more_bytes_than_its_key_may_publish_is_read_more_slowly() {
    let limits = KeyLimits { publish_bytes_max: NonZeroU64::new(100_000), ..KeyLimits::default() };
    let mut bearers = Vec::new();
    let server = server(|config| bearers = with_limited_keys(config, limits)[1].clone());
    let started = Instant::now();
    let mut connection = server.connect();
    let headers = [
        ("authorization", &*bearers[0]),
        ("content-type", NDJSON),
        ("transfer-encoding", "chunked"),
    ];
    connection.send(request("POST", "/events/t", &headers, b""));
    let line = format!("{{\"data\":\"{}\"}}\n", "x".repeat(9_000));
    let lines = line.repeat(26);
    connection.send(format!("{:x}\r\n{lines}\r\n0\r\n\r\n", lines.len()));
    let answer = connection.response();
    assert_eq!((answer.status(), &answer.json()["published"]), (200, &26.into()));
    // 234,000 bytes: one second's worth at once, the second overdraws, the rest waits for it.
    assert!(started.elapsed() >= Duration::from_millis(990));
}

#[test]
fn a_key_begins_no_more_topics_than_it_may_by_any_door_and_uses_others_freely() {
    let limits = KeyLimits { topics_max: at_most(2), ..KeyLimits::default() };
    for_each_limited_key(limits, |server, one, two| {
        publish_inside(server, "old", "x");
        let post = |target: &str, key: &str, kind: &str, body: &str| {
            let headers = [("authorization", key), ("content-type", kind)];
            server.request("POST", target, &headers, body)
        };
        let mercure = "/.well-known/mercure";
        assert_eq!(post("/events/a", one, "text/plain", "x").status(), 200);
        let both = post(mercure, two, FORM, "topic=old&topic=b&data=x");
        assert_eq!(both.status(), 200, "{}", both.text());

        let head = server.engine().status().bounds.head;
        let is_refused = |answer: Response| {
            assert_eq!((answer.status(), answer.code().as_str()), (507, "too_many_topics"));
            assert_eq!(answer.json()["topics_max"], 2);
            assert!(answer.json()["detail"].as_str().unwrap().contains("the key"));
        };
        is_refused(post("/events/c", two, "text/plain", "x"));
        is_refused(post("/events", one, NDJSON, "{\"topic\":\"a\"}\n{\"topic\":\"c\"}\n"));
        is_refused(post("/events/c", one, "text/event-stream", "data: x\n\n"));
        let answer = post(mercure, one, FORM, "topic=a&topic=c&data=x");
        assert_eq!(answer.status(), 507, "{}", answer.text());
        assert_eq!(server.engine().status().bounds.head, head, "nothing of it is stored");

        for topic in ["a", "b", "old"] {
            let answer = post(&format!("/events/{topic}"), two, "text/plain", "x");
            assert_eq!(answer.status(), 200, "{topic}: {}", answer.text());
        }
        publish_inside(server, "c", "x");
        let answer = post("/events/c", one, "text/plain", "x");
        assert_eq!(answer.status(), 200, "another client has begun it");
    });
}

#[test]
fn a_topic_that_retention_has_dropped_gives_its_place_in_the_share_of_its_key() {
    let epoch = Epoch::parse(EPOCH).unwrap();
    let store = Arc::new(MemoryStore::new(epoch, 5000, Duration::from_secs(3600)));
    let limits = KeyLimits { topics_max: at_most(1), ..KeyLimits::default() };
    let change = |config: &mut Config| {
        let key = ApiKey::new("k", KEYS[0], &["**"], &["**"]).unwrap();
        config.http.api_keys = vec![key.with_limits(limits)];
    };
    let server = TestServer::builder().store(store).config(change).start();
    let bearer = format!("Bearer {}", KEYS[0]);
    let post = |target: &str, body: String| {
        server.request("POST", target, &[("authorization", &bearer)], body).status()
    };
    assert_eq!(post("/events/old", "x".into()), 200);
    assert_eq!(post("/events/new", "x".into()), 507);
    publish_inside(&server, "other", &"x".repeat(5000));
    assert_eq!(post("/events/new", "x".into()), 200);
}

#[test]
fn publishers_with_one_key_at_the_same_time_begin_no_more_topics_than_they_may() {
    let limits = KeyLimits { topics_max: at_most(10), ..KeyLimits::default() };
    for_each_limited_key(limits, |server, one, _| {
        let made: usize = std::thread::scope(|scope| {
            let publish = |number: usize| {
                let headers = [("authorization", one)];
                let target = format!("/events/{}", number / 2);
                move || server.request("POST", &target, &headers, "x").status() == 200
            };
            let threads: Vec<_> = (0..64).map(|number| scope.spawn(publish(number))).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(made, 20, "two on each topic: whichever came first made it");
    });
}

#[test]
fn a_publisher_that_is_too_fast_gets_429_and_the_time_to_try_again() {
    let server = server(|config| {
        with_keys(config);
        config.http.publish_rate_max = at_most(1);
    });
    let [one, two] = KEYS.map(|key| format!("Bearer {key}"));
    let post = |target: &str, key: &str, body: &str| {
        server.request("POST", target, &[("authorization", key)], body)
    };
    assert_eq!(post("/events/t", &one, "x").status(), 200);
    let refused = post("/events/t", &one, "y");
    is_too_many(&refused, "too_many_publishes");
    assert!(refused.json()["retry_after_ms"].as_u64().is_some());
    let end = server.request("DELETE", "/events/t", &[("authorization", &one)], "");
    is_too_many(&end, "too_many_publishes");
    let ndjson = [("authorization", one.as_str()), ("content-type", "application/x-ndjson")];
    is_too_many(&server.request("POST", "/events/t", &ndjson, "{}\n"), "too_many_publishes");
    let form = [("authorization", one.as_str()), ("content-type", FORM)];
    let mercure = server.request("POST", "/.well-known/mercure", &form, "topic=t&data=x");
    assert_eq!(mercure.status(), 429);
    assert!(mercure.header("retry-after").is_some());

    assert_eq!(post("/events/t", &two, "x").status(), 200, "another token has its own");
    let page = server.request(
        "GET",
        "/events/t?last=10",
        &[("authorization", &two), ("accept", "application/json")],
        "",
    );
    assert_eq!(
        page.json()["events"].as_array().unwrap().len(),
        2,
        "rejected events are not stored"
    );
}

const NDJSON: &str = "application/x-ndjson";

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn without_a_token_publishers_are_limited_by_address() {
    let server = server(|config| {
        config.http.publish_rate_max = at_most(1);
        config.http.trusted_proxies = TrustedProxies::new(&["127.0.0.1"]).unwrap();
    });
    let post = |address| {
        server.request("POST", "/events/t", &[("x-forwarded-for", address)], "x").status()
    };
    assert_eq!(post("203.0.113.1"), 200);
    assert_eq!(post("203.0.113.1"), 429);
    assert_eq!(post("203.0.113.2"), 200);
}

#[test]
fn a_stream_of_events_that_comes_too_fast_is_slowed_down_and_nothing_is_lost() {
    let server = server(|config| config.http.publish_rate_max = at_most(100));
    let started = Instant::now();
    let mut connection = server.connect();
    let headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")];
    connection.send(request("POST", "/events/t", &headers, b""));
    let lines: String = (0..250).map(|number| format!("{{\"data\":{number}}}\n")).collect();
    connection.send(format!("{:x}\r\n{lines}\r\n0\r\n\r\n", lines.len()));
    let answer = connection.response();
    assert_eq!((answer.status(), &answer.json()["published"]), (200, &250.into()));
    // The first hundred at once, the second overdraws, and the rest waits until that is paid back:
    // a second, never less, however fast the machine.
    assert!(started.elapsed() >= Duration::from_millis(990));
}

#[test]
fn heads_topics_and_patterns_have_the_configured_bounds() {
    let server = server(|config| {
        config.http.head_bytes_max = 4096;
        config.matchers_max = 2;
    });
    let refused = server.get_json("/events?topic=a&topic=b&topic=c");
    assert_eq!((refused.status(), refused.code().as_str()), (400, "invalid_parameter"));
    assert_eq!(refused.json()["matchers_max"], 2);
    assert_eq!(server.get_json("/events?topic=a&topic=b").status(), 200);
    let mut connection = server.connect();
    connection.send(request("GET", "/healthz", &[("x-long", &"x".repeat(5000))], b""));
    assert_eq!(connection.head().status, 431);
}

fn topics(server: &TestServer) -> (f64, Vec<String>) {
    let page = server.get_json("/metrics").text().to_owned();
    let counted = page.lines().find_map(|line| line.strip_prefix("tidings_topics "));
    let list = server.get_json("/topics").json();
    let names = list["topics"].as_array().unwrap().iter();
    let names = names.map(|topic| topic["topic"].as_str().unwrap().to_owned());
    (counted.unwrap().parse().unwrap(), names.collect())
}

#[test]
fn one_topic_too_many_is_rejected_whole_and_the_others_continue() {
    let server = TestServer::builder().engine(|engine| engine.topics_max = 3).start();
    for topic in ["a", "b", "c"] {
        assert_eq!(server.post(&format!("/events/{topic}"), "x").status(), 200);
    }
    let refused = |answer: Response| {
        assert_eq!((answer.status(), answer.code().as_str()), (507, "too_many_topics"));
        assert_eq!(answer.json()["topics_max"], 3);
        assert_eq!(topics(&server), (3.0, vec!["a".into(), "b".into(), "c".into()]));
    };
    let head = server.engine().status().bounds.head;
    refused(server.post("/events/d", "x"));
    let ndjson = [("content-type", "application/x-ndjson")];
    let batch = "{\"topic\":\"a\",\"data\":1}\n{\"topic\":\"e\",\"data\":2}\n";
    refused(server.request("POST", "/events", &ndjson, batch));
    assert_eq!(server.engine().status().bounds.head, head, "nothing of it is published");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mercure = "/.well-known/mercure";
    let answer = server.request("POST", mercure, &form, "topic=a&topic=f&data=x");
    assert_eq!(answer.status(), 507, "{}", answer.text());
    assert_eq!(server.engine().status().bounds.head, head);
    // Existing topics continue to work in every way, including one that has ended.
    assert_eq!(server.post("/events/a", "x").status(), 200);
    assert_eq!(server.request("POST", mercure, &form, "topic=a&topic=b&data=x").status(), 200);
    assert_eq!(server.request("DELETE", "/events/c", &[], "").status(), 200);
    assert_eq!(server.post("/events/c", "x").status(), 200);
    refused(server.post("/events/d", "x"));
}

#[test]
fn a_topic_whose_last_event_is_gone_gives_its_place_to_another() {
    let epoch = Epoch::parse(EPOCH).unwrap();
    let store = Arc::new(MemoryStore::new(epoch, 5000, Duration::from_secs(3600)));
    let server = TestServer::builder().store(store).engine(|engine| engine.topics_max = 2).start();
    assert_eq!(server.post("/events/old", "x").status(), 200);
    assert_eq!(server.post("/events/a", "x").status(), 200);
    assert_eq!(server.post("/events/new", "x").status(), 507);
    // It takes up the room of everything before it.
    assert_eq!(server.post("/events/a", "x".repeat(5000)).status(), 200);
    assert_eq!(topics(&server), (1.0, vec!["a".into()]));
    assert_eq!(server.post("/events/new", "x").status(), 200);
}

/// Many at once, so that the committer takes them in batches.
#[test]
fn concurrent_publishers_make_no_more_topics_than_allowed() {
    let server = TestServer::builder().engine(|engine| engine.topics_max = 10).start();
    let made: usize = std::thread::scope(|scope| {
        let publish = |number: usize| {
            let server = &server;
            move || server.post(&format!("/events/{}", number / 2), "x").status() == 200
        };
        let threads: Vec<_> = (0..64).map(|number| scope.spawn(publish(number))).collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    });
    let (counted, names) = topics(&server);
    assert_eq!((counted, names.len()), (10.0, 10));
    // There are two on each topic: whichever came first made it.
    assert_eq!(made, 20);
}
