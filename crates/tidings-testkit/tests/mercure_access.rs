//! Authorization by the rules of the Mercure protocol, and the answers to requests without
//! permission.

use crate::mercure;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::mercure::{
    FORM, HUB, ISSUER, RESOURCE, SECRET, Tokens, bearer, detail, drop_in, event, one, one_with,
    post, zero,
};
use serde_json::{Value, json};
use tidings_server::JwtKey;
use tidings_testkit::http::{Response, request};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::{hs256, hs256_typed};

fn get(server: &TestServer, query: &str, headers: &[(&str, &str)]) -> Response {
    server.request("GET", &format!("{HUB}?{query}"), headers, "")
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

/// The status and text of a rejection; the text is the same in body and challenge.
fn refusal(answer: &Response) -> (u16, String) {
    let challenge = answer.header("www-authenticate").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    let metadata = "https://hub.example/.well-known/oauth-protected-resource/.well-known/mercure";
    assert!(challenge.contains(&format!("resource_metadata=\"{metadata}\"")), "{challenge}");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    (answer.status(), format!("{} {challenge}", answer.text()))
}

#[test]
fn without_a_token_the_challenge_names_no_error() {
    let server = drop_in();
    for answer in [
        get(&server, "topic=a", &[]),
        get(&server, "match=a", &[]),
        server.request("POST", HUB, &[FORM], "topic=a"),
    ] {
        let (status, said) = refusal(&answer);
        assert_eq!(status, 401);
        assert!(said.starts_with("Unauthorized") && !said.contains("error="), "{said}");
    }
}

#[test]
fn a_malformed_header_is_401_in_0_x_and_400_in_1_0() {
    let server = drop_in();
    let good = bearer(&Tokens::everything().zero);
    for headers in [
        vec![("authorization", "Basic eDp5")],
        vec![("authorization", "Bearer short")],
        vec![("authorization", good.as_str()), ("authorization", good.as_str())],
    ] {
        for (query, status, error) in
            [("topic=a", 401, "invalid_request"), ("match=a", 400, "invalid_request")]
        {
            let (got, said) = refusal(&get(&server, query, &headers));
            assert_eq!(got, status, "{said}");
            assert!(said.contains(error), "{said}");
        }
    }
}

#[test]
fn a_bad_token_is_rejected_with_the_check_that_failed() {
    let server = drop_in();
    let claim = json!({ "mercure": { "publish": ["*"], "subscribe": ["*"] } });
    let with = |name: &str, value: Value| {
        let mut claims = claim.clone();
        claims[name] = value;
        zero(&claims)
    };
    let ours = |changes: Value| {
        let mut all = json!({ "authorization_details": [detail(&["publish"], "*", "exact")] });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        one_with(all)
    };
    let foreign = json!({ "iss": ISSUER, "aud": RESOURCE, "exp": 4_000_000_000_u64 });
    let cases = [
        (hs256(&claim, b"a secret of another issuer, of 32 bytes"), "signature"),
        (with("exp", json!(seconds_from_now(-2))), "expired (exp)"),
        (with("nbf", json!(seconds_from_now(60))), "not valid yet (nbf)"),
        (zero(&json!({ "mercure": { "publish": "*" } })), "mercure claim"),
        (zero(&json!({ "mercure": { "publish": vec!["a"; 1001] } })), "1000 selectors"),
        ("x".repeat(60), "neither a known key nor"),
        (hs256_typed(&foreign, b"a secret of another issuer, of 32 bytes", "at+jwt"), "signature"),
        (ours(json!({ "iss": "https://other.example" })), "(iss)"),
        (ours(json!({ "iss": null })), "(iss)"),
        (ours(json!({ "aud": "https://other.example" })), "(aud)"),
        (ours(json!({ "aud": null })), "(aud)"),
        (ours(json!({ "exp": null })), "(exp)"),
        (ours(json!({ "exp": seconds_from_now(-2) })), "(exp)"),
        (one(&json!({})), "authorization_details"),
        (one(&json!([detail(&["publish"], "", "exact")])), "entry 0"),
        (one(&json!([detail(&["publish"], "a", "Exact")])), "match_type"),
        (one(&json!([detail(&["publish"], "a", "regexp")])), "match_type"),
        (one(&json!([detail(&["publish"], "https://x/:a(", "urlpattern")])), "not a URL pattern"),
        (one(&json!([detail(&[""], "a", "exact")])), "action"),
        (one(&json!([{ "type": "other" }, with_topics(json!(["a"]))])), "entry 1"),
        (one(&json!([with_topics(json!([]))])), "entry 0"),
        (one(&json!([with_payload(json!("x"))])), "entry 0"),
        (one(&json!(vec![detail(&["publish"], "a", "exact"); 101])), "100"),
    ];
    for (token, reason) in cases {
        let authorization = bearer(&token);
        let headers = [("authorization", authorization.as_str()), FORM];
        for answer in [
            server.request("POST", HUB, &headers, "topic=a"),
            get(&server, "topic=a", &headers[..1]),
        ] {
            let (status, said) = refusal(&answer);
            assert_eq!(status, 401, "{reason}: {said}");
            assert!(said.contains("error=\"invalid_token\""), "{said}");
            assert_eq!(said.matches(reason).count(), 2, "{reason}: {said}");
            assert!(!said.contains(&token), "no part of the token is revealed");
        }
    }
}

fn with_topics(topics: Value) -> Value {
    let mut entry = detail(&["publish"], "a", "exact");
    entry["topics"] = topics;
    entry
}

fn with_payload(payload: Value) -> Value {
    let mut entry = detail(&["publish"], "a", "exact");
    entry["payload"] = payload;
    entry
}

#[test]
fn a_1_0_token_may_have_entries_and_actions_of_others_and_several_audiences() {
    let server = drop_in();
    let details = json!([
        { "type": "other", "anything": 5 },
        detail(&["dance", "publish"], "a", "exact"),
        { "type": "https://mercure.rocks/authorization-detail",
          "actions": ["publish"], "topics": [{ "match": "b" }], "payload": {} },
    ]);
    for audience in [json!(RESOURCE), json!(["https://other.example", RESOURCE])] {
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
            let claims = json!({ "iss": ISSUER, "aud": audience, "exp": 4_000_000_000_u64,
                                 "authorization_details": details });
            let token = hs256_typed(&claims, SECRET, typ);
            assert_eq!(mercure::publish_as(&server, &token, "topic=a&topic=b").status(), 200);
            assert_eq!(mercure::publish_as(&server, &token, "topic=a&topic=c").status(), 403);
        }
    }
}

#[test]
fn without_a_configured_name_the_audience_is_the_requests_own_url() {
    let server = TestServer::builder()
        .config(|config| {
            mercure::configure(config);
            config.mercure.resource = None;
        })
        .start();
    let details = json!([detail(&["publish"], "*", "exact")]);
    let token = |audience: &str| {
        bearer(&one_with(json!({ "aud": audience, "authorization_details": details })))
    };
    for (audience, status) in [
        ("https://my.example:8443/.well-known/mercure", 200),
        ("http://my.example:8443/.well-known/mercure", 200),
        ("https://my.example/.well-known/mercure", 401),
    ] {
        let authorization = token(audience);
        let headers =
            [("authorization", authorization.as_str()), FORM, ("host", "my.example:8443")];
        assert_eq!(server.request("POST", HUB, &headers, "topic=a").status(), status, "{audience}");
    }
}

#[test]
fn publishers_and_subscribers_have_separate_keys() {
    let server = mercure::with_separate_keys();
    let claims = json!({ "mercure": { "publish": ["*"], "subscribe": ["*"] } });
    let publisher = bearer(&zero(&claims));
    let subscriber = bearer(&mercure::zero_of_subscriber(&claims));
    let publish = |token: &str| {
        server.request("POST", HUB, &[("authorization", token), FORM], "topic=a").status()
    };
    assert_eq!((publish(&publisher), publish(&subscriber)), (200, 401));
    assert_eq!(get(&server, "topic=a", &[("authorization", &publisher)]).status(), 401);
    server.subscribe(&format!("{HUB}?topic=a"), &[("authorization", &subscriber)]);
}

#[test]
fn anonymous_subscribers_get_public_events_and_bad_tokens_are_not_anonymous() {
    let server = TestServer::builder()
        .config(|config| {
            mercure::configure(config);
            config.mercure.anonymous = true;
        })
        .start();
    for query in ["topic=*", "match=*"] {
        let mut stream = server.subscribe(&format!("{HUB}?{query}"), &[]);
        post(&server, "topic=a&private&data=1");
        post(&server, "topic=a&data=2");
        assert!(event(&mut stream).ends_with("data: 2\n\n"));
    }
    let bad = bearer(&hs256(&json!({}), b"a secret of another issuer, of 32 bytes"));
    assert_eq!(get(&server, "topic=a", &[("authorization", &bad)]).status(), 401);
    assert_eq!(server.request("POST", HUB, &[FORM], "topic=a").status(), 401);
}

#[test]
fn the_query_carries_a_token_in_0_x_only() {
    let server = drop_in();
    let token = Tokens::everything().zero;
    server.subscribe(&format!("{HUB}?topic=a&authorization={token}"), &[]);
    assert_eq!(get(&server, &format!("match=a&authorization={token}"), &[]).status(), 401);
    let target = format!("{HUB}?authorization={token}");
    assert_eq!(server.request("POST", &target, &[FORM], "topic=a").status(), 200);
}

#[test]
fn a_cookie_publishes_only_from_allowed_pages() {
    let server = drop_in();
    let tokens = Tokens::everything();
    for (cookie, refused) in [
        (format!("mercureAuthorization={}", tokens.zero), 401),
        (format!("x=y; __Secure-mercure_access_token={}", tokens.one), 400),
    ] {
        let publish = |headers: &[(&str, &str)]| {
            let mut all = vec![FORM, ("cookie", cookie.as_str())];
            all.extend_from_slice(headers);
            server.request("POST", HUB, &all, "topic=a").status()
        };
        assert_eq!(publish(&[]), refused);
        assert_eq!(publish(&[("origin", "https://evil.example")]), refused);
        assert_eq!(publish(&[("origin", "null")]), refused);
        assert_eq!(publish(&[("referer", "https://evil.example/https://app.example/")]), refused);
        assert_eq!(publish(&[("origin", "https://app.example")]), 200);
        assert_eq!(publish(&[("referer", "https://app.example/page?x")]), 200);
        assert_eq!(publish(&[("origin", "http://localhost")]), 200, "the hub's own origin");
        // A request that cannot change anything needs no origin.
        let headers = [("cookie", cookie.as_str()), ("origin", "https://evil.example")];
        server.subscribe(&format!("{HUB}?topic=a"), &headers);
        server.subscribe(&format!("{HUB}?match=a"), &headers);
    }
}

#[test]
fn a_header_needs_no_origin() {
    let server = drop_in();
    let token = bearer(&Tokens::everything().zero);
    let headers = [("authorization", token.as_str()), FORM, ("origin", "https://evil.example")];
    assert_eq!(server.request("POST", HUB, &headers, "topic=a").status(), 200);
}

#[test]
fn a_stream_ends_when_its_token_does() {
    let server = drop_in();
    let end = seconds_from_now(3);
    let claims = json!({ "mercure": { "subscribe": ["*"] }, "exp": end });
    let ending = one_with(json!({ "exp": end }));
    let streams = [("topic=a", zero(&claims)), ("match=a", ending)].map(|(query, token)| {
        server.subscribe(&format!("{HUB}?{query}"), &[("authorization", &bearer(&token))])
    });
    for mut stream in streams {
        assert!(stream.reads(b": the subscriber's token expired\n"), "it says why");
        assert!(seconds_from_now(0) >= end, "not a moment before");
        assert!(!stream.reads(b"data"), "nothing was published");
        assert!(stream.is_cut(), "the topic has not ended");
    }
}

#[test]
fn an_update_that_is_not_whole_when_its_token_expires_is_not_published() {
    let server = drop_in();
    let end = seconds_from_now(2);
    let claims = json!({ "mercure": { "publish": ["*"] }, "exp": end });
    let details = json!([detail(&["publish"], "*", "exact")]);
    let ending = one_with(json!({ "authorization_details": details, "exp": end }));
    let publishers = [zero(&claims), ending].map(|token| {
        let authorization = bearer(&token);
        let head = [("authorization", &*authorization), FORM, ("content-length", "100")];
        let mut publisher = server.connect();
        publisher.send(request("POST", HUB, &head, b"topic=a&data=x"));
        publisher
    });
    for mut publisher in publishers {
        let answer = publisher.response();
        let (status, said) = refusal(&answer);
        assert_eq!(status, 401);
        assert!(said.contains("expired") && said.contains("invalid_token"), "{said}");
        assert!(seconds_from_now(0) >= end, "not a moment before");
    }
    assert_eq!(server.engine().status().bounds.head.get(), 0);
}

#[test]
fn the_metadata_says_how_to_get_in() {
    let server = drop_in();
    let path = "/.well-known/oauth-protected-resource/.well-known/mercure";
    let answer = server.request("GET", path, &[], "");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.json(),
        json!({
            "resource": RESOURCE,
            "bearer_methods_supported": ["header"],
            "authorization_servers": [ISSUER],
            "authorization_details_types_supported":
                ["https://mercure.rocks/authorization-detail"],
            "mercure_cookie": "__Secure-mercure_access_token",
            "mercure_subscriptions": true,
        })
    );
    assert_eq!(server.request("POST", path, &[], "").status(), 405);
    assert_eq!(server.request("OPTIONS", path, &[], "").status(), 204);
}

#[test]
fn a_role_without_keys_uses_the_hubs_keys() {
    let server = TestServer::builder()
        .config(|config| config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()])
        .start();
    post(&server, "topic=a");
    let token = bearer(&Tokens::everything().zero);
    server.subscribe(&format!("{HUB}?topic=a"), &[("authorization", &token)]);
}

#[test]
fn a_hub_with_nothing_but_mercure_keys_is_not_open() {
    let server = TestServer::builder()
        .config(|config| {
            config.mercure.keys.publisher = vec![JwtKey::hs256(SECRET).unwrap()];
        })
        .start();
    assert_eq!(server.request("POST", "/events/a", &[], "x").status(), 401);
    assert_eq!(get(&server, "topic=a", &[]).status(), 401);
    post(&server, "topic=a");
}

#[test]
fn the_face_can_be_turned_off() {
    let server = TestServer::builder().config(|config| config.mercure.enabled = false).start();
    assert_eq!(get(&server, "topic=a", &[]).status(), 404);
}

#[test]
fn a_null_claim_counts_as_absent_and_an_unknown_extension_is_rejected_on_both_faces() {
    // One key for both.
    let server = TestServer::builder()
        .config(|config| config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()])
        .start();
    let statuses = |token: &str| {
        let token = bearer(token);
        let mut connection = server.connect();
        let headers = [("authorization", token.as_str()), ("accept", "text/event-stream")];
        let target = format!("{HUB}?topic=a");
        connection.send(tidings_testkit::http::request("GET", &target, &headers, b""));
        let json = ("accept", "application/json");
        let native = server.request("GET", "/events/a?last=1", &[headers[0], json], "");
        (native.status(), connection.head().status)
    };
    for claims in [
        json!({"mercure": {"subscribe": ["a"], "publish": null}}),
        json!({"mercure": {"subscribe": ["a"], "payload": null}, "exp": null, "nbf": null}),
        json!({"mercure": {"subscribe": ["a"]}, "https://mercure.rocks/": null}),
    ] {
        assert_eq!(statuses(&zero(&claims)), (200, 200), "{claims}");
    }
    // The token is valid, but grants nothing.
    assert_eq!(statuses(&zero(&json!({"mercure": {"subscribe": null}}))), (403, 200));
    let claims = json!({"mercure": {"subscribe": ["a"]}});
    for crit in [json!(["exp"]), json!(["b64", "x"]), json!([])] {
        let token = tidings_testkit::token::hs256_critical(&claims, SECRET, &crit);
        assert_eq!(statuses(&token), (401, 401), "{crit}");
        let said = get(&server, "topic=a", &[("authorization", &bearer(&token))]);
        assert!(said.text().contains("crit"), "{said:?}");
    }
}
