//! The cookie of a session over Mercure: the same rights as natively, on every way out of the hub.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tidings_server::{Cors, JwtKey};
use tidings_testkit::http::{Connection, Response};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const HUB: &str = "/.well-known/mercure";
const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn server(portable: bool) -> TestServer {
    TestServer::builder()
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.cors = Cors::new(["https://app.example"], true).unwrap();
        })
        .engine(|engine| engine.portable = portable)
        .start()
}

fn bearer(topics: &[&str], seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let grant = json!({"publish": topics, "subscribe": topics, "presence": topics});
    let claims = json!({"sub": "7", "exp": now + seconds, "iat": now, "tidings": grant});
    format!("Bearer {}", hs256(&claims, SECRET))
}

fn sign_in(server: &TestServer, target: &str, token: &str, cookie: &str) -> String {
    let headers = [OWN, ("authorization", token), ("cookie", cookie)];
    let answer = server.request("POST", target, &headers, "");
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.header("set-cookie").unwrap().split_once(';').unwrap().0.to_owned()
}

fn subscribe(server: &TestServer, query: &str, cookie: &str) -> Connection {
    server.subscribe(&format!("{HUB}?{query}"), &[OWN, ("cookie", cookie)])
}

/// Fails if the stream goes on.
fn assert_closed(stream: &mut Connection) {
    assert!(!stream.reads(b"what is never sent"));
}

fn publish(server: &TestServer, topic: &str, more: &str, headers: &[(&str, &str)]) -> Response {
    let headers = [headers, &[FORM]].concat();
    server.request("POST", HUB, &headers, format!("topic={topic}&data={topic}{more}"))
}

#[test]
fn a_session_reads_and_publishes_what_its_token_grants_and_nothing_else() {
    for portable in [false, true] {
        let server = server(portable);
        let cookie = sign_in(&server, "/session", &bearer(&["own/*"], 600), "x=1");
        let with = [OWN, ("cookie", cookie.as_str())];
        let mut all = subscribe(&server, "topic=*", &cookie);
        let everything = bearer(&["**"], 600);
        let operator = [("authorization", everything.as_str())];
        assert_eq!(publish(&server, "other/1", "", &operator).status(), 200);
        assert_eq!(publish(&server, "other/1", "&private=on", &operator).status(), 200);
        assert_eq!(publish(&server, "own/1", "&private=on", &operator).status(), 200);
        assert_eq!(publish(&server, "own/2", "", &with).status(), 200);
        assert_eq!(server.request("POST", "/events/other/2", &operator, "n").status(), 200);
        assert_eq!(server.request("POST", "/events/own/3", &operator, "n").status(), 200);
        for data in ["data: own/1", "data: own/2", "data: n"] {
            let event = all.event().unwrap();
            assert!(event.contains(data), "{event}");
        }
        assert_eq!(publish(&server, "other/3", "", &with).status(), 401);
        // The list is of what the session may know.
        let list = |topic: &str| {
            let target = format!("{HUB}/subscriptions/{}", topic.replace('/', "%2F"));
            server.request("GET", &target, &with, "").status()
        };
        assert_eq!((list("own/1"), list("other/1")), (200, 401));
    }
}

#[test]
fn a_stream_goes_on_with_a_renewal_and_ends_with_the_session_or_a_narrower_grant() {
    for portable in [false, true] {
        let server = server(portable);
        let first = sign_in(&server, "/session", &bearer(&["a", "b"], 3), "x=1");
        let mut kept = subscribe(&server, "topic=a", &first);
        let wide = bearer(&["a", "b"], 600);
        let second = sign_in(&server, "/session", &wide, &first);
        thread::sleep(Duration::from_millis(3500));
        let operator = [("authorization", wide.as_str())];
        assert_eq!(publish(&server, "a", "", &operator).status(), 200);
        let event = kept.event().unwrap();
        assert!(event.contains("data: a"), "{event}");
        let mut wider = subscribe(&server, "topic=a&topic=b", &second);
        let third = sign_in(&server, "/session", &bearer(&["a"], 600), &second);
        assert_closed(&mut wider);
        assert_eq!(publish(&server, "a", "", &operator).status(), 200);
        assert!(kept.event().is_some(), "the narrower grant covers it");
        let mut last = subscribe(&server, "topic=a", &third);
        let out = server.request("DELETE", "/session", &[OWN, ("cookie", &third)], "");
        assert_eq!(out.status(), 204);
        assert_closed(&mut last);
        assert_closed(&mut kept);
        let answer =
            server.request("GET", &format!("{HUB}?topic=a"), &[OWN, ("cookie", &third)], "");
        assert_eq!(answer.status(), 401, "a copy of the cookie");
        assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"), "{answer:?}");
    }
}

#[test]
fn a_session_has_a_name_and_an_owner_over_mercure_too() {
    let server = server(false);
    let cookie = sign_in(&server, "/session?name=app1", &bearer(&["a"], 600), "x=1");
    let read = |query: &str, page: &[(&str, &str)]| {
        let headers = [page, &[("cookie", &*cookie)]].concat();
        server.request("GET", &format!("{HUB}?topic=a{query}"), &headers, "").status()
    };
    // It would be rejected.
    drop(subscribe(&server, "topic=a&session=app1", &cookie));
    assert_eq!(read("", &[OWN]), 401, "another name");
    assert_eq!(read("&session=A!", &[OWN]), 400);
    assert_eq!(read("&session=app1", &[("origin", "https://evil.example")]), 403);
    assert_eq!(read("&session=app1", &[("origin", "https://app.example")]), 403, "not its owner");
    let foreign = [("origin", "https://evil.example"), ("cookie", cookie.as_str()), FORM];
    let target = format!("{HUB}?session=app1");
    assert_eq!(server.request("POST", &target, &foreign, "topic=a&data=x").status(), 403);
    // A token counts before the cookie, also one that is not good.
    let headers = [OWN, ("cookie", cookie.as_str()), ("authorization", "Bearer wrong")];
    let answer = server.request("GET", &format!("{HUB}?topic=a&session=app1"), &headers, "");
    assert_eq!(answer.status(), 401);
}
