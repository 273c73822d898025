//! M7: web pages from other origins.

use tidings_server::Cors;
use tidings_testkit::http::request;
use tidings_testkit::server::TestServer;

const PAGE: (&str, &str) = ("origin", "https://app.example");
const OTHER: (&str, &str) = ("origin", "https://elsewhere.example");
const METHOD: (&str, &str) = ("access-control-request-method", "POST");

fn server(origins: &[&str], credentials: bool) -> TestServer {
    let cors = Cors::new(origins, credentials).unwrap();
    TestServer::builder().config(|config| config.http.cors = cors).start()
}

#[test]
fn a_preflight_is_answered_204_with_what_is_allowed() {
    let server = server(&["https://app.example"], true);
    let answer = server.request("OPTIONS", "/events/a", &[PAGE, METHOD], "");
    assert_eq!((answer.status(), answer.body.len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, POST, DELETE"),
        ("vary", "origin"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    let headers = answer.header("access-control-allow-headers").unwrap();
    for name in ["authorization", "content-type", "last-event-id", "cache-control"] {
        assert!(headers.split(", ").any(|allowed| allowed == name), "{headers}");
    }
    assert!(answer.header("access-control-max-age").is_some());
}

#[test]
fn a_page_of_an_allowed_origin_may_set_the_headers_that_it_asks_for() {
    let server = server(&["https://app.example"], false);
    for asked in ["datastar-request,last-event-id", "hx-request, hx-target", "if-none-match"] {
        let asked = ("access-control-request-headers", asked);
        let answer = server.request("OPTIONS", "/events/a", &[PAGE, METHOD, asked], "");
        assert_eq!(answer.header("access-control-allow-headers"), Some(asked.1));
        assert_eq!(answer.header("access-control-max-age"), Some("7200"));
    }
    // What is no list of names is not repeated.
    let asked = ("access-control-request-headers", "a b, c");
    let answer = server.request("OPTIONS", "/events/a", &[PAGE, METHOD, asked], "");
    assert!(!answer.header("access-control-allow-headers").unwrap().contains("a b"));
}

#[test]
fn a_preflight_from_another_origin_is_rejected_and_says_what_to_do() {
    let server = server(&["https://app.example"], true);
    let answer = server.request("OPTIONS", "/events/a", &[OTHER, METHOD], "");
    assert_eq!((answer.status(), answer.code().as_str()), (403, "origin_not_allowed"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("https://elsewhere.example"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn streams_pages_and_problems_can_be_read_by_an_allowed_page() {
    for portable in [false, true] {
        let cors = Cors::new(["https://app.example"], true).unwrap();
        let server = TestServer::builder()
            .config(|config| config.http.cors = cors)
            .engine(|engine| engine.portable = portable)
            .start();
        let mut stream = server.connect();
        stream.send(request("GET", "/events/a", &[PAGE, ("accept", "text/event-stream")], b""));
        let accept = ("accept", "application/json");
        let heads = [
            stream.head(),
            server.request("GET", "/events/a", &[PAGE, accept], "").head,
            server.request("POST", "/events/a", &[PAGE], "x").head,
            server.request("GET", "/nowhere", &[PAGE], "").head,
        ];
        for head in heads {
            assert_eq!(head.header("access-control-allow-origin"), Some("https://app.example"));
            assert_eq!(head.header("access-control-allow-credentials"), Some("true"));
            assert_eq!(head.header("vary"), Some("origin"));
            let exposed = head.header("access-control-expose-headers").unwrap();
            assert!(exposed.split(", ").any(|name| name == "tidings-resume"));
        }
    }
}

#[test]
fn other_origins_and_programs_get_no_permission_but_caches_get_vary() {
    let server = server(&["https://app.example"], false);
    for headers in [&[OTHER][..], &[]] {
        let answer = server.request("GET", "/healthz", headers, "");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("vary"), Some("origin"));
    }
    let allowed = server.request("GET", "/healthz", &[PAGE], "");
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
}

#[test]
fn a_star_allows_every_page_without_credentials() {
    let server = server(&["*"], false);
    let answer = server.request("GET", "/healthz", &[OTHER], "");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("vary"), None);
    assert_eq!(server.request("POST", "/events/a", &[OTHER], "x").status(), 200);
}

/// No page that a developer looks at may publish to an open hub on the developer's machine: such a
/// `POST` needs no preflight.
#[test]
fn without_a_token_a_page_of_a_foreign_origin_changes_nothing() {
    let server = TestServer::start();
    let host = server.address().to_string();
    for method in ["POST", "DELETE"] {
        let answer = server.request(method, "/events/a", &[OTHER], "x");
        assert_eq!((answer.status(), answer.code().as_str()), (403, "origin_not_allowed"));
        let sandboxed = server.request(method, "/events/a", &[("origin", "null")], "x");
        assert_eq!(sandboxed.status(), 403);
    }
    let own = format!("http://{host}");
    let answer = server.request("POST", "/events/a", &[("host", &host), ("origin", &own)], "x");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn origins_are_compared_as_origins() {
    let server = server(&["https://App.example:443"], false);
    for origin in ["https://app.example", "https://app.example:443", "HTTPS://APP.example"] {
        let answer = server.request("POST", "/events/a", &[("origin", origin)], "x");
        assert_eq!(answer.status(), 200, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    }
    // The hub's own page, behind a proxy that names the default port. Whether the proxy speaks TLS
    // is the word of the browser.
    for (host, origin, plain, same) in [
        ("localhost:443", "https://localhost", 403, 200),
        ("LOCALHOST", "https://localhost:443", 403, 200),
        ("localhost:80", "http://localhost", 200, 200),
        ("localhost:443", "http://localhost", 403, 403),
        ("localhost:8080", "http://localhost:8081", 403, 403),
        ("localhost", "https://localhost:8443", 403, 403),
    ] {
        let headers = [("host", host), ("origin", origin), ("sec-fetch-site", "same-origin")];
        let answer = server.request("POST", "/events/a", &headers[..2], "x");
        assert_eq!(answer.status(), plain, "{host} {origin}");
        let answer = server.request("POST", "/events/a", &headers, "x");
        assert_eq!(answer.status(), same, "{host} {origin}, of the same origin");
    }
}
