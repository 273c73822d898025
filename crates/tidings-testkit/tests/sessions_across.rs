//! What becomes of a session at one hub is known to all hubs of the log.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_server::{JwtKey, RevokedSessions, Sessions};
use tidings_testkit::http::Connection;
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;
use tidings_testkit::wires::Wires;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(30);
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

fn hubs(wires: &Wires, portable: bool) -> Vec<TestServer> {
    let hub = |seed| {
        TestServer::builder()
            .wire(wires.wire())
            .config(|config| {
                config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
                let (age, revoked) = (Duration::from_secs(3600), RevokedSessions::default());
                config.http.sessions = Some(Sessions::new(&[SECRET], age, true, revoked).unwrap());
            })
            .engine(|engine| {
                engine.seed = seed;
                engine.portable = portable;
            })
            .start()
    };
    let hubs: Vec<_> = (1..=3).map(hub).collect();
    for hub in &hubs {
        let operator = bearer(&["**"], 600);
        eventually("a cluster", || {
            let stats = hub.request("GET", "/stats", &[("authorization", &operator)], "");
            stats.json()["hubs"]["known"] == 3
        });
    }
    hubs
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "there is never {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn bearer(topics: &[&str], seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let grant = json!({"publish": topics, "subscribe": topics});
    let claims = json!({"sub": "7", "exp": now + seconds, "iat": now, "tidings": grant});
    format!("Bearer {}", hs256(&claims, SECRET))
}

/// Starts or renews a session. Returns its cookie.
fn sign_in(hub: &TestServer, token: &str, cookie: &str) -> String {
    let headers = [OWN, ("authorization", token), ("cookie", cookie)];
    let answer = hub.request("POST", "/session", &headers, "");
    assert_eq!(answer.status(), 200, "{answer:?}");
    let set = answer.header("set-cookie").unwrap();
    set.split_once(';').unwrap().0.to_owned()
}

fn sign_out(hub: &TestServer, cookie: &str) {
    let answer = hub.request("DELETE", "/session", &[OWN, ("cookie", cookie)], "");
    assert_eq!(answer.status(), 204, "{answer:?}");
}

fn subscribe(hub: &TestServer, topic: &str, cookie: &str) -> Connection {
    hub.subscribe(&format!("/events/{topic}"), &[OWN, ("cookie", cookie)])
}

/// `ok`, or the code of the refusal.
fn read(hub: &TestServer, topic: &str, cookie: &str) -> String {
    let headers = [OWN, ("accept", "application/json"), ("cookie", cookie)];
    let answer = hub.request("GET", &format!("/events/{topic}"), &headers, "");
    if answer.status() == 200 { "ok".into() } else { answer.code() }
}

fn closed(stream: &mut Connection) -> Value {
    let event = stream.event().unwrap();
    let data = event.lines().find_map(|line| line.strip_prefix("data: "));
    assert!(event.contains("tidings.closed"), "{event}");
    serde_json::from_str(data.unwrap()).unwrap()
}

#[test]
fn a_sign_out_at_one_hub_closes_streams_and_voids_copies_of_the_cookie_at_all() {
    for portable in [false, true] {
        let wires = Wires::default();
        let hubs = hubs(&wires, portable);
        let cookie = sign_in(&hubs[0], &bearer(&["a"], 600), "x=1");
        let other = sign_in(&hubs[0], &bearer(&["a"], 600), "x=1");
        let mut streams: Vec<_> = hubs.iter().map(|hub| subscribe(hub, "a", &cookie)).collect();
        let mut untouched = subscribe(&hubs[1], "a", &other);
        sign_out(&hubs[2], &cookie);
        for hub in &hubs {
            assert_eq!(read(hub, "a", &cookie), "session_expired");
            assert_eq!(read(hub, "a", &other), "ok", "another session of the same user");
        }
        for stream in &mut streams {
            assert_eq!(closed(stream)["reason"], "session_ended");
        }
        let post =
            hubs[1].request("POST", "/events/a", &[("authorization", &bearer(&["a"], 60))], "x");
        assert_eq!(post.status(), 200);
        assert!(untouched.event().unwrap().ends_with("data: x\n\n"));
    }
}

#[test]
fn a_hub_that_did_not_hear_of_a_sign_out_is_told_when_it_is_back() {
    let wires = Wires::default();
    let hubs = hubs(&wires, false);
    let cookies: Vec<_> = (0..5).map(|_| sign_in(&hubs[0], &bearer(&["a"], 600), "x=1")).collect();
    let mut stream = subscribe(&hubs[2], "a", &cookies[0]);
    wires.cut(2, true);
    cookies.iter().for_each(|cookie| sign_out(&hubs[0], cookie));
    assert_eq!(read(&hubs[1], "a", &cookies[0]), "session_expired");
    assert_eq!(read(&hubs[2], "a", &cookies[0]), "ok", "it cannot know");
    wires.cut(2, false);
    for cookie in &cookies {
        eventually("an end", || read(&hubs[2], "a", cookie) == "session_expired");
    }
    assert_eq!(closed(&mut stream)["reason"], "session_ended");
}

#[test]
fn a_renewal_at_one_hub_moves_the_ends_of_streams_at_all_and_closes_what_it_does_not_cover() {
    for portable in [false, true] {
        let wires = Wires::default();
        let hubs = hubs(&wires, portable);
        let first = sign_in(&hubs[0], &bearer(&["a", "b"], 4), "x=1");
        let mut kept = subscribe(&hubs[1], "a", &first);
        let mut cut = subscribe(&hubs[2], "b", &first);
        let second = sign_in(&hubs[0], &bearer(&["a"], 600), &first);
        assert_eq!(closed(&mut cut)["reason"], "grant_narrowed");
        assert_eq!(read(&hubs[2], "b", &second), "not_granted");
        // When the first cookie has ended, the stream that was opened with it goes on.
        eventually("an end of the first cookie", || read(&hubs[1], "a", &first) != "ok");
        thread::sleep(Duration::from_millis(500));
        let token = bearer(&["a"], 60);
        let post = hubs[1].request("POST", "/events/a", &[("authorization", &token)], "x");
        assert_eq!(post.status(), 200);
        let event = kept.event().unwrap();
        assert!(event.ends_with("data: x\n\n"), "{event}");
    }
}
