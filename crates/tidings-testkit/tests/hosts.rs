//! DNS rebinding: an open hub answers only for its own hosts.

use tidings_server::{AllowedHosts, ApiKey};
use tidings_testkit::http::request;
use tidings_testkit::http2::{Peer, frame, get_from};
use tidings_testkit::server::TestServer;

const STREAM: (&str, &str) = ("accept", "text/event-stream");
const JSON: (&str, &str) = ("accept", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Every route, and every way to change something.
const REQUESTS: [(&str, &str, (&str, &str)); 20] = [
    ("GET", "/", JSON),
    ("GET", "/tidings.js", JSON),
    ("GET", "/tidings/stream.js", JSON),
    ("GET", "/events?topic=**", STREAM),
    ("GET", "/events/a", STREAM),
    ("GET", "/events/a", JSON),
    ("GET", "/events/a?wait=1ms&last=0", JSON),
    ("POST", "/events/a", JSON),
    ("POST", "/events", ("content-type", "application/x-ndjson")),
    ("DELETE", "/events/a", JSON),
    ("OPTIONS", "/events/a", JSON),
    ("GET", "/topics", JSON),
    ("GET", "/stats", JSON),
    ("GET", "/metrics", JSON),
    ("GET", "/connections/1-1", JSON),
    ("GET", "/healthz", JSON),
    ("GET", "/openapi.json", JSON),
    ("GET", "/.well-known/mercure?topic=*&lastEventID=earliest", STREAM),
    ("POST", "/.well-known/mercure", FORM),
    ("GET", "/.well-known/mercure/subscriptions", JSON),
];

#[test]
fn a_page_whose_name_resolves_to_loopback_cannot_reach_an_open_hub() {
    let server = TestServer::start();
    assert_eq!(server.post("/events/a", "secret").status(), 200);
    for (method, target, header) in REQUESTS {
        let body = if method == "POST" { "topic=a&data=x" } else { "" };
        let rebound =
            server.request(method, target, &[header, ("host", "evil.example:8080")], body);
        assert_eq!(rebound.status(), 421, "{method} {target}: {rebound:?}");
        assert_eq!(rebound.code(), "host_not_allowed");
        let detail = rebound.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("allowed-host = [\"evil.example\"]"), "{detail}");
        assert!(!rebound.text().contains("secret"));
    }
    assert_eq!(server.get_json("/stats").json()["published"], 1, "nothing was published");
    assert_eq!(server.get_json("/topics").json()["topics"][0]["ended"], false);
}

#[test]
fn a_missing_host_or_one_in_another_place_is_no_way_around_the_check() {
    let server = TestServer::start();
    for bytes in [
        "GET /stats HTTP/1.0\r\n\r\n",
        "GET /stats HTTP/1.0\r\nhost: evil.example\r\n\r\n",
        "GET http://evil.example/stats HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET http://localhost/stats HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    ] {
        let mut connection = server.connect();
        connection.send(bytes);
        assert_eq!(connection.response().status(), 421, "{bytes:?}");
    }
    for host in ["localhost:1", "LocalHost.", "127.0.0.2:8080", "[::1]:8080", "app.localhost"] {
        let answer = server.request("GET", "/stats", &[("host", host)], "");
        assert_eq!(answer.status(), 200, "{host}");
    }
}

#[test]
fn the_authority_of_http_2_is_a_host_too() {
    let server = TestServer::start();
    for (authority, allowed) in [("evil.example", false), ("localhost:80", true)] {
        let mut peer = Peer::connect(server.address(), &[]);
        let head = get_from("/stats", &[("\x01", authority)]);
        peer.send(&frame(1, 5, 1, &head));
        let answered = peer.until(|frame| frame.kind == 1);
        // `:status 200` is a byte of its own in the static table (RFC 7541, appendix A).
        assert_eq!(answered.payload.first() == Some(&0x88), allowed, "{authority}");
    }
}

#[test]
fn allowed_hosts_and_hubs_with_keys_answer() {
    let listed = TestServer::builder()
        .config(|config| config.http.allowed_hosts = AllowedHosts::new(["hub.example"]).unwrap())
        .start();
    for (host, status) in [("HUB.example:8080", 200), ("evil.example", 421)] {
        assert_eq!(listed.request("GET", "/stats", &[("host", host)], "").status(), status);
    }
    let key = ApiKey::new("all", "0123456789abcdef", &["**"], &["**"]).unwrap();
    let keyed = TestServer::builder().config(|config| config.http.api_keys = vec![key]).start();
    let mut connection = keyed.connect();
    let bearer = ("authorization", "Bearer 0123456789abcdef");
    connection.send(request("GET", "/stats", &[bearer, ("host", "any.example")], b""));
    assert_eq!(connection.response().status(), 200);
}

#[test]
fn every_answer_forbids_guessing_its_type() {
    let server = TestServer::start();
    for (method, target, header) in REQUESTS {
        for host in ["localhost", "evil.example", "a b"] {
            let mut connection = server.connect();
            connection.send(request(method, target, &[header, ("host", host)], b""));
            let head = connection.head();
            let given = head.headers.iter().filter(|(name, _)| name == "x-content-type-options");
            let given: Vec<_> = given.map(|(_, value)| value.as_str()).collect();
            assert_eq!(given, ["nosniff"], "{method} {target} of {host}: {head:?}");
        }
    }
}
