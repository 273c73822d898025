//! Web pages of other origins as Mercure clients.

use crate::mercure::{HUB, Tokens, bearer, drop_in};
use tidings_server::Cors;
use tidings_testkit::http::request;
use tidings_testkit::server::TestServer;

const PAGE: (&str, &str) = ("origin", "https://app.example");
const OTHER: (&str, &str) = ("origin", "https://elsewhere.example");
const METHOD: (&str, &str) = ("access-control-request-method", "GET");

#[test]
fn a_preflight_is_answered_204_with_exactly_the_listed_headers() {
    let server = drop_in();
    let answer = server.request("OPTIONS", HUB, &[PAGE, METHOD], "");
    assert_eq!((answer.status(), answer.body.len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, HEAD, POST, QUERY"),
        ("access-control-allow-headers", "authorization, cache-control, last-event-id"),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[test]
fn a_page_from_another_origin_gets_no_permission() {
    let server = drop_in();
    let preflight = server.request("OPTIONS", HUB, &[OTHER, METHOD], "");
    assert_eq!(preflight.status(), 204);
    let answer = server.request("GET", HUB, &[OTHER], "");
    for answer in [preflight, answer] {
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert!(!answer.head.headers.iter().any(|(name, _)| name.starts_with("access-control")));
    }
}

#[test]
fn an_allowed_page_can_read_streams_rejections_and_where_a_stream_begins() {
    let server = drop_in();
    let token = bearer(&Tokens::everything().zero);
    let mut stream = server.connect();
    let headers = [PAGE, ("authorization", &token), ("last-event-id", "x")];
    stream.send(request("GET", &format!("{HUB}?topic=a"), &headers, b""));
    let refused = server.request("GET", HUB, &[PAGE], "");
    assert_eq!(refused.status(), 401);
    for head in [stream.head(), refused.head] {
        assert_eq!(head.header("access-control-allow-origin"), Some("https://app.example"));
        assert_eq!(head.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(
            head.header("access-control-expose-headers"),
            Some("Link, Last-Event-ID, Mercure-Last-Event-ID")
        );
    }
}

#[test]
fn a_star_allows_every_page_without_credentials() {
    let server = TestServer::builder()
        .config(|config| config.http.cors = Cors::new(["*"], false).unwrap())
        .start();
    let answer = server.request("OPTIONS", HUB, &[OTHER, METHOD], "");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    assert_eq!(answer.header("vary"), None);
}

#[test]
fn without_configured_origins_there_are_no_cors_headers() {
    let server = TestServer::start();
    let answer = server.request("GET", HUB, &[PAGE], "");
    assert_eq!(answer.status(), 400);
    assert!(!answer.head.headers.iter().any(|(name, _)| name.starts_with("access-control")));
}
