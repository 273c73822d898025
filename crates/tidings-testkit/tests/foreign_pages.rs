//! Which pages may change something with what a browser adds to their requests by itself: every row
//! of `Origin` and `Sec-Fetch-Site` × every such right × every request that changes something.

use serde_json::json;
use tidings_hub::Matcher;
use tidings_server::{Config, Cors, JwtKey, Sessions};
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

/// What else a session changes, and the status where it may.
const CHANGES_OF_SESSIONS: &[(&str, &str, u16)] = &[
    ("POST", "/links?topic=a&for=1m", 200),
    ("DELETE", "/connections/1-1", 404),
    ("DELETE", "/session", 204),
];

/// A session of which this page is the owner: its cookie.
fn session(server: &TestServer, token: &str, page: &[(&str, &str)]) -> String {
    let headers = [page, &[("authorization", token)]].concat();
    let answer = server.request("POST", "/session", &headers, "");
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

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

#[test]
fn a_session_changes_something_only_for_pages_of_its_own_origin() {
    let server = TestServer::builder()
        .config(|config| {
            cors(config);
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.sessions = Some(Sessions::default());
        })
        .start();
    let grant = json!({"publish": ["**"], "subscribe": ["**"], "operate": ["kick"]});
    let bearer = format!("Bearer {}", hs256(&json!({"tidings": grant}), SECRET));
    let app = [("origin", "https://app.example"), ("sec-fetch-site", "cross-site")];
    let own = [("sec-fetch-site", "same-origin")];
    let changes =
        CHANGES.iter().map(|(method, target, kind, body)| (*method, *target, *kind, *body, 200));
    let others = CHANGES_OF_SESSIONS.iter();
    let others = others.map(|(method, target, status)| (*method, *target, TEXT, "", *status));
    for (method, target, kind, body, good) in changes.chain(others) {
        for &(origin, site, may, _) in ROWS {
            let is_app = origin == Some("https://app.example");
            for (owner, is_own) in [(&own[..], !is_app), (&app[..], is_app)] {
                server.request("POST", "/events/a", &[("authorization", &bearer)], "x");
                let cookie = session(&server, &bearer, owner);
                let headers = [&page(origin, site)[..], &[kind, ("cookie", &cookie)]].concat();
                let answer = server.request(method, target, &headers, body);
                let case = format!("{method} {target} {origin:?} {site:?} {owner:?}: {answer:?}");
                // A link outlives the session, so only the hub's own page makes one.
                let makes_link = target.starts_with("/links");
                if may && is_own && !(makes_link && is_app) {
                    assert_eq!(answer.status(), good, "{case}");
                } else {
                    assert_eq!(answer.status(), 403, "{case}");
                }
            }
            // What needs a token is not done with a cookie, whatever the page.
            let cookie = session(&server, &bearer, &own);
            let headers = [&page(origin, site)[..], &[("cookie", &cookie)]].concat();
            for (method, target) in [("POST", "/session"), ("PUT", "/connections/1-1/token")] {
                let answer = server.request(method, target, &headers, "{}");
                let case = format!("{method} {target} {origin:?} {site:?}: {answer:?}");
                assert!([401, 403].contains(&answer.status()), "{case}");
            }
        }
    }
}

#[test]
fn what_everybody_may_publish_no_foreign_page_publishes() {
    let server = TestServer::builder()
        .config(|config| {
            cors(config);
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.anonymous_publish = vec![Matcher::parse("a").unwrap()];
        })
        .start();
    let is_publish = |target: &str| target.starts_with("/events") || target == HUB;
    for &(origin, site, _, may) in ROWS {
        for (method, target, kind, body) in CHANGES {
            if may {
                // What another request has ended begins again.
                server.request("POST", "/events/a", &[], "x");
            }
            let headers = [&page(origin, site)[..], &[*kind]].concat();
            let status = server.request(method, target, &headers, body).status();
            let case = format!("{method} {target} {origin:?} {site:?}");
            let expected = match may {
                _ if !is_publish(target) => [401, 403],
                true => [200; 2],
                false => [403; 2],
            };
            assert!(expected.contains(&status), "{case}: {status}");
        }
    }
}
