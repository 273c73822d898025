//! Running streams of clients whose rights come from a backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tidings_hub::Matcher;
use tidings_server::{ApiKey, AuthorizeAction, AuthorizeRule, Config};
use tidings_testkit::backend::{Asked, Backend, Reply};
use tidings_testkit::http::Connection;
use tidings_testkit::server::TestServer;

const KEY: (&str, &str) = ("authorization", "Bearer key-0123456789abcdef");
const ANN: (&str, &str) = ("cookie", "sid=ann");

/// Every user may read its own orders, for a second.
fn application(asked: &Asked) -> Reply {
    let user = asked.header("cookie").and_then(|cookie| cookie.strip_prefix("sid=")).unwrap();
    let topics = [format!("orders/{user}/**")];
    Reply::ok(json!({"sub": user, "subscribe": topics, "expires_in": 1}))
}

fn server(backend: &Backend, change: impl FnOnce(&mut AuthorizeRule)) -> TestServer {
    let topics = vec![Matcher::parse("orders/**").unwrap()];
    let url = backend.url("/hub/auth");
    let mut rule = AuthorizeRule::new(&url, topics, &["sid"], &[] as &[&str]).unwrap();
    rule.timeout = Duration::from_secs(10);
    rule.send_topics = false;
    change(&mut rule);
    let configure = |config: &mut Config| {
        config.http.authorize = vec![rule];
        config.http.api_keys =
            vec![ApiKey::new("k", "key-0123456789abcdef", &["**"], &["**"]).unwrap()];
        config.http.retry_refused = Duration::from_millis(500);
    };
    TestServer::builder().config(configure).start()
}

fn publish(server: &TestServer, topic: &str) {
    let answer = server.request("POST", &format!("/events/{topic}"), &[KEY], topic);
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until the backend has been asked twice more: then one answer at least is newer than now.
fn until_asked_again(backend: &Backend) {
    let asked = backend.asked().len();
    until("it is asked again", || backend.asked().len() >= asked + 2);
}

fn metric(server: &TestServer, name: &str) -> u64 {
    let metrics = server.request("GET", "/metrics", &[KEY], "");
    let line = metrics.text().lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// For how long the backend is away: longer than every answer is good for. The long form is
/// `TIDINGS_OUTAGE_SECONDS=60`.
fn outage() -> Duration {
    let seconds = std::env::var("TIDINGS_OUTAGE_SECONDS");
    Duration::from_secs(seconds.map_or(5, |text| text.parse().unwrap()))
}

/// Reads what is left of a stream that ends without having had an event.
fn assert_cut(mut stream: Connection) {
    while let Some(block) = stream.block_or_rest() {
        assert!(!block.contains("data: orders"), "{block}");
    }
}

#[test]
fn streams_outlive_their_answers_with_one_question_for_all_of_a_user() {
    let backend = Backend::start(application);
    let server = server(&backend, |_| {});
    let mut streams: Vec<_> = (0..50)
        .map(|number| server.subscribe(&format!("/events/orders/ann/{}", number % 5), &[ANN]))
        .collect();
    assert_eq!(metric(&server, "tidings_authorize_streams"), 50);
    let (began, asked) = (Instant::now(), backend.asked().len());
    for _ in 0..3 {
        until_asked_again(&backend);
    }
    let seconds = began.elapsed().as_secs() as usize + 1;
    let more = backend.asked().len() - asked;
    assert!(more <= 2 * seconds, "{more} questions in {seconds} s");
    for number in 0..5 {
        publish(&server, &format!("orders/ann/{number}"));
    }
    for stream in &mut streams {
        assert!(stream.event().unwrap().contains("data: orders/ann/"));
    }
    assert!(backend.asked().iter().all(|asked| asked.header("cookie") == Some("sid=ann")));
    drop(streams);
    until("they are gone", || metric(&server, "tidings_authorize_streams") == 0);
    // With the last stream the questions end.
    let asked = backend.asked().len();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(backend.asked().len() <= asked + 1);
}

#[test]
fn a_stream_is_closed_when_the_answer_is_no_or_less_or_about_another_user() {
    for changed in [
        Reply::status(403),
        Reply::status(401),
        Reply::ok(json!({"sub": "ann", "subscribe": [], "expires_in": 1})),
        Reply::ok(json!({"sub": "ann", "subscribe": ["orders/ann/8"], "expires_in": 1})),
        Reply::ok(json!({"sub": "bob", "subscribe": ["orders/**"], "expires_in": 1})),
    ] {
        let is_changed = Arc::new(AtomicBool::new(false));
        let backend = Backend::start({
            let is_changed = Arc::clone(&is_changed);
            move |asked| match is_changed.load(Ordering::Acquire) {
                true => changed.clone(),
                false => application(asked),
            }
        });
        let server = server(&backend, |_| {});
        let stream = server.subscribe("/events/orders/ann/7", &[ANN]);
        until_asked_again(&backend);
        is_changed.store(true, Ordering::Release);
        assert_cut(stream);
        until("it is gone", || metric(&server, "tidings_authorize_streams") == 0);
    }
}

#[test]
fn a_backend_that_is_away_takes_no_stream_with_it_and_newcomers_come_back_by_themselves() {
    let backend = Backend::start(application);
    let server = server(&backend, |_| {});
    let cookies: Vec<_> = (0..1000).map(|user| format!("sid={user}")).collect();
    let subscribe = |user: usize| {
        server.subscribe(&format!("/events/orders/{user}/7"), &[("cookie", &*cookies[user])])
    };
    let mut streams: Vec<_> = (0..1000).map(subscribe).collect();
    backend.set_down(true);
    until("the backend fails", || metric(&server, "tidings_authorize_failing") == 1);
    std::thread::sleep(outage());
    let mut newcomer = server.subscribe("/events/orders/ann/7", &[ANN]);
    let block = newcomer.block().unwrap();
    assert!(block.contains("retry: ") && !block.contains("id: "), "{block}");
    assert!(newcomer.is_cut());
    assert_eq!(metric(&server, "tidings_authorize_streams"), 1000, "none was dropped");
    let asked = metric(&server, "tidings_authorize_questions_total{rule=\"1\",outcome=\"failed\"}");
    assert!(asked < 200, "{asked} questions to a backend that is down");

    backend.set_down(false);
    until("the newcomer is in", || {
        let mut again = server.subscribe("/events/orders/ann/7", &[ANN]);
        again.block().is_some_and(|block| block.contains("id: "))
    });
    until("the backend answers", || metric(&server, "tidings_authorize_failing") == 0);
    until_asked_again(&backend);
    for user in 0..1000 {
        publish(&server, &format!("orders/{user}/7"));
    }
    for (user, stream) in streams.iter_mut().enumerate() {
        let event = stream.event().unwrap();
        assert!(event.ends_with(&format!("data: orders/{user}/7\n\n")), "{event}");
    }
}

#[test]
fn a_stream_ends_when_the_backend_has_been_away_for_too_long() {
    let backend = Backend::start(application);
    let server = server(&backend, |rule| rule.stale_max = Duration::from_secs(1));
    let mut stream = server.subscribe("/events/orders/ann/7", &[ANN]);
    until_asked_again(&backend);
    publish(&server, "orders/ann/7");
    assert!(stream.event().is_some());
    backend.set_down(true);
    while stream.block_or_rest().is_some() {}
    until("it is gone", || metric(&server, "tidings_authorize_streams") == 0);
    assert_eq!(metric(&server, "tidings_subscribers_closed_total{reason=\"grant_expired\"}"), 1);
}

#[test]
fn over_mercure_the_same_backend_says_what_is_read_and_published() {
    let application = |asked: &Asked| match asked.header("cookie") {
        Some("sid=ann") => Reply::ok(json!({
            "sub": "ann", "subscribe": ["orders/ann/**"], "publish": ["orders/ann/*"],
            "expires_in": 1,
        })),
        _ => Reply::status(403),
    };
    let backend = Backend::start(application);
    let server = server(&backend, |rule| rule.actions.push(AuthorizeAction::Publish));
    let hub = "/.well-known/mercure";
    let mut stream = server.subscribe(&format!("{hub}?topic=orders/ann/7"), &[ANN]);
    until_asked_again(&backend);
    publish(&server, "orders/bob/7");
    publish(&server, "orders/ann/7");
    assert!(stream.event().unwrap().contains("data: orders/ann/7"));
    for (target, headers, status) in [
        (format!("{hub}?topic=orders/ann/7"), ("cookie", "sid=bob"), 403),
        (format!("{hub}?topic=users/7"), ANN, 401),
        (format!("{hub}?topic=orders/ann/7"), ("cookie", "theme=dark"), 401),
    ] {
        let answer = server.request("GET", &target, &[headers], "");
        assert_eq!(answer.status(), status, "{target} {headers:?}");
    }
    let form = ("content-type", "application/x-www-form-urlencoded");
    let own = ("sec-fetch-site", "same-origin");
    let post = |topic: &str, headers: &[(&str, &str)]| {
        let body = format!("topic={topic}&data=x&private=on");
        server.request("POST", hub, &[&[form], headers].concat(), body).status()
    };
    assert_eq!(post("orders/ann/8", &[ANN, own]), 200);
    assert_eq!(post("orders/bob/8", &[ANN, own]), 401, "what this dialect says for not granted");
    assert_eq!(post("orders/ann/8", &[ANN, ("sec-fetch-site", "cross-site")]), 403);
    backend.set_down(true);
    until("the backend fails", || metric(&server, "tidings_authorize_failing") == 1);
    let mut newcomer = server.subscribe(&format!("{hub}?topic=orders/7"), &[("cookie", "sid=x")]);
    assert!(newcomer.reads(b"retry: "));
    assert!(newcomer.is_cut());
    publish(&server, "orders/ann/7");
    assert!(stream.event().unwrap().contains("data: orders/ann/7"), "it runs still");
}
