//! `POST /links`: a signed link to a part of what the caller may read.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_hub::{Grant, Matcher, Operate};
use tidings_server::{ApiKey, Cors, JwtKey};
use tidings_testkit::http::Response;
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const KEY: &str = "Bearer key-0123456789abcdef";
const APP: &str = "https://app.example";
const JSON: (&str, &str) = ("accept", "application/json");

fn server() -> TestServer {
    TestServer::builder()
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            let key = ApiKey::new("ops", &KEY[7..], &["**"], &["**"]).unwrap();
            let operate = Operate { look: true, kick: true };
            let grant = Grant { operate, ..Grant::clone(key.grant()) };
            config.http.api_keys = vec![key.with_grant(grant)];
            config.http.anonymous_subscribe = vec![Matcher::parse("public").unwrap()];
            config.http.cors = Cors::new([APP], true).unwrap();
        })
        .start()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token of user 7 that reads `rooms/**` for a minute.
fn token() -> String {
    let claims = json!({"sub": "7", "exp": now() + 60, "tidings": {"subscribe": ["rooms/**"]}});
    format!("Bearer {}", hs256(&claims, SECRET))
}

fn ask(server: &TestServer, query: &str, credential: &str) -> Response {
    let headers = [("authorization", credential)];
    server.request("POST", &format!("/links?{query}"), &headers, "")
}

fn link(server: &TestServer, query: &str, credential: &str) -> (String, u64) {
    let answer = ask(server, query, credential);
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let expires = body["expires"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    (body["link"].as_str().unwrap().to_owned(), u64::try_from(expires.as_second()).unwrap())
}

fn read(server: &TestServer, link: &str) -> Vec<Value> {
    let answer = server.request("GET", &format!("{link}&from=start"), &[JSON], "");
    assert_eq!(answer.status(), 200, "{link}: {answer:?}");
    let body = answer.json();
    body["events"].as_array().unwrap().iter().map(|event| event["topic"].clone()).collect()
}

#[test]
fn a_link_reads_the_topics_it_was_made_for_and_no_others() {
    let server = server();
    for topic in ["rooms/7", "rooms/8", "rooms/a%20b%26c", "other"] {
        server.request("POST", &format!("/events/{topic}"), &[("authorization", KEY)], "x");
    }
    let (one, _) = link(&server, "topic=rooms/7&for=5m", &token());
    assert_eq!(read(&server, &one), ["rooms/7"]);
    let (two, _) = link(&server, "topic=rooms/8&for=5m&topic=rooms/a%20b%26c", &token());
    assert_eq!(read(&server, &two), ["rooms/8", "rooms/a b&c"]);
    let (pattern, _) = link(&server, "topic=rooms/*&for=5m", &token());
    assert_eq!(read(&server, &pattern).len(), 3);
    let mut stream = server.subscribe(&one, &[]);
    server.request("POST", "/events/rooms/7", &[("authorization", KEY)], "live");
    assert!(stream.event().unwrap().ends_with("data: live\n\n"));
    let answer = server.request("POST", &one, &[], "x");
    assert_eq!((answer.status(), answer.code().as_str()), (401, "link_invalid"));
    let other = one.replace("rooms%2F7", "rooms%2F8");
    assert_eq!(server.request("GET", &other, &[JSON], "").code(), "link_invalid");
}

#[test]
fn a_link_ends_with_the_credential_that_made_it() {
    let server = server();
    let (_, ends) = link(&server, "topic=rooms/7&for=1h", &token());
    assert!(ends <= now() + 60, "the token ends in a minute");
    let (_, ends) = link(&server, "topic=rooms/7&for=10s", &token());
    assert!(ends <= now() + 10);
    let (_, ends) = link(&server, "topic=rooms/7&for=90d", KEY);
    assert!(ends <= now() + 24 * 3600, "a day is the most that the hub accepts");
}

#[test]
fn nobody_passes_on_what_their_own_credential_does_not_cover() {
    let server = server();
    for topic in ["**", "rooms", "other", "*/7", "public"] {
        let answer = ask(&server, &format!("topic=rooms/7&topic={topic}&for=5m"), &token());
        assert_eq!((answer.status(), answer.code().as_str()), (403, "not_granted"), "{topic}");
    }
    for topic in ["public", "rooms/7"] {
        let answer = server.request("POST", &format!("/links?topic={topic}&for=5m"), &[], "");
        assert_eq!((answer.status(), answer.code().as_str()), (401, "token_required"), "{topic}");
    }
}

#[test]
fn a_denied_user_reads_with_no_link_that_was_made_before() {
    let server = server();
    let (of_user, _) = link(&server, "topic=rooms/7&for=50s", &token());
    let (of_key, _) = link(&server, "topic=rooms/7&for=50s", KEY);
    for subject in ["7", "key:ops"] {
        let target = format!("/connections?sub={subject}&deny=1h");
        assert_eq!(server.request("DELETE", &target, &[("authorization", KEY)], "").status(), 200);
    }
    for link in [of_user, of_key] {
        assert_eq!(server.request("GET", &link, &[JSON], "").code(), "denied");
    }
}

#[test]
fn a_session_of_the_hubs_own_page_makes_links_and_one_of_another_page_does_not() {
    let server = server();
    let token = token();
    for (origin, site, expected) in
        [(None, "same-origin", "ok"), (Some(APP), "cross-site", "origin_not_allowed")]
    {
        let mut page = vec![("sec-fetch-site", site)];
        page.extend(origin.map(|origin| ("origin", origin)));
        let mut start = page.clone();
        start.push(("authorization", &token));
        let started = server.request("POST", "/session?name=console", &start, "");
        let cookie = started.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        page.push(("cookie", &cookie));
        let target = "/links?topic=rooms/7&for=5m&session=console";
        let answer = server.request("POST", target, &page, "");
        let code = if answer.status() == 200 { "ok".to_owned() } else { answer.code() };
        assert_eq!(code, expected, "{origin:?}");
    }
}

#[test]
fn a_request_for_a_link_that_cannot_be_meant_says_what_is_missing() {
    let server = server();
    for (query, code) in [
        ("", "invalid_parameter"),
        ("for=5m", "invalid_query"),
        ("topic=rooms/7", "invalid_parameter"),
        ("topic=rooms/7&for=5", "invalid_parameter"),
        ("topic=rooms/7&for=0s", "invalid_parameter"),
        ("topic=rooms/7&for=5m&until=9", "invalid_query"),
        ("topic=rooms/7&for=5m&for=6m", "invalid_query"),
        ("topic=a%0Ab&for=5m", "invalid_matcher"),
    ] {
        let answer = ask(&server, query, KEY);
        assert_eq!((answer.status(), answer.code().as_str()), (400, code), "{query}");
    }
    let many = "topic=a&".repeat(2000);
    assert_eq!(ask(&server, &format!("{many}for=5m"), KEY).status(), 400);
    let open = TestServer::start();
    let answer = open.request("POST", "/links?topic=a&for=5m", &[], "");
    assert_eq!((answer.status(), answer.code().as_str()), (404, "not_found"));
}
