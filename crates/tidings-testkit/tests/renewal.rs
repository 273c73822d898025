//! Another token for a stream that runs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_server::{ApiKey, JwtKey};
use tidings_testkit::http::{Connection, Response};
use tidings_testkit::http2::{LOCALHOST, Peer, frame, get_from, kind};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const KEY: &str = "Bearer key-0123456789abcdef";

fn server(portable: bool) -> TestServer {
    TestServer::builder()
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            let key = ApiKey::new("k", &KEY[7..], &["**"], &["**"]);
            config.http.api_keys = vec![key.unwrap()];
            config.http.expiring_before = Duration::from_secs(30);
        })
        .engine(|engine| engine.portable = portable)
        .start()
}

fn token(subject: &str, topics: &[&str], left_s: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let grant = json!({"subscribe": topics});
    hs256(&json!({"sub": subject, "exp": now + left_s, "tidings": grant}), SECRET)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What `tidings.expiring` says.
fn expiring(stream: &mut Connection) -> Value {
    let event = stream.event().unwrap();
    let data = event.strip_prefix("event: tidings.expiring\ndata: ").unwrap();
    serde_json::from_str(data.trim_end()).unwrap()
}

fn put(server: &TestServer, id: &Value, handle: &Value, credential: &str) -> Response {
    let target = format!("/connections/{}/token", id.as_str().unwrap());
    let body = json!({ "handle": handle }).to_string();
    server.request("PUT", &target, &[("authorization", credential)], body)
}

#[test]
fn a_stream_is_told_and_goes_on_with_another_token() {
    for portable in [false, true] {
        let server = server(portable);
        let first = format!("/events/a?token={}", token("7", &["a"], 3));
        let mut stream = server.subscribe(&first, &[]);
        let mut plain = server.subscribe(&format!("{first}&plain"), &[]);
        let said = expiring(&mut stream);
        assert!(said["in_ms"].as_u64().unwrap() <= 1_000, "a third of three seconds: {said}");
        let renewed = bearer(&token("7", &["a", "b"], 600));
        let answer = put(&server, &said["connection"], &said["handle"], &renewed);
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert!(answer.json()["expires"].as_str() > said["expires"].as_str());
        // The one that was not renewed says when the first token has ended.
        while plain.block_or_rest().is_some() {}
        server.request("POST", "/events/a", &[("authorization", KEY)], "x");
        let event = stream.event().unwrap();
        assert!(event.contains("data: x"), "nothing between: {event}");
    }
}

#[test]
fn a_plain_stream_is_told_nothing_but_has_a_handle_in_its_head() {
    let server = server(false);
    let token = token("7", &["a"], 2);
    let mut stream = server.connect();
    let headers = [("authorization", &*bearer(&token))];
    stream.send(tidings_testkit::http::request("GET", "/events/a?plain", &headers, b""));
    let head = stream.head();
    assert_eq!(head.header("tidings-renew").unwrap().len(), 22);
    let mut all = String::new();
    while let Some(block) = stream.block_or_rest() {
        all += &block;
    }
    assert!(!all.contains("expiring"), "{all}");
}

#[test]
fn nothing_changes_without_the_handle_or_the_right() {
    let server = server(false);
    let open = |target: &str, credential: &str| {
        let mut stream = server.connect();
        let headers = [("authorization", credential)];
        stream.send(tidings_testkit::http::request("GET", target, &headers, b""));
        let head = stream.head();
        let value = |name| head.header(name).map_or(Value::Null, Value::from);
        (stream, value("tidings-connection"), value("tidings-renew"))
    };
    let old = bearer(&token("7", &["a"], 600));
    let (stream, id, handle) = open("/events/a", &old);
    let (_other, _, other) = open("/events/a", &old);
    let (_key, key_id, key_handle) = open("/events/a", KEY);
    assert_eq!(key_handle, Value::Null, "a key has no end");
    let good = bearer(&token("7", &["a"], 1200));
    for (id, handle, credential, status, code) in [
        (&id, &other, &*good, 403, "handle_invalid"),
        (&id, &json!(""), &good, 403, "handle_invalid"),
        (&id, &Value::Null, &good, 403, "handle_invalid"),
        (&key_id, &handle, &good, 403, "handle_invalid"),
        (&id, &handle, KEY, 409, "not_renewable"),
        (&id, &handle, "Bearer wrong", 401, "token_invalid"),
    ] {
        let answer = put(&server, id, handle, credential);
        assert_eq!((answer.status(), &*answer.code()), (status, code), "{handle} {credential}");
    }
    let target = format!("/connections/{}/token", id.as_str().unwrap());
    assert_eq!(server.request("PUT", &target, &[], "{}").code(), "token_required");
    let long = json!({"handle": "x".repeat(300)}).to_string();
    let headers = [("authorization", good.as_str())];
    assert_eq!(server.request("PUT", &target, &headers, long).status(), 413);
    let foreign = bearer(&token("8", &["a"], 1200));
    assert_eq!(put(&server, &id, &handle, &foreign).code(), "subject_differs");
    let narrow = bearer(&token("7", &["b"], 1200));
    let answers: Vec<_> =
        std::iter::repeat_with(|| put(&server, &id, &handle, &narrow).code()).take(3).collect();
    assert!(answers.iter().any(|code| code == "too_many_renewals"), "{answers:?}");
    drop(stream);
}

#[test]
fn a_token_that_covers_less_leaves_the_stream_its_end() {
    for portable in [false, true] {
        let server = server(portable);
        let target = format!("/events/a?token={}", token("7", &["a"], 3));
        let mut stream = server.subscribe(&target, &[]);
        let said = expiring(&mut stream);
        let narrow = bearer(&token("7", &["b"], 600));
        let answer = put(&server, &said["connection"], &said["handle"], &narrow);
        assert_eq!((answer.status(), &*answer.code()), (403, "not_granted"));
        while stream.block_or_rest().is_some() {}
        // The handle of a stream that is closed.
        let good = bearer(&token("7", &["a"], 600));
        let mut code = String::new();
        while code.is_empty() || code == "too_many_renewals" {
            code = put(&server, &said["connection"], &said["handle"], &good).code();
        }
        assert_eq!(code, "connection_unknown");
    }
}

#[test]
fn a_stream_over_http2_is_told_and_goes_on() {
    let server = server(false);
    let mut peer = Peer::connect(server.address(), &[]);
    let target = format!("/events/a?token={}", token("7", &["a"], 3));
    peer.send(&frame(kind::HEADERS, 5, 1, &get_from(&target, &[LOCALHOST])));
    let told = peer.until(|frame| contains(&frame.payload, "tidings.expiring"));
    let text = String::from_utf8(told.payload).unwrap();
    let data = text.split("data: ").nth(1).unwrap().lines().next().unwrap();
    let said: Value = serde_json::from_str(data).unwrap();
    let renewed = bearer(&token("7", &["a"], 600));
    let mut ends =
        server.subscribe(&format!("/events/a?plain&token={}", token("7", &["a"], 2)), &[]);
    assert_eq!(put(&server, &said["connection"], &said["handle"], &renewed).status(), 200);
    while ends.block_or_rest().is_some() {}
    server.request("POST", "/events/a", &[("authorization", KEY)], "still here");
    let last = peer.until(|frame| contains(&frame.payload, "still here") || frame.ends_stream());
    assert!(!last.ends_stream());
}

fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}
