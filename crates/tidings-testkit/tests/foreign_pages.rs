//! Which pages may change something with what a browser adds to their requests by itself: every row
//! of `Origin` and `Sec-Fetch-Site` × every such right × every request that changes something.

#![allow(clippy::unwrap_used)]

use serde_json::json;
use tidings_server::{Config, Cors, JwtKey};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const HUB: &str = "/.well-known/mercure";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
const TEXT: (&str, &str) = ("content-type", "text/plain");

/// What a browser says about the page, and whether it may change something with a cookie, and by
/// merely reaching the hub.
const ROWS: &[(Option<&str>, Option<&str>, bool, bool)] = &[
    (Some("http://localhost"), Some("same-origin"), true, true),
    (Some("http://localhost"), None, true, true),
    (Some("https://app.example"), Some("cross-site"), true, true),
    (Some("https://evil.example"), Some("cross-site"), false, false),
    (Some("https://evil.example"), Some("same-origin"), false, false),
    (Some("https://localhost"), Some("cross-site"), false, false),
    (None, Some("same-origin"), true, true),
    (Some("null"), Some("same-origin"), true, true),
    (None, Some("none"), false, true),
    (Some("null"), Some("none"), false, true),
    (None, Some("same-site"), false, false),
    (None, Some("cross-site"), false, false),
    (Some("null"), Some("same-site"), false, false),
    (Some("null"), Some("cross-site"), false, false),
    (None, None, false, true),
    (Some("null"), None, false, false),
];

/// Every request that changes something.
const CHANGES: &[(&str, &str, (&str, &str), &str)] = &[
    ("POST", "/events/a", TEXT, "x"),
    ("POST", "/events", LINES, "{\"topic\":\"a\"}\n"),
    ("POST", "/events/a", ("content-type", "text/event-stream"), "data: x\n\n"),
    ("DELETE", "/events/a", TEXT, "x"),
    ("DELETE", "/connections?sub=nobody", TEXT, ""),
    ("DELETE", "/denials?sub=nobody", TEXT, ""),
    ("POST", HUB, FORM, "topic=a&data=x"),
];

fn cors(config: &mut Config) {
    config.http.cors = Cors::new(["https://app.example"], true).unwrap();
}

fn page<'a>(origin: Option<&'a str>, site: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let origin = origin.map(|origin| ("origin", origin));
    origin.into_iter().chain(site.map(|site| ("sec-fetch-site", site))).collect()
}

#[test]
fn on_an_open_hub_no_foreign_page_changes_anything() {
    let server = TestServer::builder().config(cors).start();
    for &(origin, site, _, may) in ROWS {
        for (method, target, kind, body) in CHANGES {
            // What another request has ended begins again.
            server.post("/events/a", "x");
            let mut headers = page(origin, site);
            headers.push(*kind);
            let answer = server.request(method, target, &headers, body);
            let expected = if may { 200 } else { 403 };
            let case = format!("{method} {target} {origin:?} {site:?}: {answer:?}");
            assert_eq!(answer.status(), expected, "{case}");
            if !may && *target != HUB {
                assert_eq!(answer.code(), "origin_not_allowed", "{case}");
            }
        }
    }
}

#[test]
fn a_page_with_a_token_is_asked_for_nothing_else_and_one_with_a_cookie_is() {
    let server = TestServer::builder()
        .config(|config| {
            cors(config);
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
        })
        .start();
    let grant = json!({"publish": ["**"], "subscribe": ["**"], "operate": ["kick"]});
    let token = hs256(&json!({"tidings": grant}), SECRET);
    let (bearer, cookie) = (format!("Bearer {token}"), format!("mercureAuthorization={token}"));
    for &(origin, site, may, _) in ROWS {
        for (method, target, kind, body) in CHANGES {
            server.request("POST", "/events/a", &[("authorization", &bearer)], "x");
            let mut headers = page(origin, site);
            headers.push(*kind);
            let case = format!("{method} {target} {origin:?} {site:?}");
            let with_bearer = [&headers[..], &[("authorization", &bearer)]].concat();
            assert_eq!(server.request(method, target, &with_bearer, body).status(), 200, "{case}");
            headers.push(("cookie", &cookie));
            let status = server.request(method, target, &headers, body).status();
            // The native API does not read the cookie of the protocol beside it.
            let expected = if *target == HUB && may { 200 } else { 401 };
            assert_eq!(status, expected, "{case}");
        }
    }
}
