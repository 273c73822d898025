//! Authorization, and the answers to requests without permission.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_server::{ApiKey, BindError, ConfigError, HttpConfig, JwtKey, Server};
use tidings_testkit::http::request;
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const KEY: &str = "key-0123456789abcdef";

fn server() -> TestServer {
    TestServer::builder()
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.api_keys =
                vec![ApiKey::new("door", KEY, &["door/*"], &["door/**"]).unwrap()];
        })
        .start()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn token(claims: &Value) -> String {
    hs256(claims, SECRET)
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

#[test]
fn without_a_token_the_answer_is_401_and_says_how() {
    let server = server();
    for (method, target) in
        [("GET", "/events/a"), ("POST", "/events/a"), ("DELETE", "/events/a"), ("GET", "/topics")]
    {
        let answer = server.request(method, target, &[], "");
        assert_eq!((answer.status(), answer.code().as_str()), (401, "token_required"), "{target}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"tidings\""));
        assert!(answer.json()["detail"].as_str().unwrap().contains("Authorization: Bearer"));
    }
    for target in ["/", "/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(server.request("GET", target, &[], "").status(), 200, "{target}");
    }
}

#[test]
fn a_key_allows_its_topics_and_no_others() {
    let server = server();
    let key = bearer(KEY);
    let headers = [("authorization", key.as_str())];
    assert_eq!(server.request("POST", "/events/door/1", &headers, "x").status(), 200);
    let answer = server.request("POST", "/events/window/1", &headers, "x");
    assert_eq!((answer.status(), answer.code().as_str()), (403, "not_granted"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("window/1"));
    assert!(answer.header("www-authenticate").unwrap().contains("insufficient_scope"));
    assert_eq!(server.request("DELETE", "/events/window/1", &headers, "").status(), 403);
    let mut stream = server.subscribe("/events/door/*", &headers);
    server.request("POST", "/events/door/1", &headers, "y");
    assert!(stream.event().unwrap().contains("data: y"));
    for target in ["/events/**", "/events/*/1", "/events?topic=door/1&topic=window/1"] {
        let answer = server.request("GET", target, &headers, "");
        assert_eq!((answer.status(), answer.code().as_str()), (403, "not_granted"), "{target}");
    }
}

#[test]
fn a_client_without_a_valid_token_learns_nothing_else_about_its_request() {
    let server = server();
    let json = ("accept", "text/html");
    let lines = ("content-type", "application/x-ndjson");
    for (method, target, header) in [
        ("GET", "/events/a?nonsense=1&last=x", json),
        ("GET", "/events/**/a", json),
        ("POST", "/events/a?nonsense=1", json),
        ("POST", "/events/*", lines),
        ("POST", "/events", json),
        ("DELETE", "/events/a?will=x", json),
        ("GET", "/topics?limit=x", json),
        ("GET", "/stats?nonsense=1", json),
        ("GET", "/metrics?nonsense=1", json),
        ("GET", "/connections/nonsense?nonsense=1", json),
    ] {
        for token in [None, Some(("authorization", "Bearer nonsense"))] {
            let headers: Vec<_> = token.into_iter().chain([header]).collect();
            let answer = server.request(method, target, &headers, "");
            assert_eq!(answer.status(), 401, "{method} {target}: {}", answer.code());
        }
    }
}

#[test]
fn without_topics_a_subscriber_gets_what_it_may_read() {
    let server = server();
    let everything = bearer(&token(&json!({ "mercure": { "publish": ["**"], "subscribe": [] } })));
    let writer = [("authorization", everything.as_str())];
    let key = bearer(KEY);
    let mut stream = server.subscribe("/events", &[("authorization", key.as_str())]);
    server.request("POST", "/events/window/1", &writer, "x");
    server.request("POST", "/events/door/1", &writer, "y");
    assert!(stream.event().unwrap().ends_with("data: y\n\n"));
    assert_eq!(server.request("GET", "/events", &writer, "").code(), "not_granted");
    let topics = server.request("GET", "/topics", &[("authorization", &key)], "").json();
    assert_eq!(topics["topics"].as_array().unwrap().len(), 1);
    assert_eq!(topics["topics"][0]["topic"], "door/1");
}

#[test]
fn a_line_for_a_topic_without_a_grant_is_named() {
    let server = server();
    let key = bearer(KEY);
    let headers = [("authorization", key.as_str()), ("content-type", "application/x-ndjson")];
    let lines = "{\"topic\":\"door/1\"}\n{\"topic\":\"window/1\"}\n";
    let answer = server.request("POST", "/events", &headers, lines);
    assert_eq!((answer.code().as_str(), &answer.json()["line"]), ("not_granted", &json!(2)));
    assert_eq!(answer.json()["published"], 0);
}

#[test]
fn a_bad_token_is_rejected_with_the_reason() {
    let server = server();
    let access = json!({ "publish": ["**"] });
    let cases = [
        ("nonsense".to_owned(), "neither a known key nor"),
        (hs256(&json!({ "mercure": access }), b"another secret of thirty-two bytes!"), "signature"),
        (token(&json!({ "mercure": access, "exp": seconds_from_now(-5) })), "expired"),
        (token(&json!({ "mercure": access, "nbf": seconds_from_now(60) })), "not valid yet"),
        (token(&json!({ "sub": "me" })), "no tidings or mercure claim"),
    ];
    for (token, reason) in cases {
        let answer =
            server.request("POST", "/events/a", &[("authorization", &bearer(&token))], "x");
        assert_eq!((answer.status(), answer.code().as_str()), (401, "token_invalid"));
        assert!(answer.json()["detail"].as_str().unwrap().contains(reason), "{reason}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\"") && challenge.contains(reason));
    }
}

#[test]
fn event_source_sends_its_token_in_the_query() {
    let server = server();
    let token = token(&json!({ "https://mercure.rocks/": { "subscribe": ["a"] } }));
    server.subscribe(&format!("/events/a?token={token}"), &[]);
    assert_eq!(server.request("GET", "/events/a?token=wrong", &[], "").status(), 401);
}

#[test]
fn a_stream_ends_with_its_token() {
    let server = server();
    let claims = json!({ "mercure": { "subscribe": ["a"] }, "exp": seconds_from_now(2) });
    let mut stream = server.subscribe(&format!("/events/a?token={}", token(&claims)), &[]);
    assert!(stream.is_cut(), "the topic has not ended");
    let claims = json!({ "mercure": { "subscribe": ["a"] }, "exp": seconds_from_now(-1) });
    let again = server.request("GET", &format!("/events/a?token={}", token(&claims)), &[], "");
    assert_eq!(again.status(), 401);
}

#[test]
fn a_token_cannot_be_a_cross_site_request() {
    let server = server();
    let key = bearer(KEY);
    let headers = [("authorization", key.as_str()), ("origin", "https://elsewhere.example")];
    assert_eq!(server.request("POST", "/events/door/1", &headers, "x").status(), 200);
}

#[test]
fn an_open_hub_on_loopback_accepts_any_token() {
    let server = TestServer::start();
    let answer = server.request("POST", "/events/a", &[("authorization", "Bearer any")], "x");
    assert_eq!(answer.status(), 200);
    let mut connection = server.connect();
    connection.send(request("POST", "/events/a", &[("authorization", "Basic eDp5")], b"x"));
    assert_eq!(connection.response().status(), 200);
}

#[test]
fn an_address_that_others_can_reach_is_not_bound_without_keys() {
    let server = TestServer::start();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let config = HttpConfig { listen: vec![everywhere], ..HttpConfig::default() };
    let refused = Server::bind(config, server.engine().clone()).unwrap_err();
    let BindError::Config(ConfigError::Unprotected { address }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(address, everywhere);
}

#[test]
fn an_address_in_use_is_named() {
    let server = TestServer::start();
    let config = HttpConfig { listen: vec![server.address()], ..HttpConfig::default() };
    let refused = Server::bind(config, server.engine().clone()).unwrap_err();
    assert!(refused.to_string().contains(&server.address().to_string()), "{refused}");
}

/// A token for everything that expires in a moment.
fn short_lived() -> String {
    let access = json!({ "publish": ["**"], "subscribe": ["**"] });
    bearer(&token(&json!({ "mercure": access, "exp": seconds_from_now(2) })))
}

#[test]
fn a_long_poll_ends_with_its_token() {
    let server = server();
    let headers = [("authorization", &*short_lived()), ("accept", "application/json")];
    let answer = server.request("GET", "/events/a?wait=15s", &headers, "");
    assert_eq!((answer.status(), answer.code().as_str()), (401, "token_invalid"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("expired"));
    assert!(answer.header("www-authenticate").unwrap().contains("invalid_token"));
}

#[test]
fn a_stream_of_events_ends_with_its_token_and_says_how_much_was_published() {
    let server = server();
    for (media_type, event) in
        [("application/x-ndjson", "{\"data\":\"x\"}\n"), ("text/event-stream", "data: x\n\n")]
    {
        let token = short_lived();
        let mut publisher = server.connect();
        let mut head = vec![("authorization", &*token), ("content-type", media_type)];
        head.push(("transfer-encoding", "chunked"));
        publisher.send(request("POST", "/events/a", &head, b""));
        publisher.send(format!("{:x}\r\n{event}\r\n", event.len()));
        let answer = publisher.response();
        assert_eq!((answer.status(), answer.code().as_str()), (401, "token_invalid"));
        let json = answer.json();
        assert!(json["detail"].as_str().unwrap().contains("expired"), "{json}");
        assert_eq!(json["published"], 1, "{json}");
        assert!(json["last_id"].is_string(), "{json}");
    }
}

#[test]
fn a_body_that_is_incomplete_when_its_token_expires_publishes_nothing() {
    let server = server();
    for media_type in ["application/x-ndjson", "text/event-stream", "text/plain"] {
        let token = short_lived();
        let mut publisher = server.connect();
        let head =
            [("authorization", &*token), ("content-type", media_type), ("content-length", "100")];
        publisher.send(request("POST", "/events/a", &head, b""));
        publisher.send("{\"data\":\"x\"}\n");
        let answer = publisher.response();
        assert_eq!((answer.status(), answer.code().as_str()), (401, "token_invalid"));
    }
    assert_eq!(server.engine().status().bounds.head.get(), 0);
}
