//! Every way to read, with every credential that should not grant it.

use crate::mercure;
use std::sync::Arc;
use std::time::Duration;

use crate::mercure::{FORM, HUB, Tokens, bearer, event, native_token, one, post, zero};
use serde_json::json;
use tidings_hub::{Epoch, Log, Matcher, MemoryStore};
use tidings_server::ApiKey;
use tidings_testkit::http::{Connection, request};
use tidings_testkit::server::TestServer;

const STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";

fn configure(config: &mut tidings_server::Config) {
    mercure::configure(config);
    let key = |name: &str, publish: &[&str], subscribe: &[&str]| {
        ApiKey::new(name, &format!("key-called-{name}-0123"), publish, subscribe).unwrap()
    };
    config.http.api_keys = vec![
        key("publisher", &["**"], &[]),
        key("narrow", &["**"], &["mine/*"]),
        key("everything", &["**"], &["**"]),
    ];
    config.mercure.public = vec![Matcher::parse("news/**").unwrap()];
}

fn server() -> TestServer {
    TestServer::builder().config(configure).start()
}

/// A name, and the value of `Authorization`. None of them grants `secret/…`.
fn narrow_credentials() -> Vec<(&'static str, Option<String>)> {
    let token = |claims: &serde_json::Value| Some(bearer(&zero(claims)));
    let native = b"the secret of the native API, long enough";
    let native = |claims| Some(bearer(&tidings_testkit::token::hs256(&claims, native)));
    vec![
        ("nothing", None),
        ("a key that grants nothing to read", Some(bearer("key-called-publisher-0123"))),
        ("a narrow key", Some(bearer("key-called-narrow-0123"))),
        ("a narrow 0.x token", token(&json!({"mercure": {"subscribe": ["mine/{id}", "mine/1"]}}))),
        ("a 0.x token that grants nothing", token(&json!({"mercure": {"subscribe": []}}))),
        ("a 0.x token with null", token(&json!({"mercure": {"subscribe": null}}))),
        ("a 0.x token without claims", token(&json!({}))),
        ("a publisher's 0.x token", token(&json!({"mercure": {"publish": ["*"]}}))),
        ("a narrow 1.0 token", Some(bearer(&Tokens::subscribing(&[], "/mine/*").one))),
        ("a 1.0 token without details", Some(bearer(&one(&json!([]))))),
        ("a narrow native token", native(json!({"mercure": {"subscribe": ["mine/*"]}}))),
        ("a publisher's native token", native(json!({"mercure": {"publish": ["**"]}}))),
    ]
}

/// Every way to read, as a target and an `Accept` header.
fn reading_routes(epoch: &str) -> Vec<(String, &'static str)> {
    let mut routes = Vec::new();
    for path in [
        "/events",
        "/events/secret%2Fa",
        "/events/**",
        "/events?topic=**",
        "/events?topic=secret/a",
        "/events?topic=secret/*",
        "/events?topic=mine/1&topic=secret/a",
        "/events?topic=*/a",
        "/events/secret/a",
    ] {
        let join = if path.contains('?') { '&' } else { '?' };
        for start in ["last=100".to_owned(), "since=1h".to_owned(), format!("after={epoch}:0")] {
            routes.push((format!("{path}{join}{start}"), STREAM));
            routes.push((format!("{path}{join}{start}"), JSON));
        }
        routes.push((format!("{path}{join}wait=100ms"), JSON));
    }
    for path in ["/topics", "/topics?prefix=secret", "/stats", "/metrics", "/connections/1-1"] {
        routes.push((path.to_owned(), JSON));
    }
    for asked in [
        "topic=*",
        "topic={t}",
        "topic={%2Bt}",
        "topic=secret/{t}",
        "topic=secret/a",
        "topic=mine/1&topic=secret/a",
        "match=*",
        "match=secret/a",
        "match_urlpattern=*",
        "match_urlpattern=/secret/:t",
        "match_exact=secret/a&match=mine/1",
    ] {
        let parameter = if asked.starts_with("topic") { "lastEventID" } else { "last_event_id" };
        routes.push((format!("{HUB}?{asked}"), STREAM));
        for id in ["earliest".to_owned(), format!("{epoch}:0"), "unknown".to_owned()] {
            routes.push((format!("{HUB}?{asked}&{parameter}={id}"), STREAM));
        }
    }
    for below in ["", "/secret%2Fa", "/exact/secret%2Fa", "/%2A"] {
        routes.push((format!("{HUB}/subscriptions{below}"), JSON));
    }
    routes
}

/// The stream that a request opened, or its answer's text.
enum Answered {
    Stream(Box<Connection>),
    Text(String),
}

fn ask(server: &TestServer, target: &str, accept: &str, credential: Option<&str>) -> Answered {
    let mut connection = server.connect();
    let mut headers = vec![("accept", accept)];
    headers.extend(credential.map(|value| ("authorization", value)));
    connection.send(request("GET", target, &headers, b""));
    let head = connection.head();
    if head.status == 200 && head.header("content-length").is_none() {
        return Answered::Stream(Box::new(connection));
    }
    let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut text = format!("{head:?}");
    text.push_str(&connection.bytes(length));
    Answered::Text(text)
}

#[test]
fn nothing_published_natively_is_read_with_a_credential_that_does_not_grant_it() {
    let server = server();
    let all = ("authorization", native_token());
    let all = (all.0, all.1.as_str());
    let publish = |topic: &str, data: &str| {
        let answer = server.request("POST", &format!("/events/{topic}"), &[all], data);
        assert_eq!(answer.status(), 200, "{answer:?}");
    };
    publish("secret/a", "the contraband of yesterday");
    let mut streams = Vec::new();
    for (target, accept) in reading_routes("k7q2ma") {
        for (name, credential) in narrow_credentials() {
            match ask(&server, &target, accept, credential.as_deref()) {
                Answered::Stream(stream) => streams.push((target.clone(), name, stream)),
                Answered::Text(text) => {
                    assert!(!text.contains("contraband"), "{name}: {target}: {text}");
                    // The answer may name the requested topic, but not reveal that it exists.
                    let tells = target.starts_with("/topics") && text.contains("secret/a");
                    assert!(!tells, "{name}: {target}: {text}");
                }
            }
        }
    }
    assert!(streams.len() > 100, "{} streams were opened", streams.len());

    // Credentials with a grant do read it, on both faces: so it was there to be read.
    let mut granted = Vec::new();
    for (target, credential) in [
        ("/events?topic=secret/*&last=100", bearer("key-called-everything-0123")),
        (&*format!("{HUB}?topic=*&lastEventID=earliest"), bearer("key-called-everything-0123")),
        (
            &*format!("{HUB}?topic=secret/a&lastEventID=earliest"),
            bearer(&Tokens::everything().zero),
        ),
        (&*format!("{HUB}?match=*&last_event_id=earliest"), bearer(&Tokens::everything().one)),
    ] {
        granted.push(server.subscribe(target, &[("authorization", &credential)]));
    }
    publish("secret/a", "the contraband of today");
    publish("secret/a", "the end");
    for stream in &mut granted {
        for wanted in [&b"contraband of yesterday"[..], b"contraband of today", b"the end"] {
            assert!(stream.reads(wanted));
        }
    }
    server.stop();
    for (target, name, mut stream) in streams {
        assert!(!stream.reads(b"contraband"), "{name}: {target}");
    }
}

#[test]
fn native_events_are_public_over_mercure_where_the_settings_say_so() {
    let server = TestServer::builder()
        .config(|config| {
            configure(config);
            config.mercure.anonymous = true;
        })
        .start();
    let all = native_token();
    for (topic, data) in [("secret/a", "1"), ("news/today", "2")] {
        let headers = [("authorization", all.as_str())];
        server.request("POST", &format!("/events/{topic}"), &headers, data);
    }
    let mut stream = server.subscribe(&format!("{HUB}?topic=*&lastEventID=earliest"), &[]);
    assert!(event(&mut stream).ends_with("data: 2\n\n"));
    // A private event is private there, too.
    post(&server, "topic=news/today&private&data=3");
    post(&server, "topic=news/today&data=4");
    assert!(event(&mut stream).ends_with("data: 4\n\n"));
    // A key is held to its grant all the same.
    let key = bearer("key-called-narrow-0123");
    let headers = [("authorization", key.as_str())];
    let mut narrow = server.subscribe(&format!("{HUB}?topic=*&lastEventID=earliest"), &headers);
    server.request("POST", "/events/mine/1", &[("authorization", all.as_str())], "5");
    assert!(event(&mut narrow).ends_with("data: 5\n\n"));
}

#[test]
fn a_key_publishes_within_its_grant_on_both_faces() {
    let key = ApiKey::new("k", "0123456789abcdef", &["mine/*"], &["mine/*"]).unwrap();
    let server = TestServer::builder().config(|config| config.http.api_keys = vec![key]).start();
    let key = ("authorization", "Bearer 0123456789abcdef");
    for (topic, status) in [("mine/1", 200), ("other", 403)] {
        let answer = server.request("POST", &format!("/events/{topic}"), &[key], "x");
        assert_eq!(answer.status(), status, "{topic}");
    }
    for (topic, status) in [("mine/1", 200), ("other", 401), ("mine/1&topic=other", 401)] {
        let form = format!("topic={topic}&data=x");
        assert_eq!(server.request("POST", HUB, &[key, FORM], form).status(), status, "{topic}");
    }
    let path = format!("{HUB}/subscriptions");
    assert_eq!(server.request("GET", &path, &[key], "").status(), 401);
}

#[test]
fn the_end_of_a_topic_is_hidden_from_readers_without_a_grant() {
    let server = server();
    let all = native_token();
    let all = [("authorization", all.as_str())];
    assert_eq!(server.request("POST", "/events/secret/a", &all, "x").status(), 200);
    assert_eq!(server.request("DELETE", "/events/secret/a", &all, "").status(), 200);
    let status = |credential: &str| {
        let headers = [("authorization", credential)];
        let mut connection = server.connect();
        connection.send(request("GET", &format!("{HUB}?topic=secret/a"), &headers, b""));
        connection.head().status
    };
    assert_eq!(status(&bearer(&Tokens::everything().zero)), 204);
    assert_eq!(status(&bearer("key-called-narrow-0123")), 200);
}

#[test]
fn a_log_from_before_visibility_was_recorded_opens_nothing() {
    // Such a record has neither mark, like one that is published natively now.
    let store = MemoryStore::new(Epoch::parse("k7q2ma").unwrap(), 1 << 20, Duration::from_secs(60));
    let topic = tidings_hub::Topic::new("secret/a").unwrap();
    let now = tidings_hub::Timestamp::from_millis(1);
    store.append(vec![tidings_hub::Draft::new(topic, "contraband")], now).unwrap();
    let server = TestServer::builder().config(configure).store(Arc::new(store)).start();
    let token = bearer(&zero(&json!({"mercure": {"subscribe": []}})));
    let headers = [("authorization", token.as_str())];
    let mut stream = server.subscribe(&format!("{HUB}?topic=*&lastEventID=earliest"), &headers);
    post(&server, "topic=b&data=public");
    assert!(event(&mut stream).ends_with("data: public\n\n"));
}
