//! Signed links: reading until a moment, without a token.

use std::time::{SystemTime, UNIX_EPOCH};

use tidings_hub::Matcher;
use tidings_server::{ApiKey, Config, Link, LinkKey};
use tidings_testkit::http::request;
use tidings_testkit::server::TestServer;

const ALL: (&str, &str) = ("authorization", "Bearer key-0123456789abcdef");

fn key() -> LinkKey {
    let topics = vec![Matcher::parse("orders/**").unwrap()];
    LinkKey::new("a", "0123456789abcdef0123456789abcdef", topics).unwrap()
}

fn configure(config: &mut Config) {
    config.http.link_keys = vec![key()];
    config.http.api_keys =
        vec![ApiKey::new("k", "key-0123456789abcdef", &["**"], &["**"]).unwrap()];
}

fn server() -> TestServer {
    TestServer::builder().config(configure).start()
}

fn seconds_from_now(seconds: i64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    now.checked_add_signed(seconds).unwrap()
}

/// `until=…&sig=…` for these topics.
fn signed(seconds: i64, topics: &[&str]) -> String {
    let until = seconds_from_now(seconds);
    format!("until={until}&sig={}", key().sign(&Link { until, subject: "", topics }))
}

#[test]
fn a_link_reads_its_topics_however_its_url_is_spelt() {
    let server = server();
    let one = signed(60, &["orders/7"]);
    let mut streams = [
        server.subscribe(&format!("/events/orders/7?{one}"), &[]),
        server.subscribe(&format!("/events/orders%2F7?{one}"), &[]),
        server.subscribe(&format!("/events/%6frders%2f7?{one}"), &[]),
        server.subscribe(&format!("/events?topic=orders%2F7&{one}"), &[]),
        server.subscribe(&format!("/events?{one}&topic=orders/7&last=5"), &[]),
        server.subscribe(&format!("/events/orders/*?{}", signed(60, &["orders/*"])), &[]),
    ];
    for topic in ["orders/8/a", "users/7", "orders/7"] {
        server.request("POST", &format!("/events/{topic}"), &[ALL], topic);
    }
    for stream in &mut streams {
        assert!(stream.event().unwrap().ends_with("data: orders/7\n\n"));
    }
    let json = [("accept", "application/json")];
    let answer = server.request("GET", &format!("/events/orders/7?{one}"), &json, "");
    assert_eq!(answer.json()["events"].as_array().unwrap().len(), 1);
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut head = server.connect();
    head.send(request("HEAD", &format!("/events/orders/7?{one}"), &[], b""));
    let head = head.head();
    assert_eq!((head.status, head.header("cache-control")), (200, Some("no-store")));
}

#[test]
fn a_link_for_other_topics_or_for_nothing_but_reading_is_401() {
    let server = server();
    let one = signed(60, &["orders/7"]);
    let two = signed(60, &["orders/7", "orders/8"]);
    for (target, code) in [
        (format!("/events/orders/8?{one}"), "link_invalid"),
        (format!("/events/orders/*?{one}"), "link_invalid"),
        (format!("/events/orders/7?{one}&topic=orders/8"), "link_invalid"),
        (format!("/events?{one}"), "link_invalid"),
        (format!("/events/orders/8?{two}&topic=orders/7"), "link_invalid"),
        (format!("/events/orders/7?{one}&sub=u"), "link_invalid"),
        (format!("/events/orders/7?{}", one.replace("sig=a", "sig=b")), "link_invalid"),
        (format!("/events/users/7?{}", signed(60, &["users/7"])), "link_invalid"),
        (format!("/events/orders/7?{}", signed(0, &["orders/7"])), "link_expired"),
        (format!("/events/orders/7?{}", signed(90_000, &["orders/7"])), "link_too_long"),
        (format!("/topics?{one}"), "link_invalid"),
        (format!("/stats?{one}"), "link_invalid"),
        (format!("/metrics?topic=orders/7&{one}"), "link_invalid"),
        (format!("/events/orders/7?{one}&{one}"), "invalid_query"),
        (format!("/events/orders/7?{one}&token=key-0123456789abcdef"), "invalid_query"),
    ] {
        let answer = server.request("GET", &target, &[], "");
        assert_eq!(answer.code(), code, "{target}");
        assert!(!answer.text().contains("sig="), "{}", answer.text());
    }
    for method in ["POST", "DELETE"] {
        let answer = server.request(method, &format!("/events/orders/7?{one}"), &[], "x");
        assert_eq!((answer.status(), answer.code().as_str()), (401, "link_invalid"), "{method}");
    }
    let mercure = format!("/.well-known/mercure?topic=orders/7&{one}");
    assert_eq!(server.request("GET", &mercure, &[], "").status(), 401);
    // A token in the header comes first.
    server.subscribe(&format!("/events/users/7?{one}"), &[ALL]);
}

#[test]
fn a_stream_is_cut_at_the_end_of_its_link_and_its_reconnection_is_401() {
    let server = server();
    let target = format!("/events/orders/7?{}", signed(2, &["orders/7"]));
    let mut stream = server.subscribe(&target, &[]);
    assert!(stream.is_cut(), "the topic has not ended");
    let again = server.request("GET", &target, &[], "");
    assert_eq!((again.status(), again.code().as_str()), (401, "link_expired"));
}

#[test]
fn keys_of_links_close_a_hub_that_has_no_others() {
    let server = TestServer::builder().config(|config| config.http.link_keys = vec![key()]).start();
    assert_eq!(server.request("GET", "/events/orders/7", &[], "").code(), "token_required");
    assert_eq!(server.request("POST", "/events/orders/7", &[], "x").code(), "token_required");
    server.subscribe(&format!("/events/orders/7?{}", signed(60, &["orders/7"])), &[]);
}
