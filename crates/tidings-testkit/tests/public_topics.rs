//! What every client may do without a token, beside keys; and the claim `tidings`. On both APIs.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_hub::Matcher;
use tidings_server::{ApiKey, Config, JwtKey};
use tidings_testkit::http::request;
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const HUB: &str = "/.well-known/mercure";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("accept", "application/json");

fn matchers(texts: &[&str]) -> Vec<Matcher> {
    texts.iter().map(|text| Matcher::parse(text).unwrap()).collect()
}

fn configure(config: &mut Config) {
    config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
    config.http.api_keys =
        vec![ApiKey::new("k", "key-0123456789abcdef", &["own/*"], &["own/*"]).unwrap()];
    config.http.anonymous_subscribe = matchers(&["public/**", "news"]);
    config.http.anonymous_publish = matchers(&["guestbook/*"]);
}

fn server() -> TestServer {
    TestServer::builder().config(configure).start()
}

fn bearer(claims: &Value) -> String {
    format!("Bearer {}", hs256(claims, SECRET))
}

fn everything() -> String {
    bearer(&json!({"tidings": {"publish": ["**"], "subscribe": ["**"]}}))
}

fn seconds_from_now(seconds: u64) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + seconds
}

#[test]
fn without_a_token_the_public_topics_are_read_and_no_pattern_is_narrowed() {
    let server = server();
    let all = everything();
    let mut stream = server.subscribe("/events/public/x", &[]);
    let mut by_pattern = server.subscribe("/events?topic=public/*&topic=news", &[]);
    let mut rest = server.subscribe("/events", &[]);
    for topic in ["secret", "own/1", "public/x"] {
        let headers = [("authorization", all.as_str())];
        assert_eq!(
            server.request("POST", &format!("/events/{topic}"), &headers, topic).status(),
            200
        );
    }
    for stream in [&mut stream, &mut by_pattern, &mut rest] {
        assert!(stream.event().unwrap().ends_with("data: public/x\n\n"));
    }
    for target in ["/events/**", "/events/*", "/events/secret", "/events?topic=news&topic=own/1"] {
        for headers in [&[][..], &[JSON]] {
            let answer = server.request("GET", target, headers, "");
            assert_eq!(answer.status(), 401, "{target}");
            assert_eq!(answer.code(), "token_required", "{target}");
            let mut connection = server.connect();
            connection.send(request("HEAD", target, headers, b""));
            assert_eq!(connection.head().status, 401, "{target}");
        }
    }
    let topics = server.request("GET", "/topics", &[], "").json();
    assert_eq!(topics["topics"].as_array().unwrap().len(), 1, "{topics}");
    for target in ["/stats", "/metrics", "/connections/1-1"] {
        assert_eq!(server.request("GET", target, &[], "").code(), "token_required", "{target}");
    }
}

#[test]
fn everything_public_does_not_let_strangers_look() {
    let server = TestServer::builder()
        .config(|config| {
            configure(config);
            config.http.anonymous_subscribe = vec![Matcher::All];
        })
        .start();
    server.subscribe("/events/**", &[]);
    assert_eq!(server.request("GET", "/metrics", &[], "").status(), 401);
    let reader = bearer(&json!({"tidings": {"subscribe": ["a"]}}));
    let reader = [("authorization", reader.as_str())];
    assert_eq!(server.request("GET", "/metrics", &reader, "").code(), "not_granted");
    let operator = bearer(&json!({"tidings": {"operate": ["look"]}}));
    let operator = [("authorization", operator.as_str())];
    for target in ["/stats", "/metrics"] {
        assert_eq!(server.request("GET", target, &operator, "").status(), 200, "{target}");
    }
}

#[test]
fn a_token_adds_to_what_everybody_may_do_on_both_apis() {
    let server = server();
    let narrow = bearer(&json!({"tidings": {"publish": ["own/*"], "subscribe": ["own/*"]}}));
    for credential in [narrow.as_str(), "Bearer key-0123456789abcdef"] {
        let headers = [("authorization", credential)];
        let mut stream = server.subscribe("/events?topic=own/*&topic=public/**", &headers);
        let mut mercure = server.subscribe(&format!("{HUB}?topic=*"), &headers);
        let all = everything();
        let all = [("authorization", all.as_str())];
        for topic in ["other", "own/1", "public/1"] {
            server.request("POST", &format!("/events/{topic}"), &all, topic);
        }
        for stream in [&mut stream, &mut mercure] {
            assert!(stream.event().unwrap().ends_with("data: own/1\n\n"));
            assert!(stream.event().unwrap().ends_with("data: public/1\n\n"));
        }
        assert_eq!(server.request("GET", "/events/**", &headers, "").code(), "not_granted");
        for (topic, native, over_mercure) in
            [("own/1", 200, 200), ("guestbook/1", 200, 200), ("public/1", 403, 401)]
        {
            let answer = server.request("POST", &format!("/events/{topic}"), &headers, "x");
            assert_eq!(answer.status(), native, "{topic}");
            let form = format!("topic={topic}&data=x");
            let answer = server.request("POST", HUB, &[headers[0], FORM], form);
            assert_eq!(answer.status(), over_mercure, "{topic}");
        }
    }
}

#[test]
fn without_a_token_the_public_topics_are_published_to_and_no_others() {
    let server = server();
    for (topic, native) in [("guestbook/1", 200), ("public/1", 401), ("own/1", 401)] {
        let answer = server.request("POST", &format!("/events/{topic}"), &[], "x");
        assert_eq!(answer.status(), native, "{topic}");
        let line = format!("{{\"topic\":{topic:?}}}\n");
        let lines = ("content-type", "application/x-ndjson");
        assert_eq!(server.request("POST", "/events", &[lines], line).status(), native, "{topic}");
        let form = format!("topic={topic}&data=x");
        let answer = server.request("POST", HUB, &[FORM], form);
        assert_eq!(answer.status(), native, "{topic} over Mercure");
    }
    // No page of a foreign origin does it in a visitor's name.
    let page = ("origin", "https://elsewhere.example");
    let answer = server.request("POST", "/events/guestbook/1", &[page], "x");
    assert_eq!(answer.code(), "origin_not_allowed");
    let form = "topic=guestbook/1&data=x";
    assert_eq!(server.request("POST", HUB, &[page, FORM], form).status(), 403);
    let link = [("sec-fetch-site", "cross-site")];
    let answer = server.request("POST", "/events/guestbook/1", &link, "x");
    assert_eq!(answer.code(), "origin_not_allowed");
}

#[test]
fn a_wrong_token_is_not_a_silent_step_down_to_what_everybody_may_do() {
    let server = server();
    for credential in ["Bearer wrong", "Bearer "] {
        let headers = [("authorization", credential)];
        let answer = server.request("GET", "/events/public/x", &headers, "");
        assert_eq!(answer.code(), "token_invalid", "{credential:?}");
    }
    let two = [("authorization", "Bearer key-0123456789abcdef"), ("authorization", "Bearer wrong")];
    assert_eq!(server.request("GET", "/events/public/x", &two, "").code(), "invalid_credential");
    assert_eq!(server.request("GET", "/events/public/x?token=wrong", &[], "").status(), 401);
}

#[test]
fn mercure_asks_for_its_own_permission_and_keeps_private_updates() {
    for (anonymous, status) in [(false, 401), (true, 200)] {
        let server = TestServer::builder()
            .config(|config| {
                configure(config);
                config.mercure.anonymous = anonymous;
            })
            .start();
        let target = format!("{HUB}?topic=*");
        let mut connection = server.connect();
        connection.send(request("GET", &target, &[], b""));
        assert_eq!(connection.head().status, status);
    }
    let server = TestServer::builder()
        .config(|config| {
            configure(config);
            config.mercure.anonymous = true;
        })
        .start();
    let all = everything();
    let all = ("authorization", all.as_str());
    let mut streams = [
        server.subscribe(&format!("{HUB}?topic=*"), &[]),
        server.subscribe("/events/public/*", &[]),
    ];
    let mut granted = server.subscribe("/events/public/*", &[all]);
    server.request("POST", HUB, &[all, FORM], "topic=public/1&private=on&data=private");
    server.request("POST", "/events/secret", &[all], "secret");
    server.request("POST", "/events/public/1", &[all], "public");
    for stream in &mut streams {
        assert!(stream.event().unwrap().ends_with("data: public\n\n"));
    }
    assert!(granted.event().unwrap().ends_with("data: private\n\n"));
}

#[test]
fn a_stream_of_public_topics_outlives_its_token() {
    let server = server();
    let claims = json!({"exp": seconds_from_now(2), "tidings": {"subscribe": ["own/*"]}});
    let token = bearer(&claims);
    let headers = [("authorization", token.as_str())];
    let mut public = server.subscribe("/events/public/*", &headers);
    let mut own = server.subscribe("/events?topic=public/*&topic=own/1", &headers);
    assert!(own.is_cut());
    let all = everything();
    server.request("POST", "/events/public/1", &[("authorization", &all)], "after");
    assert!(public.event().unwrap().ends_with("data: after\n\n"));
}

#[test]
fn the_tidings_claim_means_the_same_on_both_apis() {
    let server = server();
    // In the words of Mercure, `*` would be everything, and `**` a topic of that name.
    let token = bearer(&json!({
        "tidings": {"publish": ["a/*"], "subscribe": ["a/*"]},
        "mercure": {"publish": ["*"], "subscribe": ["*"]},
    }));
    let headers = [("authorization", token.as_str())];
    let mut native = server.subscribe("/events/a/*", &headers);
    let mut mercure = server.subscribe(&format!("{HUB}?topic=*"), &headers);
    for (topic, native, over_mercure) in [("a/b/c", 403, 401), ("b", 403, 401), ("a/1", 200, 200)] {
        let answer = server.request("POST", &format!("/events/{topic}"), &headers, topic);
        assert_eq!(answer.status(), native, "{topic}");
        let form = format!("topic={topic}&data={topic}");
        let answer = server.request("POST", HUB, &[headers[0], FORM], form);
        assert_eq!(answer.status(), over_mercure, "{topic}");
    }
    for stream in [&mut native, &mut mercure] {
        assert!(stream.event().unwrap().ends_with("data: a/1\n\n"));
    }
    let refused = bearer(&json!({"tidings": {"subscribe": ["a/**/b"]}}));
    let refused = [("authorization", refused.as_str())];
    let answer = server.request("GET", "/events/a", &refused, "");
    assert_eq!(answer.code(), "token_invalid");
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("member subscribe") && !detail.contains("a/**/b"), "{detail}");
    let answer = server.request("GET", &format!("{HUB}?topic=a"), &refused, "");
    assert_eq!(answer.status(), 401);
}

/// Distinct grants cost what equal ones cost: an event is encoded and kept once.
#[test]
fn readers_of_one_topic_share_a_group_whatever_else_they_may_read() {
    let server = server();
    let mut readers = Vec::new();
    for number in 0..20 {
        let claims = json!({"tidings": {"subscribe": ["a", format!("users/{number}/**")]}});
        let token = bearer(&claims);
        readers.push(server.subscribe("/events/a", &[("authorization", token.as_str())]));
    }
    let operator = bearer(&json!({"tidings": {"operate": ["look"]}}));
    let metrics = server.request("GET", "/metrics", &[("authorization", operator.as_str())], "");
    let groups = metrics.text().lines().find(|line| line.starts_with("tidings_groups ")).unwrap();
    let workers = std::thread::available_parallelism().unwrap().get();
    let count: usize = groups.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1..=workers).contains(&count), "{groups}");
}
