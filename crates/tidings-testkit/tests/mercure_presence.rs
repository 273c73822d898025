//! Presence, by its API and by subscription events, in both dialects (Mercure, draft 7 §"Active
//! Subscriptions", draft 8 the same).

use crate::mercure;
use std::time::Duration;

use crate::mercure::{HUB, RESOURCE, Tokens, bearer, detail, drop_in, event, one, post, zero};
use serde_json::{Value, json};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::server::TestServer;

const API: &str = "/.well-known/mercure/subscriptions";

/// Everything below the API, in 0.x syntax and in 1.0 syntax.
const ZERO_EVENTS: &str = "/.well-known/mercure/subscriptions{/topic}{/subscriber}";
const ONE_EVENTS: &str = "/.well-known/mercure/subscriptions/*";

fn get(server: &TestServer, path: &str, token: &str, headers: &[(&str, &str)]) -> Response {
    let authorization = bearer(token);
    let mut all = vec![("authorization", authorization.as_str())];
    all.extend_from_slice(headers);
    server.request("GET", path, &all, "")
}

fn subscribe(server: &TestServer, query: &str, token: &str) -> Connection {
    server.subscribe(&format!("{HUB}?{query}"), &[("authorization", &bearer(token))])
}

/// A token that grants the list and its events in 1.0, and nothing else.
fn watcher() -> String {
    one(&json!([detail(&["subscribe"], ONE_EVENTS, "urlpattern")]))
}

/// Subscribes to subscription events in 0.x, and reads the event about itself.
fn watch_zero(server: &TestServer) -> Connection {
    let token = zero(&json!({ "mercure": { "subscribe": [ZERO_EVENTS] } }));
    let topic = ZERO_EVENTS.replace('{', "%7B").replace('}', "%7D");
    let mut watcher = subscribe(server, &format!("topic={topic}"), &token);
    assert!(event(&mut watcher).contains("\"active\": true"), "its own");
    watcher
}

fn watch_one(server: &TestServer) -> Connection {
    let query = format!("match_urlpattern={ONE_EVENTS}");
    let mut watcher = subscribe(server, &query, &watcher());
    assert!(event(&mut watcher).contains("\"active\":true"), "its own");
    watcher
}

fn watcher_of(server: &TestServer, is_one: bool) -> Connection {
    if is_one { watch_one(server) } else { watch_zero(server) }
}

fn data(block: &str) -> Value {
    let lines = block.lines().filter_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(&lines.collect::<Vec<_>>().join("\n")).unwrap()
}

fn id(block: &str) -> String {
    block.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned()
}

/// The list, once `wanted` subscriptions are on it.
fn list(server: &TestServer, path: &str, token: &str, wanted: usize) -> Value {
    for _ in 0..1000 {
        let answer = get(server, path, token, &[]);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let json = answer.json();
        if json["subscriptions"].as_array().unwrap().len() == wanted {
            return json;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("there are not {wanted}");
}

/// In the hub's own words, who reads a topic is a right of its own.
#[test]
fn a_right_to_read_every_topic_is_not_one_to_know_its_readers() {
    const KEY: &str = "key-0123456789abcdef";
    let key = tidings_server::ApiKey::new("k", KEY, &["**"], &["**"]).unwrap();
    let config = |config: &mut tidings_server::Config| {
        mercure::configure(config);
        config.http.api_keys = vec![key];
    };
    let server = TestServer::builder().config(config).start();
    let token = |claim: Value| zero(&json!({ "tidings": claim }));
    let reads_all = token(json!({ "subscribe": ["**"] }));
    let knows_one = token(json!({ "subscribe": ["**"], "presence": ["a/*"] }));
    let knows_all = token(json!({ "presence": ["**"] }));
    let mut deaf = [KEY, &reads_all, &knows_one].map(|token| subscribe(&server, "topic=*", token));
    let events = format!("topic={}", ZERO_EVENTS.replace('{', "%7B").replace('}', "%7D"));
    let mut hears = subscribe(&server, &events, &knows_all);
    let _reader = subscribe(&server, "topic=a/1", &reads_all);

    for (below, of_one) in [("", 401), ("/a%2F1", 200), ("/b", 401), ("/*", 401), ("/%zz", 401)] {
        let status = |token: &str| get(&server, &format!("{API}{below}"), token, &[]).status();
        assert_eq!(status(KEY), 401, "{below}");
        assert_eq!(status(&reads_all), 401, "{below}");
        assert_eq!(status(&knows_one), of_one, "{below}");
    }
    let refused = get(&server, &format!("{API}/b"), &knows_one, &[]);
    assert!(refused.text().contains("`presence` on \"b\""), "{}", refused.text());
    assert_eq!(list(&server, &format!("{API}/a%2F1"), &knows_one, 1)["type"], "Subscriptions");
    list(&server, API, &knows_all, 5);

    while !event(&mut hears).contains("\"topic\": \"a/1\"") {}
    post(&server, "topic=a/1&data=x");
    for stream in &mut deaf {
        assert!(event(stream).ends_with("data: x\n\n"), "and no subscription event before");
    }
}

#[test]
fn a_zero_x_subscriber_is_listed_while_it_is_there() {
    let server = drop_in();
    let all = Tokens::everything().zero;
    let rights = json!({ "subscribe": [], "payload": { "user": "k" } });
    let token = zero(&json!({ "mercure": rights }));
    let here = subscribe(&server, "topic=https://x/%7Bid%7D&topic=b", &token);

    let answer = get(&server, API, &all, &[]);
    assert_eq!(answer.header("content-type"), Some("application/ld+json"));
    let json = answer.json();
    assert_eq!(json["@context"], "https://mercure.rocks/");
    assert_eq!((&json["id"], &json["type"]), (&json!(API), &json!("Subscriptions")));
    assert_eq!(json["lastEventID"].as_str(), answer.header("etag"));
    let of_template = &json["subscriptions"][0];
    assert_eq!(of_template["topic"], "https://x/{id}");
    assert_eq!(
        (&of_template["type"], &of_template["active"]),
        (&json!("Subscription"), &json!(true))
    );
    assert_eq!(of_template["payload"], json!({ "user": "k" }));
    let name = of_template["subscriber"].as_str().unwrap();
    assert!(name.starts_with("urn:uuid:"), "{name}");
    let path = of_template["id"].as_str().unwrap();
    let escaped = name.replace(':', "%3A");
    assert_eq!(path, format!("{API}/https%3A%2F%2Fx%2F%7Bid%7D/{escaped}"));

    let alone = get(&server, path, &all, &[]).json();
    assert_eq!((&alone["topic"], &alone["subscriber"]), (&of_template["topic"], &json!(name)));
    assert!(alone["lastEventID"].is_string() && alone["@context"].is_string());
    let of_topic = get(&server, &format!("{API}/b"), &all, &[]).json();
    assert_eq!(of_topic["subscriptions"].as_array().unwrap().len(), 1);
    let nobody = get(&server, &format!("{API}/c"), &all, &[]);
    assert_eq!((nobody.status(), nobody.json()["subscriptions"].clone()), (200, json!([])));
    assert_eq!(get(&server, &format!("{API}/c/{escaped}"), &all, &[]).status(), 404);

    drop(here);
    list(&server, API, &all, 0);
    assert_eq!(get(&server, path, &all, &[]).status(), 404);
}

#[test]
fn a_one_0_subscriber_is_listed_with_the_kind_of_its_matcher() {
    let server = drop_in();
    let mut first = detail(&["subscribe"], "https://x/*", "urlpattern");
    first["payload"] = json!({ "user": "k" });
    let token = one(&json!([first, detail(&["subscribe"], "*", "exact")]));
    let _here = subscribe(&server, "match_urlpattern=https://x/*&match=b%20c", &token);

    let answer = get(&server, API, &watcher(), &[]);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    // The API's root is not below itself: it needs another matcher.
    assert_eq!(answer.status(), 403, "{}", answer.text());
    let all = Tokens::everything().one;
    let answer = get(&server, API, &all, &[]);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    assert_eq!((&json["id"], &json["type"]), (&json!(API), &json!("subscriptions")));
    let (pattern, exact) = (&json["subscriptions"][0], &json["subscriptions"][1]);
    assert_eq!(
        (&pattern["match_type"], &pattern["match"]),
        (&json!("urlpattern"), &json!("https://x/*"))
    );
    assert_eq!(pattern["payload"], json!({ "user": "k" }));
    assert_eq!((&exact["match_type"], &exact["match"]), (&json!("exact"), &json!("b c")));
    assert_eq!(exact["payload"], Value::Null, "its grant has none");
    let path = exact["id"].as_str().unwrap();
    assert!(path.starts_with(&format!("{API}/exact/b%20c/urn%3Auuid%3A")), "{path}");

    assert_eq!(get(&server, path, &watcher(), &[]).json(), *exact);
    let of_kind = get(&server, &format!("{API}/exact/b%20c"), &watcher(), &[]).json();
    assert_eq!(of_kind["subscriptions"].as_array().unwrap().len(), 1);
    let other_kind = get(&server, &format!("{API}/urlpattern/b%20c"), &watcher(), &[]).json();
    assert_eq!(other_kind["subscriptions"], json!([]));
    assert_eq!(get(&server, &format!("{API}/template/x"), &all, &[]).status(), 400);
    assert_eq!(get(&server, &format!("{API}/exact/%zz"), &all, &[]).status(), 400);
}

#[test]
fn the_list_needs_a_token_that_grants_it() {
    let server = TestServer::builder()
        .config(|config| {
            mercure::configure(config);
            config.mercure.anonymous = true;
        })
        .start();
    assert_eq!(server.request("GET", API, &[], "").status(), 401, "anonymous opens no list");
    let tokens = Tokens::subscribing(&["https://x/{id}"], "https://x/*");
    let refused = get(&server, API, &tokens.zero, &[]);
    assert_eq!(refused.status(), 401);
    assert!(refused.text().contains("does not grant"), "{}", refused.text());
    let refused = get(&server, API, &tokens.one, &[]);
    assert_eq!(refused.status(), 403);
    assert!(refused.header("www-authenticate").unwrap().contains("insufficient_scope"));
    let itself = zero(&json!({ "mercure": { "subscribe": [API] } }));
    assert_eq!(get(&server, API, &itself, &[]).status(), 200);
    assert_eq!(get(&server, &format!("{API}/x"), &itself, &[]).status(), 401);
    let publisher = zero(&json!({ "mercure": { "publish": ["*"] } }));
    assert_eq!(get(&server, API, &publisher, &[]).status(), 401);
}

#[test]
fn an_unchanged_list_is_a_304() {
    let server = drop_in();
    for token in [Tokens::everything().zero, Tokens::everything().one] {
        let first = get(&server, API, &token, &[]);
        let tag = first.header("etag").unwrap();
        let again = get(&server, API, &token, &[("if-none-match", tag)]);
        assert_eq!((again.status(), again.header("etag")), (304, Some(tag)));
        let here = subscribe(&server, "topic=a", &token);
        let changed = get(&server, API, &token, &[("if-none-match", tag)]);
        assert_eq!(changed.status(), 200);
        assert_ne!(changed.header("etag"), Some(tag));
        drop(here);
        list(&server, API, &token, 0);
    }
    let link = get(&server, API, &Tokens::everything().one, &[]);
    let link = link.header("link").unwrap();
    assert!(link.contains("rel=\"mercure\"") && link.contains("last-event-id=\""), "{link}");
}

#[test]
fn subscribing_and_leaving_are_events_in_the_watchers_dialect() {
    for is_one in [false, true] {
        let server = drop_in();
        let mut watcher = watcher_of(&server, is_one);
        let token = Tokens::subscribing(&[], "https://x/*").zero;
        let here = subscribe(&server, "topic=a", &token);
        let came = event(&mut watcher);
        drop(here);
        let went = event(&mut watcher);
        let (came_data, went_data) = (data(&came), data(&went));
        assert_eq!((&came_data["active"], &went_data["active"]), (&json!(true), &json!(false)));
        assert_eq!(came_data["id"], went_data["id"]);
        let path = came_data["id"].as_str().unwrap();
        if is_one {
            assert!(came.starts_with("event: mercure\n"), "{came}");
            assert_eq!(
                (&came_data["match"], &came_data["match_type"]),
                (&json!("a"), &json!("exact"))
            );
            assert!(path.starts_with(&format!("{API}/exact/a/")), "{path}");
        } else {
            assert!(came.starts_with("id: "), "{came}");
            assert_eq!(
                (&came_data["topic"], &came_data["type"]),
                (&json!("a"), &json!("Subscription"))
            );
            assert!(path.starts_with(&format!("{API}/a/")), "{path}");
        }
    }
}

#[test]
fn subscription_events_are_private() {
    let server = drop_in();
    let topic = ZERO_EVENTS.replace('{', "%7B").replace('}', "%7D");
    let without = Tokens::subscribing(&["https://x/{id}"], "https://x/*").zero;
    let mut stranger = subscribe(&server, &format!("topic={topic}&topic=b"), &without);
    let _here = subscribe(&server, "topic=a", &without);
    post(&server, "topic=b&data=b");
    assert!(event(&mut stranger).ends_with("data: b\n\n"), "and nothing before it");
}

#[test]
fn a_watcher_that_resumes_after_a_subscription_event_misses_none() {
    for is_one in [false, true] {
        let server = drop_in();
        let mut watcher = watcher_of(&server, is_one);
        let token = Tokens::subscribing(&[], "https://x/*").zero;
        let _first = subscribe(&server, "topic=a", &token);
        let last = id(&event(&mut watcher));
        drop(watcher);
        let _second = subscribe(&server, "topic=b", &token);
        post(&server, "topic=c&data=c");

        let (query, token) = if is_one {
            (format!("match_urlpattern={ONE_EVENTS}&match=c"), watcher_of_c())
        } else {
            let topic = ZERO_EVENTS.replace('{', "%7B").replace('}', "%7D");
            (format!("topic={topic}&topic=c"), Tokens::everything().zero)
        };
        let mut again = server.connect();
        let authorization = bearer(&token);
        let headers = [("authorization", authorization.as_str()), ("last-event-id", last.as_str())];
        again.send(request("GET", &format!("{HUB}?{query}"), &headers, b""));
        assert_eq!(again.head().header("last-event-id"), Some(last.as_str()));
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let block = event(&mut again);
            if block.ends_with("data: c\n\n") {
                seen.push("c".to_owned());
                continue;
            }
            let json = data(&block);
            let words = json["topic"].as_str().or(json["match"].as_str()).unwrap();
            if words == "b" || json["active"] == false {
                seen.push(format!("{words} {}", json["active"]));
            }
        }
        seen.sort();
        let gone = if is_one { ONE_EVENTS } else { ZERO_EVENTS };
        let mut expected = vec!["b true".to_owned(), "c".to_owned(), format!("{gone} false")];
        expected.sort();
        assert_eq!(seen, expected);
    }
}

fn watcher_of_c() -> String {
    one(&json!([
        detail(&["subscribe"], ONE_EVENTS, "urlpattern"),
        detail(&["subscribe"], "c", "exact")
    ]))
}

#[test]
fn the_cursor_of_the_list_is_where_its_events_begin() {
    let server = drop_in();
    let all = Tokens::everything().zero;
    let _first = subscribe(&server, "topic=a", &all);
    let cursor = get(&server, API, &all, &[]).json()["lastEventID"].as_str().unwrap().to_owned();
    let _second = subscribe(&server, "topic=b", &all);
    let query = format!("topic={API}/b/%7Bs%7D&lastEventID={}", cursor.replace('+', "%2B"));
    let mut watcher = subscribe(&server, &query, &all);
    assert_eq!(data(&event(&mut watcher))["topic"], "b");
}

#[test]
fn an_id_of_another_process_shows_that_events_may_be_lost() {
    let server = drop_in();
    post(&server, "topic=a&data=1");
    let token = bearer(&Tokens::everything().zero);
    let mut connection = server.connect();
    let headers = [("authorization", token.as_str()), ("last-event-id", "k7q2ma:1+dead-7")];
    connection.send(request("GET", &format!("{HUB}?topic=a"), &headers, b""));
    assert_eq!(connection.head().header("last-event-id"), Some("k7q2ma:1"), "not what was asked");
    post(&server, "topic=a&data=2");
    assert!(event(&mut connection).ends_with("data: 2\n\n"), "and it continues there");
}

#[test]
fn the_metadata_says_whether_there_is_presence_and_without_it_there_is_no_list() {
    let metadata = "/.well-known/oauth-protected-resource/.well-known/mercure";
    let server = drop_in();
    assert_eq!(server.request("GET", metadata, &[], "").json()["mercure_subscriptions"], true);
    let without = TestServer::builder()
        .config(|config| {
            mercure::configure(config);
            config.mercure.subscriptions = false;
        })
        .start();
    let json = without.request("GET", metadata, &[], "").json();
    assert_eq!(
        (&json["mercure_subscriptions"], &json["resource"]),
        (&Value::Null, &json!(RESOURCE))
    );
    let all = Tokens::everything().zero;
    assert_eq!(get(&without, API, &all, &[]).status(), 404);
    let mut everything = subscribe(&without, "topic=*", &all);
    post(&without, "topic=a&data=1");
    assert!(event(&mut everything).ends_with("data: 1\n\n"));
}
