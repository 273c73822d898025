//! Sessions: a cookie for a token, renewed while its streams run.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_server::{ApiKey, Cors, JwtKey, RevokedSessions, Sessions};
use tidings_testkit::http::{Connection, Response};
use tidings_testkit::http2::{LOCALHOST, Peer, frame, get_from, kind};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const KEY: &str = "Bearer key-0123456789abcdef";
const APP: &str = "https://app.example";

fn server(portable: bool) -> TestServer {
    server_with(portable, Sessions::default())
}

fn server_with(portable: bool, sessions: Sessions) -> TestServer {
    TestServer::builder()
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.api_keys =
                vec![ApiKey::new("door", &KEY[7..], &["**"], &["door/*"]).unwrap()];
            config.http.anonymous_subscribe = vec![tidings_hub::Matcher::parse("public").unwrap()];
            config.http.cors = Cors::new([APP, "https://other.example"], true).unwrap();
            config.http.sessions = Some(sessions);
        })
        .engine(|engine| engine.portable = portable)
        .start()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn bearer(subject: &str, topics: &[&str], more: &Value) -> String {
    let mut claims = json!({"sub": subject, "tidings": {"publish": topics, "subscribe": topics}});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("Bearer {}", hs256(&claims, SECRET))
}

/// A browser with a page of one origin: it keeps cookies, and says where it comes from.
struct Browser<'a> {
    server: &'a TestServer,
    cookies: Vec<(String, String)>,
    page: Vec<(&'static str, &'static str)>,
}

impl<'a> Browser<'a> {
    /// With a page of the hub's own.
    fn own(server: &'a TestServer) -> Self {
        Self { server, cookies: Vec::new(), page: vec![("sec-fetch-site", "same-origin")] }
    }

    fn of(server: &'a TestServer, origin: &'static str, site: &'static str) -> Self {
        Self {
            server,
            cookies: Vec::new(),
            page: vec![("origin", origin), ("sec-fetch-site", site)],
        }
    }

    fn cookie(&self) -> String {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn send(&mut self, method: &str, target: &str, more: &[(&str, &str)]) -> Response {
        let cookie = self.cookie();
        let mut headers: Vec<(&str, &str)> = self.page.clone();
        if !cookie.is_empty() {
            headers.push(("cookie", &cookie));
        }
        headers.extend_from_slice(more);
        let answer = self.server.request(method, target, &headers, "");
        for line in set_cookies(&answer) {
            let (pair, attributes) = line.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    fn sign_in(&mut self, target: &str, credential: &str) -> Value {
        let answer = self.send("POST", target, &[("authorization", credential)]);
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.json()
    }

    fn subscribe(&self, target: &str) -> Connection {
        let cookie = self.cookie();
        let mut headers: Vec<(&str, &str)> = self.page.clone();
        headers.push(("cookie", &cookie));
        self.server.subscribe(target, &headers)
    }

    fn code(&mut self, method: &str, target: &str) -> String {
        let answer = self.send(method, target, &[]);
        if answer.status() < 300 { "ok".to_owned() } else { answer.code() }
    }
}

fn set_cookies(answer: &Response) -> Vec<String> {
    let lines = answer.head.headers.iter().filter(|(name, _)| name == "set-cookie");
    lines.map(|(_, value)| value.clone()).collect()
}

fn page(server: &TestServer, cookie: &str) -> Response {
    let headers = [("accept", "application/json"), ("cookie", cookie)];
    server.request("GET", "/events/a", &headers, "")
}

#[test]
fn a_token_is_exchanged_for_a_cookie_that_reads_and_publishes() {
    for portable in [false, true] {
        let server = server(portable);
        let mut browser = Browser::own(&server);
        let token = bearer("7", &["a"], &json!({"exp": now() + 600}));
        let answer = browser.send("POST", "/session", &[("authorization", &token)]);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let [cookie] = &set_cookies(&answer)[..] else { panic!("{answer:?}") };
        let (value, attributes) = cookie.split_once("; ").unwrap();
        assert!(value.starts_with("__Host-tidings=v1."), "{cookie}");
        let attributes = attributes.rsplit_once('=').unwrap();
        assert_eq!(attributes.0, "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age");
        assert!((590..=600).contains(&attributes.1.parse::<u64>().unwrap()), "{cookie}");
        let said = answer.json();
        assert_eq!((&said["sub"], &said["renewed"]), (&json!("7"), &json!(false)));
        assert_eq!((&said["publish"], &said["subscribe"]), (&json!(["a"]), &json!(["a"])));

        let mut stream = browser.subscribe("/events/a");
        assert_eq!(browser.send("POST", "/events/a", &[]).status(), 200);
        assert!(stream.event().is_some());
        assert_eq!(browser.code("GET", "/events/b"), "not_granted");
        let asked = browser.send("GET", "/session", &[]).json();
        assert_eq!(asked["session_id"], said["session_id"]);
        assert_eq!(asked["expires"], said["expires"]);
        // The token is not in the cookie, and the cookie is no token.
        let value = value.split_once('=').unwrap().1;
        assert!(!value.contains(&token[7..]));
        let as_token = format!("Bearer {value}");
        let answer = server.request("GET", "/events/a", &[("authorization", &as_token)], "");
        assert_eq!(answer.code(), "token_invalid");
    }
}

#[test]
fn streams_of_a_session_go_on_without_a_byte_when_it_is_renewed() {
    for portable in [false, true] {
        let server = server(portable);
        let mut browser = Browser::own(&server);
        let short = |left| bearer("7", &["a"], &json!({"exp": now() + left, "iat": now()}));
        let first = browser.sign_in("/session", &short(2));
        let mut stream = browser.subscribe("/events/a?plain");
        let mut second = browser.subscribe("/events/a");
        let started = (stream.reads(b"retry: "), second.block().is_some());
        assert_eq!(started, (true, true));
        assert!(stream.reads(b"\n"));
        let renewed = browser.sign_in("/session", &short(600));
        assert_eq!(renewed["renewed"], true);
        assert_eq!(renewed["session_id"], first["session_id"]);
        // Another user's streams end with the first token: when they do, these were kept.
        let other = format!("/events/a?token={}", &short(2)[7..]);
        let mut ends = server.subscribe(&other, &[]);
        while ends.block_or_rest().is_some() {}
        assert!(!stream.has_input() && !second.has_input(), "nothing is sent");
        server.request("POST", "/events/a", &[("authorization", KEY)], "x");
        assert!(stream.event().unwrap().contains("data: x"));
        assert!(second.event().unwrap().contains("data: x"));
    }
}

#[test]
fn a_session_that_is_not_renewed_ends_with_its_streams_but_not_what_is_public() {
    let server = server(false);
    let mut browser = Browser::own(&server);
    browser.sign_in("/session", &bearer("7", &["a"], &json!({"exp": now() + 2})));
    let mut stream = browser.subscribe("/events/a");
    let mut public = browser.subscribe("/events/public");
    while stream.block_or_rest().is_some() {}
    let answer = browser.send("GET", "/events/a", &[]);
    assert_eq!((answer.status(), answer.code().as_str()), (401, "session_expired"));
    assert_eq!(set_cookies(&answer).len(), 1, "no page can remove it");
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.code("GET", "/events/a"), "token_required");
    server.request("POST", "/events/public", &[("authorization", KEY)], "x");
    assert!(public.event().unwrap().contains("data: x"));
}

#[test]
fn another_subject_prolongs_no_stream_but_ends_the_session_before() {
    for portable in [false, true] {
        let server = server(portable);
        let mut browser = Browser::own(&server);
        let first = browser.sign_in("/session", &bearer("7", &["a"], &json!({})));
        let old = browser.cookie();
        let mut stream = browser.subscribe("/events/a");
        // A stream of the same subject with a token of its own is not of the session.
        let own = bearer("7", &["a"], &json!({"exp": now() + 600}));
        let mut own = server.subscribe("/events/a", &[("authorization", &own)]);
        let second = browser.sign_in("/session", &bearer("8", &["a"], &json!({})));
        assert_ne!(second["session_id"], first["session_id"]);
        assert_eq!(second["renewed"], false);
        assert!(stream.event().unwrap().contains("session_ended"));
        assert_eq!(page(&server, &old).code(), "session_expired", "a copy of the cookie");
        server.request("POST", "/events/a", &[("authorization", KEY)], "x");
        assert!(own.event().unwrap().contains("data: x"));
    }
}

#[test]
fn a_narrower_grant_closes_what_it_does_not_cover_and_nothing_else() {
    for portable in [false, true] {
        let server = server(portable);
        let mut browser = Browser::own(&server);
        browser.sign_in("/session", &bearer("7", &["a", "b"], &json!({})));
        let [mut a, mut b] = ["/events/a", "/events/b"].map(|target| browser.subscribe(target));
        browser.sign_in("/session", &bearer("7", &["a"], &json!({})));
        let last = b.event().unwrap();
        assert!(last.contains("event: tidings.closed") && last.contains("grant_narrowed"));
        assert!(last.contains("retry: "), "it asks again at once: {last}");
        assert!(b.is_cut());
        assert_eq!(browser.code("GET", "/events/b"), "not_granted");
        server.request("POST", "/events/a", &[("authorization", KEY)], "x");
        assert!(a.event().unwrap().contains("data: x"));
    }
}

#[test]
fn a_token_issued_before_the_last_one_brings_back_nothing() {
    let server = server(false);
    let mut browser = Browser::own(&server);
    let issued = |topics: &[&str], at: u64| bearer("7", topics, &json!({"iat": at}));
    browser.sign_in("/session", &issued(&["a"], 1000));
    let answer = browser.send("POST", "/session", &[("authorization", &issued(&["b"], 999))]);
    assert_eq!((answer.status(), &answer.json()["renewed"]), (200, &json!(false)));
    assert!(set_cookies(&answer).is_empty());
    assert_eq!(browser.code("GET", "/events/b"), "not_granted");
    for again in [issued(&["b"], 1000), bearer("7", &["b"], &json!({}))] {
        assert_eq!(browser.sign_in("/session", &again)["renewed"], true);
    }
}

#[test]
fn signing_out_closes_the_streams_and_voids_every_copy_of_the_cookie() {
    for portable in [false, true] {
        let folder = std::env::temp_dir();
        let name = format!("tidings-sessions-{}-{portable}.revoked", std::process::id());
        let path = folder.join(name);
        let _ = std::fs::remove_file(&path);
        let sessions = || {
            let revoked = RevokedSessions::open(path.clone()).unwrap();
            Sessions::new(&[SECRET], std::time::Duration::from_secs(60), true, revoked).unwrap()
        };
        let copy = {
            let server = server_with(portable, sessions());
            let mut browser = Browser::own(&server);
            browser.sign_in("/session", &bearer("7", &["a"], &json!({})));
            let copy = browser.cookie();
            assert_eq!(page(&server, &copy).status(), 200);
            let mut stream = browser.subscribe("/events/a");
            let answer = browser.send("DELETE", "/session", &[]);
            assert_eq!(answer.status(), 204);
            let removed = set_cookies(&answer);
            assert_eq!(removed.len(), 2, "in both jars: {removed:?}");
            assert!(removed.iter().all(|line| line.contains("Max-Age=0")));
            assert!(removed[1].starts_with("__Host-tidings-x=; "), "{removed:?}");
            assert!(removed[1].contains("SameSite=None; Partitioned"));
            assert!(stream.event().unwrap().contains("session_ended"));
            assert_eq!(page(&server, &copy).code(), "session_expired");
            assert_eq!(browser.send("GET", "/session", &[]).status(), 204);
            assert_eq!(browser.send("DELETE", "/session", &[]).status(), 204, "again");
            server.stop();
            copy
        };
        let restarted = server_with(portable, sessions());
        assert_eq!(page(&restarted, &copy).code(), "session_expired", "after a restart");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_session_survives_a_restart_with_the_same_secret_and_a_change_of_secrets() {
    let sessions = |secrets: &[&[u8]]| {
        let age = std::time::Duration::from_secs(60);
        Sessions::new(secrets, age, true, RevokedSessions::default()).unwrap()
    };
    let (old, new) = (SECRET, b"another secret of thirty-two bytes".as_slice());
    let first = server_with(false, sessions(&[old]));
    let mut browser = Browser::own(&first);
    browser.sign_in("/session", &bearer("7", &["a"], &json!({})));
    let cookie = browser.cookie();
    assert_eq!(page(&server_with(false, sessions(&[old])), &cookie).status(), 200);
    assert_eq!(page(&server_with(false, sessions(&[new, old])), &cookie).status(), 200);
    let other = page(&server_with(false, sessions(&[new])), &cookie);
    assert_eq!(other.code(), "session_expired");
    assert!(
        Sessions::new(
            &[b"short"],
            std::time::Duration::from_secs(60),
            true,
            RevokedSessions::default()
        )
        .is_err()
    );
}

#[test]
fn a_page_of_another_site_has_a_cookie_of_its_own_kind() {
    let server = server(false);
    let mut browser = Browser::of(&server, APP, "cross-site");
    let token = bearer("7", &["a"], &json!({}));
    let answer = browser.send("POST", "/session", &[("authorization", &token)]);
    let [cookie] = &set_cookies(&answer)[..] else { panic!("{answer:?}") };
    assert!(cookie.starts_with("__Host-tidings-x=v1."), "{cookie}");
    assert!(cookie.contains("Path=/; Secure; HttpOnly; SameSite=None; Partitioned; Max-Age="));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(browser.code("GET", "/session"), "ok");
    // With both kinds, either is good.
    browser.cookies.insert(0, ("__Host-tidings".into(), "v1.e30.AAAA".into()));
    let answer = browser.send("GET", "/topics", &[]);
    assert_eq!(answer.status(), 200);
    assert_eq!(browser.cookies.len(), 1, "the bad one is removed");
}

#[test]
fn pages_use_no_sessions_but_their_own() {
    let server = server(false);
    let token = bearer("7", &["a"], &json!({}));
    let mut own = Browser::own(&server);
    own.sign_in("/session", &token);
    let mut app = Browser::of(&server, APP, "same-site");
    app.sign_in("/session", &token);
    for (browser, origin, site, expected) in [
        (&own, None, Some("same-origin"), "ok"),
        (&own, Some("null"), Some("same-origin"), "ok"),
        (&own, None, Some("none"), "ok"),
        (&own, None, None, "ok"),
        (&own, None, Some("cross-site"), "origin_not_allowed"),
        (&own, Some("null"), None, "origin_not_allowed"),
        (&own, Some("https://evil.example"), Some("same-site"), "origin_not_allowed"),
        (&own, Some(APP), Some("same-site"), "session_origin"),
        (&app, Some(APP), Some("same-site"), "ok"),
        (&app, Some("https://other.example"), Some("same-site"), "session_origin"),
        (&app, None, Some("same-origin"), "session_origin"),
        (&app, None, None, "ok"),
    ] {
        for target in ["/topics", "/session"] {
            let cookie = browser.cookie();
            let mut headers = vec![("cookie", cookie.as_str())];
            headers.extend(origin.map(|origin| ("origin", origin)));
            headers.extend(site.map(|site| ("sec-fetch-site", site)));
            let answer = server.request("GET", target, &headers, "");
            let code = if answer.status() == 200 { "ok".to_owned() } else { answer.code() };
            assert_eq!(code, expected, "{target} {origin:?} {site:?}");
        }
    }
    // What changes something with a cookie must come from a page that says so.
    for (method, target) in [("POST", "/events/a"), ("DELETE", "/events/a"), ("DELETE", "/session")]
    {
        for page in [&[][..], &[("sec-fetch-site", "none")], &[("sec-fetch-site", "cross-site")]] {
            let cookie = own.cookie();
            let mut headers = vec![("cookie", cookie.as_str())];
            headers.extend_from_slice(page);
            let answer = server.request(method, target, &headers, "x");
            assert_eq!(answer.code(), "origin_not_allowed", "{method} {target} {page:?}");
        }
    }
    // A page that may not use the hub gets no cookie, although it has a token.
    let mut evil = Browser::of(&server, "https://evil.example", "cross-site");
    let answer = evil.send("POST", "/session", &[("authorization", &token)]);
    assert_eq!(answer.code(), "origin_not_allowed");
    assert!(evil.cookies.is_empty());
}

#[test]
fn a_session_may_be_shorter_than_the_hub_allows_and_never_longer() {
    let server = server(false);
    let mut browser = Browser::own(&server);
    let ends_in = |said: Value| {
        let text = said["expires"].as_str().unwrap();
        let ends = text.parse::<jiff::Timestamp>().unwrap().as_second();
        ends - i64::try_from(now()).unwrap()
    };
    for (query, seconds) in [("for=1h", 3600), ("for=10s", 10), ("for=90d", 12 * 3600)] {
        let left = ends_in(browser.sign_in(&format!("/session?name=console&{query}"), KEY));
        assert!((seconds - 5..=seconds + 1).contains(&left), "{query}: {left}");
    }
    let short = bearer("7", &["a"], &json!({"exp": now() + 60}));
    let left = ends_in(browser.sign_in("/session?for=1h", &short));
    assert!((50..=61).contains(&left), "the token ends first: {left}");
    for bad in ["for=", "for=1", "for=0s", "for=999ms", "for=-1h", "age=1h"] {
        let answer = browser.send("POST", &format!("/session?{bad}"), &[("authorization", KEY)]);
        assert_eq!(answer.status(), 400, "{bad}");
    }
}

#[test]
fn sessions_with_names_are_apart() {
    let server = server(false);
    let mut browser = Browser::own(&server);
    let first = browser.sign_in("/session?name=app1", &bearer("7", &["a"], &json!({})));
    let second = browser.sign_in("/session?name=app2", &bearer("8", &["b"], &json!({})));
    assert_ne!(first["session_id"], second["session_id"]);
    assert_eq!(browser.cookies.len(), 2);
    assert_eq!(browser.code("GET", "/topics?session=app1"), "ok");
    assert_eq!(browser.code("POST", "/events/b?session=app1"), "not_granted");
    assert_eq!(browser.code("POST", "/events/b?session=app2"), "ok");
    assert_eq!(browser.code("POST", "/events/b"), "token_required");
    // Under another name its value is none of the hub's.
    let value = browser.cookies[0].1.clone();
    browser.cookies = vec![("__Host-tidings-app2".into(), value)];
    assert_eq!(browser.code("POST", "/events/b?session=app2"), "session_expired");
    for bad in ["x", "app-x", "A", "0123456789abcdefg", ""] {
        assert_eq!(browser.code("GET", &format!("/topics?session={bad}")), "invalid_parameter");
        assert_eq!(browser.code("GET", &format!("/session?name={bad}")), "invalid_parameter");
    }
}

#[test]
fn a_cookie_that_is_not_good_counts_as_none_and_is_removed() {
    let server = server(false);
    let mut browser = Browser::own(&server);
    browser.sign_in("/session", &bearer("7", &["a"], &json!({})));
    let (name, value) = browser.cookies[0].clone();
    for bad in [
        format!("{name}="),
        format!("{name}=x"),
        format!("{name}={value}A"),
        format!("{name}={}", &value[..value.len() - 1]),
        format!("{name}={value}; {name}={value}"),
    ] {
        let public = server.request("GET", "/topics", &[("cookie", &bad)], "");
        assert_eq!(public.status(), 200, "{bad}");
        assert_eq!(set_cookies(&public).len(), 1, "{bad}");
        let answer = page(&server, &bad);
        assert_eq!((answer.status(), answer.code().as_str()), (401, "session_expired"), "{bad}");
        let answer = server.request("GET", "/session", &[("cookie", &bad)], "");
        assert_eq!((answer.status(), set_cookies(&answer).len()), (204, 1), "{bad}");
    }
    // A credential that a client sends itself counts first, and is never stepped over.
    let cookie = browser.cookie();
    let headers = [("cookie", cookie.as_str()), ("authorization", "Bearer wrong")];
    assert_eq!(server.request("GET", "/topics", &headers, "").code(), "token_invalid");
    let headers = [("cookie", cookie.as_str())];
    let answer = server.request("GET", "/topics?token=wrong", &headers, "");
    assert_eq!(answer.code(), "token_invalid");
}

#[test]
fn nothing_but_a_good_token_in_the_header_starts_a_session() {
    let server = server(false);
    let mut browser = Browser::own(&server);
    let token = bearer("7", &["a"], &json!({}));
    let query = format!("/session?token={}", &token[7..]);
    assert_eq!(browser.code("POST", &query), "invalid_query");
    assert_eq!(browser.code("POST", "/session"), "token_required");
    let expired = bearer("7", &["a"], &json!({"exp": 1}));
    for bad in ["Bearer wrong", &expired] {
        let answer = browser.send("POST", "/session", &[("authorization", bad)]);
        assert_eq!(answer.code(), "token_invalid");
    }
    browser.sign_in("/session", &token);
    assert_eq!(browser.code("POST", "/session"), "token_required", "a cookie is none");
    let topics: Vec<_> = (0..90).map(|n| format!("a/{n}/{}", "x".repeat(40))).collect();
    let topics: Vec<_> = topics.iter().map(String::as_str).collect();
    let long = bearer("7", &topics, &json!({}));
    let answer = browser.send("POST", "/session", &[("authorization", &long)]);
    assert!(["session_too_large", "token_invalid"].contains(&answer.code().as_str()));
    let topics: Vec<_> = (0..60).map(|n| format!("a/{n}/{}", "x".repeat(20))).collect();
    let topics: Vec<_> = topics.iter().map(String::as_str).collect();
    let long = bearer("7", &topics, &json!({}));
    let answer = browser.send("POST", "/session", &[("authorization", &long)]);
    assert_eq!((answer.status(), answer.code().as_str()), (400, "session_too_large"));
    let open = TestServer::start();
    assert_eq!(open.request("POST", "/session", &[("authorization", &token)], "").status(), 404);
}

#[test]
fn a_key_starts_a_session_too_and_renewals_have_a_rate() {
    let server = server(false);
    let mut browser = Browser::own(&server);
    let said = browser.sign_in("/session", KEY);
    assert_eq!((&said["sub"], &said["subscribe"]), (&Value::Null, &json!(["door/*"])));
    assert_eq!(browser.code("POST", "/events/door/1"), "ok");
    let answers: Vec<_> =
        std::iter::repeat_with(|| browser.send("POST", "/session", &[("authorization", KEY)]))
            .take(40)
            .collect();
    let slow: Vec<_> = answers.iter().filter(|answer| answer.status() == 429).collect();
    assert!(!slow.is_empty());
    assert_eq!(slow[0].code(), "too_many_renewals");
    assert!(slow[0].header("retry-after").is_some());
}

#[test]
fn operators_find_close_and_deny_a_session() {
    let server = server(false);
    let grant = json!({"operate": ["kick", "look"]});
    let operator = bearer("op", &[], &json!({"tidings": grant}));
    let operator = [("authorization", operator.as_str())];
    let mut browser = Browser::own(&server);
    let token = bearer("7", &["a"], &json!({}));
    let id = browser.sign_in("/session", &token)["session_id"].as_str().unwrap().to_owned();
    let mut stream = browser.subscribe("/events/a");
    let own = server.subscribe("/events/a", &[("authorization", &token)]);
    let target = format!("/connections?session-id={id}");
    let list = server.request("GET", &target, &operator, "").json();
    assert_eq!(list["connections"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["connections"][0]["session_id"], json!(id));
    let answer = server.request("DELETE", &format!("{target}&deny=1h"), &operator, "").json();
    assert_eq!(answer["closed"], 1);
    assert!(stream.event().unwrap().contains("kicked"));
    for (method, target) in [("GET", "/events/a"), ("GET", "/session"), ("POST", "/events/a")] {
        assert_eq!(browser.code(method, target), "denied", "{method} {target}");
    }
    let answer = browser.send("POST", "/session", &[("authorization", &token)]);
    assert_eq!(answer.code(), "denied", "it is not renewed");
    assert_eq!(server.request("GET", "/topics", &[("authorization", &token)], "").status(), 200);
    assert_eq!(browser.code("DELETE", "/session"), "ok");
    assert_eq!(browser.sign_in("/session", &token)["renewed"], false);
    drop(own);
}

#[test]
fn a_stream_over_http2_goes_on_too() {
    let server = server(false);
    let mut browser = Browser::own(&server);
    let short = |left| bearer("7", &["a"], &json!({"exp": now() + left}));
    browser.sign_in("/session", &short(2));
    let cookie = browser.cookie();
    let mut peer = Peer::connect(server.address(), &[]);
    let fields = [LOCALHOST, ("\x00\x06cookie", cookie.as_str())];
    let head = get_from("/events/a", &fields);
    peer.send(&frame(kind::HEADERS, 5, 1, &head));
    let begun = peer.until(|frame| frame.kind == kind::DATA);
    let begun = String::from_utf8_lossy(&begun.payload).into_owned();
    assert!(begun.contains("retry"), "{begun}");
    browser.sign_in("/session", &short(600));
    let other = format!("/events/a?token={}", &short(2)[7..]);
    let mut ends = server.subscribe(&other, &[]);
    while ends.block_or_rest().is_some() {}
    server.request("POST", "/events/a", &[("authorization", KEY)], "still here");
    let frame = peer.until(|frame| {
        String::from_utf8_lossy(&frame.payload).contains("still here") || frame.ends_stream()
    });
    assert!(!frame.ends_stream());
}
