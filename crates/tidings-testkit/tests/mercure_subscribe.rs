//! Subscribing as Mercure clients do, in both dialects at once.

use crate::mercure;
use crate::mercure::{FORM, HUB, Tokens, bearer, drop_in, event, id_of, post};
use tidings_engine::EngineConfig;
use tidings_server::Config;
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::server::TestServer;

/// An open hub would be enough for most tests; this one has every feature.
fn get(server: &TestServer, query: &str) -> Response {
    let token = bearer(&Tokens::everything().zero);
    server.request("GET", &format!("{HUB}?{query}"), &[("authorization", &token)], "")
}

fn subscribe(server: &TestServer, query: &str, headers: &[(&str, &str)]) -> Connection {
    let token = bearer(&Tokens::everything().zero);
    let mut all = vec![("authorization", token.as_str())];
    all.extend_from_slice(headers);
    server.subscribe(&format!("{HUB}?{query}"), &all)
}

fn resume_head(server: &TestServer, query: &str, headers: &[(&str, &str)]) -> [Option<String>; 2] {
    let token = bearer(&Tokens::everything().zero);
    let mut all = vec![("authorization", token.as_str())];
    all.extend_from_slice(headers);
    let mut connection = server.connect();
    connection.send(request("GET", &format!("{HUB}?{query}"), &all, b""));
    let head = connection.head();
    assert_eq!(head.status, 200, "{head:?}");
    ["last-event-id", "mercure-last-event-id"].map(|name| head.header(name).map(str::to_owned))
}

#[test]
fn the_answer_begins_at_once_and_has_the_headers_clients_expect() {
    for portable in [false, true] {
        let server = TestServer::builder()
            .config(mercure::configure)
            .engine(|engine| engine.portable = portable)
            .start();
        let token = bearer(&Tokens::everything().zero);
        for query in ["topic=a", "match=a"] {
            let mut stream = server.connect();
            let target = format!("{HUB}?{query}");
            stream.send(request("GET", &target, &[("authorization", &token)], b""));
            let head = stream.head();
            assert_eq!(head.status, 200);
            for (name, value) in [
                ("content-type", "text/event-stream"),
                ("connection", "keep-alive"),
                ("cache-control", "private, no-cache, no-store, must-revalidate, max-age=0"),
                ("pragma", "no-cache"),
                ("expire", "0"),
                ("x-accel-buffering", "no"),
                ("incremental", "?1"),
                ("x-frame-options", "DENY"),
                ("x-content-type-options", "nosniff"),
                ("x-xss-protection", "1; mode=block"),
                ("content-security-policy", "default-src 'self'"),
            ] {
                assert_eq!(head.header(name), Some(value), "{name}");
            }
            assert_eq!(head.header("last-event-id"), None, "the request did not resume");
            let id = id_of(&post(&server, "topic=a&data=x"));
            let first = stream.block().unwrap();
            assert_eq!(first, format!(":\nid: {id}\ndata: x\n\n"), "a comment, then the event");
        }
    }
}

#[test]
fn heartbeats_are_bare_comments() {
    let server = TestServer::builder()
        .config(mercure::configure)
        .engine(|engine: &mut EngineConfig| {
            engine.heartbeat = std::time::Duration::from_millis(200);
        })
        .start();
    let mut stream = subscribe(&server, "topic=a", &[]);
    assert!(stream.reads(b":\n:\n"));
    post(&server, "topic=a&data=x");
    let block = stream.block().unwrap();
    assert!(block.lines().filter(|line| line.starts_with(':')).all(|line| line == ":"), "{block}");
}

#[test]
fn selectors_of_0_x_and_matchers_of_1_0_choose_topics() {
    // A subscriber to everything with every grant would get subscription events too.
    let quiet = |config: &mut Config| {
        mercure::configure(config);
        config.mercure.subscriptions = false;
    };
    let server = TestServer::builder().config(quiet).start();
    let book = "https://x.example/books/1";
    let encoded = "https%3A%2F%2Fx.example%2Fbooks%2F";
    for query in [
        format!("topic={encoded}1"),
        format!("topic={encoded}%7Bid%7D"),
        format!("topic=nothing&topic={encoded}%7Bid%7D"),
        format!("topic={encoded}1&topic={encoded}%7Bid%7D"),
        "topic=*".into(),
        "topic=https://x.example/%7B%2Brest%7D".into(),
        format!("match={encoded}1"),
        format!("match_exact={encoded}1&match=other"),
        format!("match_urlpattern={encoded}%3Aid"),
        "match=*".into(),
        "match_urlpattern=*".into(),
    ] {
        let mut stream = subscribe(&server, &query, &[]);
        post(&server, "topic=https://x.example/authors/1/2&data=0&private");
        post(&server, "topic=https://y.example/books/1&data=0");
        post(&server, &format!("topic={book}&data=1"));
        let first = event(&mut stream);
        if query.contains('*') || query.contains("rest") {
            assert!(first.ends_with("data: 0\n\n"), "{query}");
            continue;
        }
        assert!(first.ends_with("data: 1\n\n"), "{query}");
        post(&server, &format!("topic={book}&data=2"));
        assert!(event(&mut stream).ends_with("data: 2\n\n"), "{query}: once");
    }
}

#[test]
fn exact_matchers_match_nothing_else() {
    let server = drop_in();
    let mut stream = subscribe(&server, "match=https://x.example/%7Bid%7D", &[]);
    post(&server, "topic=https://x.example/1&data=0");
    post(&server, "topic=https://x.example/%7Bid%7D&data=1");
    assert!(event(&mut stream).ends_with("data: 1\n\n"));
}

#[test]
fn errors_have_their_statuses_and_texts() {
    let server = drop_in();
    let many = |name: &str, count: usize| format!("{name}=a&").repeat(count);
    for (query, status, text) in [
        ("", 400, "Missing \"topic\" parameter."),
        ("x=y", 400, "Missing \"topic\" parameter."),
        (&many("topic", 1001), 400, "Too many \"topic\" parameters."),
        ("last_event_id=x", 400, "missing \"match\" subscription parameter"),
        (&many("match", 101), 400, "too many"),
        ("match=a&topic=b", 400, "topic"),
        ("match=a&match_x=b", 400, "match_x"),
        ("match=a&Match=b", 400, "Match"),
        ("match=a%00", 400, "invisible"),
        ("match=a%e2%80%8b", 400, "invisible"),
        ("match=%ff", 400, "UTF-8"),
        ("match_urlpattern=https://x.example/:id(", 400, "not a URL pattern"),
        (&format!("match={}", "x".repeat(4097)), 400, "4096"),
    ] {
        let answer = get(&server, query);
        assert_eq!(answer.status(), status, "{query}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let line = answer.text();
        assert!(line.contains(text) && line.ends_with('\n'), "{query}: {line}");
    }
    subscribe(&server, &many("topic", 1000), &[]);
    subscribe(&server, &many("match", 100), &[]);
    subscribe(&server, "topic=a&topic=%zz", &[]);
}

#[test]
fn head_has_the_headers_and_makes_no_subscriber() {
    let server = drop_in();
    let token = bearer(&Tokens::everything().zero);
    let mut connection = server.connect();
    let target = format!("{HUB}?topic=a");
    connection.send(request("HEAD", &target, &[("authorization", &token)], b""));
    let head = connection.head();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(server.engine().status().subscribers, 0);
    connection.send(request("HEAD", HUB, &[("authorization", &token)], b""));
    assert_eq!(connection.head().status, 400);
}

#[test]
fn a_query_request_has_its_parameters_in_its_body_too() {
    let server = drop_in();
    let token = bearer(&Tokens::everything().one);
    let headers = [("authorization", token.as_str()), FORM];
    let mut stream = server.connect();
    stream.send(request("QUERY", &format!("{HUB}?match=a"), &headers, b"match=b&last_event_id="));
    let head = stream.head();
    assert_eq!((head.status, head.header("mercure-last-event-id")), (200, Some("earliest")));
    for topic in ["c", "b", "a"] {
        post(&server, &format!("topic={topic}&data={topic}"));
    }
    assert!(event(&mut stream).ends_with("data: b\n\n"));
    assert!(event(&mut stream).ends_with("data: a\n\n"));
    let query = |body: &[u8]| server.request("QUERY", HUB, &headers, body);
    assert_eq!(query(b"match=%zz").status(), 400);
    assert_eq!(query(b"topic=a").status(), 400);
    assert_eq!(query(&vec![b'x'; (1 << 20) + 1]).status(), 413);
    let json = [("authorization", token.as_str()), ("content-type", "application/json")];
    assert_eq!(server.request("QUERY", HUB, &json, "{}").status(), 400);
}

#[test]
fn other_paths_and_methods_are_404_and_405() {
    let server = drop_in();
    for path in ["/", "/ui/", "/subscriptions/", "/x"] {
        let answer = server.request("GET", &format!("{HUB}{path}"), &[], "");
        assert_eq!((answer.status(), answer.text()), (404, "404 page not found\n"), "{path}");
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = server.request(method, HUB, &[], "");
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.header("allow"), Some("GET, HEAD, QUERY, POST, OPTIONS"));
    }
    assert_eq!(server.request("GET", "/.well-known/mercurex", &[], "").status(), 404);
}

#[test]
fn a_stream_resumes_after_the_id_in_header_or_parameter() {
    let server = drop_in();
    let own = id_of(&post(&server, "topic=a&data=1&id=urn:my:1"));
    let ours = id_of(&post(&server, "topic=a&data=2"));
    post(&server, "topic=a&data=3");
    for (query, headers, next) in [
        (format!("topic=a&lastEventID={own}"), vec![], "2"),
        (format!("topic=a&Last-Event-ID={own}"), vec![], "2"),
        (format!("topic=a&lastEventID=&Last-Event-ID={own}"), vec![], "2"),
        (format!("topic=a&lastEventID={ours}"), vec![], "3"),
        (format!("topic=a&lastEventID={own}&lastEventID={ours}"), vec![], "2"),
        (format!("topic=a&lastEventID={ours}&lastEventID={own}"), vec![], "3"),
        (format!("match=a&last_event_id={ours}&last_event_id={own}"), vec![], "3"),
        (format!("match=a&last_event_id={own}"), vec![], "2"),
        ("topic=a".into(), vec![("last-event-id", own.as_str())], "2"),
        (format!("topic=a&lastEventID={own}"), vec![("last-event-id", ours.as_str())], "3"),
        (format!("match=a&last_event_id={own}"), vec![("last-event-id", ours.as_str())], "3"),
        ("topic=a&lastEventID=earliest".into(), vec![], "1"),
        ("match=a&last_event_id=earliest".into(), vec![], "1"),
    ] {
        let mut stream = subscribe(&server, &query, &headers);
        let first = event(&mut stream);
        assert!(first.ends_with(&format!("data: {next}\n\n")), "{query} {headers:?}: {first}");
    }
}

#[test]
fn the_answer_says_where_the_stream_begins_in_both_dialects_headers() {
    let server = drop_in();
    let both = |id: &str| [Some(id.to_owned()), Some(id.to_owned())];
    assert_eq!(resume_head(&server, "match=a&last_event_id=", &[]), both("earliest"));
    assert_eq!(resume_head(&server, "topic=a&lastEventID=", &[]), [None, None]);
    let id = id_of(&post(&server, "topic=a&data=1&id=urn:my:1"));
    assert_eq!(resume_head(&server, &format!("topic=a&lastEventID={id}"), &[]), both(&id));
    assert_eq!(resume_head(&server, "match=a", &[("last-event-id", &id)]), both(&id));
    assert_eq!(resume_head(&server, "topic=a&lastEventID=earliest", &[]), both("earliest"));
    assert_eq!(resume_head(&server, "topic=a&lastEventID=unknown", &[]), both("earliest"));
    assert_eq!(resume_head(&server, "topic=a", &[]), [None, None]);
    let here = resume_head(&server, "match=a&last_event_id=", &[])[0].clone().unwrap();
    post(&server, "topic=a&data=2");
    let mut stream = subscribe(&server, &format!("match=a&last_event_id={here}"), &[]);
    assert!(event(&mut stream).ends_with("data: 2\n\n"));
}

#[test]
fn of_two_events_with_one_id_the_earlier_one_counts() {
    let server = drop_in();
    for form in ["topic=a&data=1&id=x", "topic=a&data=2", "topic=a&data=3&id=x"] {
        post(&server, form);
    }
    let mut stream = subscribe(&server, "topic=a&lastEventID=x", &[]);
    assert!(event(&mut stream).ends_with("data: 2\n\n"));
    assert!(event(&mut stream).ends_with("data: 3\n\n"));
}

#[test]
fn private_events_need_a_grant_for_any_of_their_topics() {
    let server = drop_in();
    for topic in ["topic", "match"] {
        let tokens =
            Tokens::subscribing(&["https://x.example/users/{id}"], "https://x.example/users/:id");
        let token = if topic == "topic" { tokens.zero } else { tokens.one };
        let target = format!("{HUB}?{topic}=https://x.example/books/1");
        let mut stream = server.subscribe(&target, &[("authorization", &bearer(&token))]);
        let book = "topic=https://x.example/books/1";
        post(&server, &format!("{book}&private=on&data=1"));
        post(&server, "topic=https://x.example/users/7&private&data=2");
        post(&server, &format!("{book}&topic=https://x.example/users/7&private&data=3"));
        post(&server, &format!("{book}&data=4"));
        assert!(event(&mut stream).ends_with("data: 3\n\n"), "{topic}");
        assert!(event(&mut stream).ends_with("data: 4\n\n"), "{topic}");
        // The same holds for replayed events.
        let headers = [("authorization", &*bearer(&token)), ("last-event-id", "earliest")];
        let mut again = server.subscribe(&target, &headers);
        assert!(event(&mut again).ends_with("data: 3\n\n"), "{topic}");
    }
}

#[test]
fn a_grant_does_not_limit_public_events() {
    let server = drop_in();
    let token = bearer(&mercure::zero(&serde_json::json!({ "mercure": { "subscribe": ["x"] } })));
    let mut stream = server.subscribe(&format!("{HUB}?topic=a"), &[("authorization", &token)]);
    post(&server, "topic=a&private&data=1");
    post(&server, "topic=a&data=2");
    assert!(event(&mut stream).ends_with("data: 2\n\n"));
}

#[test]
fn a_subscriber_without_room_learns_when_to_come_back() {
    let server = TestServer::builder()
        .config(mercure::configure)
        .engine(|engine| engine.subscribers_max = 0)
        .start();
    let answer = get(&server, "topic=a&lastEventID=x");
    assert_eq!((answer.status(), answer.header("last-event-id")), (200, Some("x")));
    assert!(answer.text().starts_with(":\nretry: "), "{}", answer.text());
}
