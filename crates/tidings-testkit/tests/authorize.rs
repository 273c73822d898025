//! What a client may do is what a backend says.

use std::time::Duration;

use serde_json::json;
use tidings_hub::Matcher;
use tidings_server::{ApiKey, AuthorizeAction, AuthorizeRule, Config, OnFailure};
use tidings_testkit::backend::{Asked, Backend, Reply};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::server::TestServer;

const KEY: (&str, &str) = ("authorization", "Bearer key-0123456789abcdef");
const ANN: (&str, &str) = ("cookie", "theme=dark; sid=ann");
const BOB: (&str, &str) = ("cookie", "sid=bob");
const JSON: (&str, &str) = ("accept", "application/json");

/// An application with two users; each may read its own orders, and Ann may publish to them.
fn application(asked: &Asked) -> Reply {
    match asked.header("cookie") {
        Some("sid=ann") => Reply::ok(json!({
            "sub": "ann", "subscribe": ["orders/ann/**", "users/**"], "publish": ["orders/ann/*"],
        })),
        Some("sid=bob") => Reply::ok(json!({"sub": "bob", "subscribe": ["orders/bob/**"]})),
        _ => Reply::status(403),
    }
}

fn rule(backend: &Backend, change: impl FnOnce(&mut AuthorizeRule)) -> AuthorizeRule {
    let topics = vec![Matcher::parse("orders/**").unwrap()];
    let url = backend.url("/hub/auth");
    let mut rule = AuthorizeRule::new(&url, topics, &["sid"], &[] as &[&str]).unwrap();
    rule.timeout = Duration::from_secs(10);
    change(&mut rule);
    rule
}

fn server_with(rules: Vec<AuthorizeRule>) -> TestServer {
    let configure = |config: &mut Config| {
        config.http.authorize = rules;
        config.http.api_keys =
            vec![ApiKey::new("k", "key-0123456789abcdef", &["**"], &["**"]).unwrap()];
    };
    TestServer::builder().config(configure).start()
}

fn server(backend: &Backend) -> TestServer {
    server_with(vec![rule(backend, |_| {})])
}

fn publish(server: &TestServer, topic: &str) {
    let answer = server.request("POST", &format!("/events/{topic}"), &[KEY], topic);
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

fn get(server: &TestServer, target: &str, headers: &[(&str, &str)]) -> Response {
    server.request("GET", target, &[&[JSON], headers].concat(), "")
}

#[test]
fn the_answer_says_what_is_read_and_nobody_elses_answer_counts() {
    let backend = Backend::start(application);
    let server = server(&backend);
    let mut ann = server.subscribe("/events/orders/ann/*", &[ANN]);
    let mut bob = server.subscribe("/events/orders/bob/7", &[BOB]);
    publish(&server, "orders/ann/7");
    publish(&server, "orders/bob/7");
    assert!(ann.event().unwrap().ends_with("data: orders/ann/7\n\n"));
    assert!(bob.event().unwrap().ends_with("data: orders/bob/7\n\n"));
    for (target, headers) in [
        ("/events/orders/bob/7", ANN),
        ("/events/orders/ann/7", BOB),
        ("/events/orders/**", ANN),
        ("/events?topic=orders/ann/7&topic=orders/bob/7", ANN),
        ("/events/orders/ann/7", ("cookie", "sid=invented")),
    ] {
        let answer = get(&server, target, &[headers]);
        assert_eq!((answer.status(), &*answer.code()), (403, "not_authorized"), "{target}");
    }
    let asked = &backend.asked()[0];
    assert_eq!(asked.target, "/hub/auth?action=subscribe&topic=orders%2Fann%2F*");
    assert_eq!(asked.header("cookie"), Some("sid=ann"));
    assert_eq!(asked.header("tidings-ask"), Some("1"));
    let names: Vec<_> = asked.headers.iter().map(|(name, _)| &**name).collect();
    assert!(!names.iter().any(|name| name.starts_with("x-") || *name == "forwarded"), "{names:?}");
}

#[test]
fn an_answer_grants_nothing_outside_the_topics_of_its_rule() {
    let everything = json!({
        "subscribe": ["**"], "publish": ["**"], "erase": ["**"], "operate": ["look", "kick"],
    });
    let backend = Backend::start(move |_| Reply::ok(everything.clone()));
    let server = server(&backend);
    assert_eq!(get(&server, "/events/orders/**", &[ANN]).status(), 200);
    for target in ["/events/users/7", "/events/**", "/events?topic=orders/7&topic=users/7"] {
        assert_eq!(get(&server, target, &[ANN]).code(), "token_required", "{target}");
    }
    // A reader that names nothing gets what it may read.
    publish(&server, "users/7");
    publish(&server, "orders/7");
    let page = get(&server, "/events", &[ANN]).json();
    assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
    for target in ["/stats", "/metrics", "/connections"] {
        assert_eq!(get(&server, target, &[ANN]).code(), "token_required", "{target}");
    }
    let post = server.request("POST", "/events/orders/7", &[ANN], "x");
    assert_eq!(post.code(), "token_required", "the rule is about reading");
    let kick = server.request("DELETE", "/connections?topic=orders/7", &[ANN], "");
    assert_eq!(kick.code(), "token_required");
}

#[test]
fn nobody_is_asked_about_a_request_without_a_credential_or_with_one_of_the_hubs_own() {
    let backend = Backend::start(application);
    let server = server(&backend);
    for headers in [&[][..], &[("cookie", "theme=dark")], &[("cookie", "xsid=ann")]] {
        assert_eq!(get(&server, "/events/orders/7", headers).code(), "token_required");
    }
    assert_eq!(get(&server, "/events/orders/7", &[ANN, KEY]).status(), 200);
    let wrong = ("authorization", "Bearer key-of-somebody-else");
    assert_eq!(get(&server, "/events/orders/7", &[ANN, wrong]).code(), "token_invalid");
    let foreign = ("origin", "https://evil.example");
    assert_eq!(get(&server, "/events/orders/7", &[ANN, foreign]).code(), "origin_not_allowed");
    let preflight = [foreign, ("access-control-request-method", "GET"), ANN];
    server.request("OPTIONS", "/events/orders/7", &preflight, "");
    assert!(backend.asked().is_empty());
    let mut head = server.connect();
    head.send(request("HEAD", "/events/orders/ann/7", &[ANN], b""));
    assert_eq!(head.head().status, 200);
    assert_eq!(backend.asked().len(), 1, "HEAD asks");
}

#[test]
fn publishing_is_asked_about_where_the_rule_says_so_and_only_for_pages_of_the_hub() {
    let backend = Backend::start(application);
    let both = vec![AuthorizeAction::Subscribe, AuthorizeAction::Publish];
    let server = server_with(vec![rule(&backend, |rule| rule.actions = both)]);
    let own = ("sec-fetch-site", "same-origin");
    let post = |topic: &str, headers: &[(&str, &str)]| {
        server.request("POST", &format!("/events/{topic}"), headers, "x")
    };
    assert_eq!(post("orders/ann/7", &[ANN, own]).status(), 200);
    assert_eq!(post("orders/bob/7", &[ANN, own]).code(), "not_authorized");
    assert_eq!(post("orders/bob/7", &[BOB, own]).code(), "not_authorized");
    assert_eq!(post("users/7", &[ANN, own]).code(), "token_required");
    assert_eq!(backend.asked()[0].target, "/hub/auth?action=publish&topic=orders%2Fann%2F7");
    let asked = backend.asked().len();
    for headers in [
        &[ANN][..],
        &[ANN, ("sec-fetch-site", "same-site")],
        &[ANN, ("origin", "https://evil.example")],
        &[ANN, ("origin", "null")],
    ] {
        assert_eq!(post("orders/ann/7", headers).code(), "origin_not_allowed", "{headers:?}");
    }
    assert_eq!(backend.asked().len(), asked);
    // Ending the topic, and a batch, which names its topics only as it goes.
    let end = server.request("DELETE", "/events/orders/ann/7", &[ANN, own], "");
    assert_eq!(end.status(), 200, "{}", end.text());
    let headers = [ANN, own, ("content-type", "application/x-ndjson")];
    let batch = "{\"topic\":\"orders/ann/8\",\"data\":\"x\"}\n";
    assert_eq!(server.request("POST", "/events", &headers, batch).status(), 200);
    let batch = "{\"topic\":\"orders/bob/8\",\"data\":\"x\"}\n";
    assert_eq!(server.request("POST", "/events", &headers, batch).code(), "not_authorized");
}

/// A visitor whose sign-in at the application is over has the cookie still, and cannot remove it.
#[test]
fn a_no_to_a_request_that_names_no_topics_leaves_what_everybody_may_do() {
    const EVE: (&str, &str) = ("cookie", "sid=eve");
    const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
    const LINES: (&str, &str) = ("content-type", "application/x-ndjson");
    let backend = Backend::start(application);
    let start = |is_public: bool| {
        let both = vec![AuthorizeAction::Subscribe, AuthorizeAction::Publish];
        let rule = rule(&backend, |rule| rule.actions = both);
        let matchers = |text: &str| vec![Matcher::parse(text).unwrap()];
        let configure = move |config: &mut Config| {
            config.http.authorize = vec![rule];
            config.http.api_keys =
                vec![ApiKey::new("k", "key-0123456789abcdef", &["**"], &["**"]).unwrap()];
            if is_public {
                config.http.anonymous_subscribe = matchers("news/**");
                config.http.anonymous_publish = matchers("guestbook/*");
            }
        };
        TestServer::builder().config(configure).start()
    };
    let line = |topic: &str| format!("{{\"topic\":\"{topic}\",\"data\":\"x\"}}\n");

    let server = start(true);
    publish(&server, "news/1");
    publish(&server, "orders/ann/1");
    let events = get(&server, "/events?last=10", &[EVE]);
    assert_eq!(events.status(), 200, "{}", events.text());
    assert!(events.text().contains("news/1") && !events.text().contains("orders/ann"));
    let topics = get(&server, "/topics", &[EVE]);
    assert!(topics.text().contains("news/1") && !topics.text().contains("orders/ann"));
    let mut stream = server.subscribe("/events?last=10", &[EVE]);
    assert!(stream.event().unwrap().contains("data: news/1"));
    let post = |topic| server.request("POST", "/events", &[EVE, OWN, LINES], line(topic));
    assert_eq!(post("guestbook/1").status(), 200);
    assert_eq!(post("orders/ann/8").code(), "token_required");
    // It is asked all the same: a yes grants more.
    assert!(get(&server, "/events?last=10", &[ANN]).text().contains("orders/ann/1"));
    // What is named is more than everybody may have.
    assert_eq!(get(&server, "/events/orders/ann/1", &[EVE]).code(), "not_authorized");

    // Where nothing is public there is nothing left.
    let server = start(false);
    for target in ["/events", "/topics"] {
        assert_eq!(get(&server, target, &[EVE]).code(), "not_authorized", "{target}");
    }
    let batch = server.request("POST", "/events", &[EVE, OWN, LINES], line("guestbook/1"));
    assert_eq!(batch.code(), "not_authorized");

    // A header is no cookie: its sender means it.
    let topics = vec![Matcher::parse("orders/**").unwrap()];
    let url = backend.url("/hub/auth");
    let by_header = AuthorizeRule::new(&url, topics, &[] as &[&str], &["x-key"]).unwrap();
    let configure = |config: &mut Config| {
        config.http.authorize = vec![by_header];
        config.http.api_keys =
            vec![ApiKey::new("k", "key-0123456789abcdef", &["**"], &["**"]).unwrap()];
        config.http.anonymous_subscribe = vec![Matcher::parse("news/**").unwrap()];
    };
    let server = TestServer::builder().config(configure).start();
    assert_eq!(get(&server, "/events", &[("x-key", "eve")]).code(), "not_authorized");
}

#[test]
fn a_question_is_asked_once_however_many_want_to_know() {
    let slow = |asked: &Asked| application(asked).after(Duration::from_millis(300));
    let backend = Backend::start(slow);
    let server = server_with(vec![rule(&backend, |rule| rule.send_topics = false)]);
    let mut connections: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for (number, connection) in connections.iter_mut().enumerate() {
        let target = format!("/events/orders/ann/{number}");
        connection.send(request("GET", &target, &[ANN], b""));
    }
    for connection in &mut connections {
        assert_eq!(connection.head().status, 200);
    }
    assert_eq!(backend.asked().len(), 1);
    assert_eq!(backend.asked()[0].target, "/hub/auth?action=subscribe");
    server.subscribe("/events/orders/bob/7", &[BOB]);
    assert_eq!(backend.asked().len(), 2);
}

#[test]
fn two_users_at_once_get_each_their_own_answer() {
    let slow = |asked: &Asked| application(asked).after(Duration::from_millis(300));
    let backend = Backend::start(slow);
    let server = server_with(vec![rule(&backend, |rule| rule.send_topics = false)]);
    let users = [("ann", ANN), ("bob", BOB)];
    let mut asked = Vec::new();
    for number in 0..100 {
        // Each asks for its own orders and for the other's, while the backend thinks.
        let (user, cookie) = users[number % 2];
        let (topic, _) = users[number / 2 % 2];
        let mut connection = server.connect();
        let target = format!("/events/orders/{topic}/{number}");
        connection.send(request("GET", &target, &[cookie, JSON], b""));
        asked.push((connection, if user == topic { 200 } else { 403 }, user, topic));
    }
    for (mut connection, status, user, topic) in asked {
        assert_eq!(connection.response().status(), status, "{user} reads of {topic}");
    }
    assert_eq!(backend.asked().len(), 2);
}

#[test]
fn a_header_can_be_what_a_backend_knows_a_client_by() {
    let by_token = |asked: &Asked| match asked.header("authorization") {
        Some("Bearer opaque-7") => Reply::ok(json!({"subscribe": ["orders/7"]})),
        _ => Reply::status(401),
    };
    let backend = Backend::start(by_token);
    let topics = vec![Matcher::parse("orders/**").unwrap()];
    let url = backend.url("/auth?from=hub");
    let rule = AuthorizeRule::new(&url, topics, &[] as &[&str], &["authorization"]).unwrap();
    let server = server_with(vec![rule]);
    let good = ("authorization", "Bearer opaque-7");
    assert_eq!(get(&server, "/events/orders/7", &[good]).status(), 200);
    assert_eq!(backend.asked()[0].target, "/auth?from=hub&action=subscribe&topic=orders%2F7");
    let bad = ("authorization", "Bearer opaque-8");
    assert_eq!(get(&server, "/events/orders/7", &[bad]).code(), "not_authorized");
    // Where no rule passes it on, it has to be the hub's own.
    assert_eq!(get(&server, "/events/users/7", &[good]).code(), "token_invalid");
    assert_eq!(get(&server, "/events/orders/9", &[KEY]).status(), 200);
}

/// The softness of a refusal: a stream that says when to come back, and is cut.
fn assert_soft(connection: &mut Connection) {
    let block = connection.block().unwrap();
    assert!(block.contains("retry: ") && block.contains("tidings.open"), "{block}");
    assert!(connection.is_cut());
}

#[test]
fn whatever_is_no_answer_lets_nobody_in_and_a_browser_comes_back() {
    let answers: [fn() -> Reply; 10] = [
        || Reply::status(500),
        || Reply::status(204),
        || Reply::status(302).with_header("location: /login"),
        || Reply::ok("<html>Sign in</html>"),
        || Reply::ok(""),
        || Reply::ok(json!({"subscribe": ["**"], "expires_in": 0})),
        || Reply::ok(json!({"subscribe": ["**"], "expires_in": -1})),
        || Reply::ok(json!({"subscribe": ["**"], "payload": "x".repeat(65 << 10)})),
        || Reply::ok(json!({"subscribe": ["**"]})).after(Duration::from_secs(5)),
        || Reply::ok(json!({"subscribe": ["**"]})).with_pause(Duration::from_secs(5)),
    ];
    for answer in answers {
        let backend = Backend::start(move |_| answer());
        let quick = |rule: &mut AuthorizeRule| rule.timeout = Duration::from_millis(500);
        let server = server_with(vec![rule(&backend, quick)]);
        assert_soft(&mut server.subscribe("/events/orders/7", &[ANN]));
        let page = get(&server, "/events/orders/7", &[ANN]);
        assert_eq!((page.status(), &*page.code()), (503, "authorize_unavailable"));
        assert!(page.header("retry-after").is_some());
        assert_eq!(backend.asked().len(), 2, "failures are not kept, redirects not followed");
        // What everybody may do without the backend goes on.
        assert_eq!(get(&server, "/events/orders/7", &[KEY]).status(), 200);
    }
}

#[test]
fn a_failing_backend_is_left_alone_and_a_full_queue_refuses_softly() {
    let backend = Backend::start(application);
    let server = self::server(&backend);
    backend.set_down(true);
    for number in 0..20 {
        let cookie = format!("sid={number}");
        let page = get(&server, "/events/orders/7", &[("cookie", &cookie)]);
        assert_eq!(page.code(), "authorize_unavailable");
    }
    let metrics = server.request("GET", "/metrics", &[KEY], "");
    let value = |name: &str| {
        let line = metrics.text().lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(value("tidings_authorize_failing{rule=\"1\"}"), 1);
    let failed = value("tidings_authorize_questions_total{rule=\"1\",outcome=\"failed\"}");
    assert!((5..10).contains(&failed), "{failed}");
    assert!(value("tidings_authorize_unavailable_total{rule=\"1\",reason=\"breaker\"}") >= 10);

    let slow = Backend::start(|asked| application(asked).after(Duration::from_millis(300)));
    let narrow = |rule: &mut AuthorizeRule| (rule.concurrency, rule.waiting) = (2, 3);
    let server = server_with(vec![rule(&slow, narrow)]);
    let mut connections: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for (number, connection) in connections.iter_mut().enumerate() {
        let target = format!("/events/orders/ann/{number}");
        connection.send(request("GET", &target, &[ANN], b""));
    }
    let blocks = connections.iter_mut().map(|connection| {
        assert_eq!(connection.head().status, 200);
        connection.block().unwrap()
    });
    let rejected = blocks.filter(|block| !block.contains("id: ")).count();
    assert_eq!((rejected, slow.most_at_once(), slow.asked().len()), (15, 2, 5));
}

#[test]
fn an_earlier_answer_lets_a_newcomer_in_only_where_the_rule_says_so() {
    for (on_failure, status) in [(OnFailure::Refuse, 503), (OnFailure::AllowCached, 200)] {
        let backend = Backend::start(application);
        let server = server_with(vec![rule(&backend, |rule| {
            rule.on_failure = on_failure;
            rule.cache = Duration::from_millis(100);
        })]);
        assert_eq!(get(&server, "/events/orders/ann/7", &[ANN]).status(), 200);
        backend.set_down(true);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(get(&server, "/events/orders/ann/7", &[ANN]).status(), status);
        assert_eq!(get(&server, "/events/orders/bob/7", &[BOB]).status(), 503);
    }
}

#[test]
fn a_denied_user_is_denied_although_the_backend_says_yes() {
    let backend = Backend::start(application);
    let configure = |config: &mut Config| {
        config.http.authorize = vec![rule(&backend, |_| {})];
        let key = ApiKey::new::<&str>("k", "key-0123456789abcdef", &[], &[]).unwrap();
        config.http.api_keys = vec![key.with_grant(tidings_hub::Grant::everything())];
    };
    let server = TestServer::builder().config(configure).start();
    let mut stream = server.subscribe("/events/orders/ann/7", &[ANN]);
    stream.block();
    let kick = server.request("DELETE", "/connections?sub=ann&deny=1h", &[KEY], "");
    assert_eq!(kick.json()["closed"], 1);
    assert!(stream.block().unwrap().contains("kicked"));
    assert_eq!(get(&server, "/events/orders/ann/7", &[ANN]).code(), "denied");
    assert_eq!(get(&server, "/events/orders/bob/7", &[BOB]).status(), 200);
}
