//! Sessions at their edges: the longest cookie, a cookie without `Secure`, the moment at which a
//! session ends, and a hub that leaves.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tidings_server::{ApiKey, JwtKey, RevokedSessions, Sessions};
use tidings_testkit::http::{Connection, Response};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const KEY: (&str, &str) = ("authorization", "Bearer key-0123456789abcdef");
const OWN_PAGE: (&str, &str) = ("sec-fetch-site", "same-origin");
const JSON: (&str, &str) = ("accept", "application/json");

fn server(portable: bool, is_secure: bool) -> TestServer {
    let revoked = RevokedSessions::default();
    let sessions = Sessions::new(&[SECRET], Duration::from_secs(3600), is_secure, revoked).unwrap();
    TestServer::builder()
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.api_keys = vec![ApiKey::new("k", &KEY.1[7..], &["**"], &["**"]).unwrap()];
            config.http.sessions = Some(sessions);
        })
        .engine(|engine| engine.portable = portable)
        .start()
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// A token of user 7 until this second.
fn token(topics: &[String], until: u64) -> String {
    let claims = json!({"sub": "7", "exp": until, "tidings": {"subscribe": topics}});
    format!("Bearer {}", hs256(&claims, SECRET))
}

/// Exchanges a token, as a page of the hub's own with these cookies.
fn sign_in(server: &TestServer, token: &str, cookie: &str) -> Response {
    server.request(
        "POST",
        "/session",
        &[OWN_PAGE, ("authorization", token), ("cookie", cookie)],
        "",
    )
}

/// The name and the value that an answer sets.
fn cookie(answer: &Response) -> String {
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn the_longest_cookie_that_is_set_is_one_that_browsers_keep() {
    let server = server(false, true);
    let until = now_ms() / 1000 + 600;
    let (mut longest_set, mut shortest_refused) = (0, usize::MAX);
    // Each topic is a byte longer than the one before, and the cookie four for three of these.
    for length in 2_650..2_850 {
        let topics = ["a".repeat(length)];
        let answer = sign_in(&server, &token(&topics, until), "");
        if answer.status() == 200 {
            let cookie = cookie(&answer);
            let value = cookie.split_once('=').unwrap().1;
            longest_set = longest_set.max(value.len());
            let headers = [JSON, OWN_PAGE, ("cookie", cookie.as_str())];
            let target = format!("/events/{}", topics[0]);
            assert_eq!(server.request("GET", &target, &headers, "").status(), 200, "it is good");
        } else {
            assert_eq!((answer.status(), &*answer.code()), (400, "session_too_large"));
            let problem = answer.json();
            let words = problem["detail"].as_str().unwrap();
            let bytes = words.split(' ').find_map(|word| word.parse::<usize>().ok()).unwrap();
            shortest_refused = shortest_refused.min(bytes);
            assert!(answer.header("set-cookie").is_none(), "{answer:?}");
        }
    }
    assert!((3_899..=3_900).contains(&longest_set), "{longest_set}");
    assert!((3_901..=3_902).contains(&shortest_refused), "{shortest_refused}");
}

#[test]
fn a_cookie_without_secure_is_set_and_read_only_where_the_settings_say_so() {
    let (secure, insecure) = (server(false, true), server(false, false));
    let token = token(&["a".into()], now_ms() / 1000 + 600);
    let value = |cookie: &str| cookie.split_once('=').unwrap().1.to_owned();
    for (hub, other, name) in
        [(&secure, &insecure, "__Host-tidings"), (&insecure, &secure, "tidings")]
    {
        let answer = sign_in(hub, &token, "");
        let attributes = answer.header("set-cookie").unwrap();
        assert_eq!(attributes.contains("; Secure"), name.starts_with("__Host-"), "{attributes}");
        let cookie = cookie(&answer);
        assert!(cookie.starts_with(&format!("{name}=v1.")), "{cookie}");
        let read = |server: &TestServer, cookie: &str| {
            let answer =
                server.request("GET", "/events/a", &[JSON, OWN_PAGE, ("cookie", cookie)], "");
            if answer.status() == 200 { "ok".to_owned() } else { answer.code() }
        };
        assert_eq!(read(hub, &cookie), "ok");
        // Both hubs have the same secret: it is the name that tells.
        assert_eq!(read(other, &cookie), "token_required", "{name}");
        let other_name = if name == "tidings" { "__Host-tidings" } else { "tidings" };
        let renamed = format!("{other_name}={}", value(&cookie));
        assert_eq!(read(hub, &renamed), "token_required", "{other_name}");
    }
}

/// What the reader of a stream gets next: from the stream itself, or after a reconnection with the
/// cookie that its browser has by then.
fn next(server: &TestServer, mut stream: Connection, last_id: &str, cookie: &str) -> String {
    loop {
        match stream.block_or_rest() {
            Some(block) if block.contains("data: x") => return block,
            Some(_) => {}
            None => break,
        }
    }
    let headers = [OWN_PAGE, ("cookie", cookie), ("last-event-id", last_id)];
    server.subscribe("/events/a", &headers).event().unwrap()
}

#[test]
fn a_renewal_at_the_very_end_of_a_session_costs_a_reconnection_at_most_and_no_event() {
    for portable in [false, true] {
        let server = server(portable, true);
        let until = now_ms() / 1000 + 3;
        let short = token(&["a".into()], until);
        let long = token(&["a".into()], until + 600);
        thread::scope(|scope| {
            // Milliseconds before and after the end of the session.
            for offset in [-300_i64, -50, -10, -2, -1, 0, 1, 2, 10, 50, 300] {
                let (server, short, long) = (&server, &short, &long);
                scope.spawn(move || {
                    let old = cookie(&sign_in(server, short, ""));
                    let mut stream = server.subscribe("/events/a", &[OWN_PAGE, ("cookie", &old)]);
                    let first = server.request("POST", "/events/a", &[KEY], "first");
                    let id = first.json()["id"].as_str().unwrap().to_owned();
                    while !stream.event().unwrap().contains(&id) {}
                    let at = (until * 1000).checked_add_signed(offset).unwrap();
                    thread::sleep(Duration::from_millis(at.saturating_sub(now_ms())));
                    let renewed = cookie(&sign_in(server, long, &old));
                    let published = server.request("POST", "/events/a", &[KEY], "x");
                    assert_eq!(published.status(), 200);
                    let event = next(server, stream, &id, &renewed);
                    assert!(event.contains("data: "), "{offset} ms: {event}");
                });
            }
        });
    }
}

#[test]
fn a_renewal_keeps_no_stream_on_a_hub_that_leaves() {
    for portable in [false, true] {
        let server = server(portable, true);
        let until = now_ms() / 1000 + 600;
        let renew = |cookies: &str, until| sign_in(&server, &token(&["a".into()], until), cookies);
        let mut cookies = cookie(&renew("", until));
        let open = || {
            let mut stream = server.subscribe("/events/a", &[OWN_PAGE, ("cookie", &cookies)]);
            assert!(stream.block().is_some(), "its beginning");
            stream
        };
        let mut streams: Vec<_> = (0..20).map(|_| open()).collect();
        let engine = server.engine().clone();
        let draining = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(engine.drain(Duration::from_secs(2)));
        });
        // Some have left, and others are yet to leave.
        let patience = Instant::now() + Duration::from_secs(20);
        while streams.iter_mut().map(Connection::has_input).filter(|has| *has).count() < 2 {
            assert!(Instant::now() < patience, "no stream leaves");
            thread::sleep(Duration::from_millis(5));
        }
        let renewed = renew(&cookies, until + 600);
        assert_eq!(renewed.json()["renewed"], true);
        cookies = cookie(&renewed);
        draining.join().unwrap();
        for stream in &mut streams {
            assert!(stream.is_cut(), "it is asked to come back");
        }
        let headers = [OWN_PAGE, ("cookie", cookies.as_str()), JSON];
        assert_eq!(server.request("GET", "/events/a", &headers, "").status(), 200);
    }
}
