//! Every refusal of authentication, on both APIs: which check failed, as one code of the published
//! table, and nothing of the credential.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_hub::Matcher;
use tidings_server::{ApiKey, Config, JwtKey, Link, LinkKey};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::{hs256, hs256_critical};

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const LINK_SECRET: &str = "0123456789abcdef0123456789abcdef";
const HUB: &str = "/.well-known/mercure";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn configure(config: &mut Config) {
    config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
    config.http.api_keys =
        vec![ApiKey::new("k", "key-0123456789abcdef", &["mine"], &["mine"]).unwrap()];
    let topics = vec![Matcher::parse("orders/*").unwrap()];
    config.http.link_keys = vec![LinkKey::new("a", LINK_SECRET, topics).unwrap()];
}

fn server() -> TestServer {
    TestServer::builder().config(configure).start()
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

/// Every code that the description of the API lists.
fn published(server: &TestServer) -> Vec<String> {
    let description = server.request("GET", "/openapi.json", &[], "").json();
    let codes = &description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// Tokens that are not accepted, and the words that say why.
fn bad_tokens() -> Vec<(String, &'static str)> {
    let all = json!({"publish": ["**"], "subscribe": ["**"]});
    let with = |name: &str, value: Value| {
        let mut claims = json!({"sub": "the-subject", "tidings": all});
        claims[name] = value;
        hs256(&claims, SECRET)
    };
    let good = with("sub", json!("x"));
    let (signed, _) = good.rsplit_once('.').unwrap();
    let other = b"another secret of thirty-two bytes!!";
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", "eyJzdWIiOiJ4In0");
    // {"alg":"RS256","typ":"JWT"}
    let foreign =
        good.replacen(good.split('.').next().unwrap(), "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9", 1);
    vec![
        ("a-key-that-is-none-of-the-hub's-own-keys-at-all".to_owned(), "neither a known key"),
        (unsigned, "neither a known key"),
        (hs256(&json!({"tidings": all}), other), "signature"),
        (format!("{signed}.AAAA"), "signature"),
        (foreign, "algorithm"),
        (hs256_critical(&json!({"tidings": all}), SECRET, &json!(["b64"])), "(crit)"),
        (with("exp", json!(seconds_from_now(-5))), "expired (exp)"),
        (with("nbf", json!(seconds_from_now(600))), "not valid yet (nbf)"),
        (with("exp", json!("tomorrow")), "malformed"),
        (with("tidings", json!(["**"])), "tidings claim of the token is no object"),
        (with("tidings", json!({"subscribe": ["secret/**/x"]})), "member subscribe"),
        (with("tidings", json!({"operate": "kick"})), "member operate"),
        (with("padding", json!("x".repeat(9000))), "longer than the hub accepts"),
    ]
}

#[test]
fn a_bad_token_is_401_with_the_check_that_failed_on_both_apis_and_nothing_of_the_token() {
    let server = server();
    let codes = published(&server);
    for (token, why) in bad_tokens() {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        let native = [
            server.request("GET", "/events/mine", &headers, ""),
            server.request("POST", "/events/mine", &headers, "x"),
            server.request("GET", "/metrics", &headers, ""),
            server.request("DELETE", "/connections?sub=7", &headers, ""),
        ];
        for answer in &native {
            assert_eq!((answer.status(), answer.code().as_str()), (401, "token_invalid"), "{why}");
            assert!(codes.contains(&answer.code()));
        }
        let mercure = [
            server.request("GET", &format!("{HUB}?topic=mine"), &headers, ""),
            server.request("POST", HUB, &[headers[0], FORM], "topic=mine&data=x"),
            server.request("GET", &format!("{HUB}/subscriptions"), &headers, ""),
        ];
        for answer in native.iter().chain(&mercure) {
            let challenge = answer.header("www-authenticate").unwrap();
            assert_eq!(answer.status(), 401, "{why}: {answer:?}");
            for said in [answer.text(), challenge] {
                assert!(said.contains(why), "{why}: {said}");
                let parts = token.split('.').filter(|part| part.len() > 8);
                for part in parts.chain(["the-subject", "secret/", "tomorrow"]) {
                    assert!(!said.contains(part), "{why}: {said}");
                }
            }
            assert!(challenge.contains("invalid_token"), "{challenge}");
        }
    }
}

#[test]
fn a_credential_that_is_there_twice_is_a_bad_request_even_if_both_are_good() {
    let server = server();
    let key = "key-0123456789abcdef";
    let bearer = format!("Bearer {key}");
    let twice = [("authorization", &*bearer); 2];
    for (method, target) in [
        ("GET", "/events/mine"),
        ("GET", "/topics"),
        ("POST", "/events/mine"),
        ("DELETE", "/events/mine"),
        ("GET", "/connections"),
        ("POST", "/session"),
    ] {
        let answer = server.request(method, target, &twice, "x");
        let said = (answer.status(), answer.code());
        assert_eq!(said, (400, "invalid_credential".to_owned()), "{method} {target}");
        assert!(answer.text().contains("more than one Authorization"), "{}", answer.text());
        // A header of another scheme is meant for a proxy.
        let json = ("accept", "application/json");
        let proxied = [("authorization", "Basic eDp5"), ("authorization", &*bearer), json];
        assert_ne!(server.request(method, target, &proxied, "x").status(), 400);
    }
    for query in [format!("token={key}&token={key}"), format!("token={key}&sig=a.b&until=1")] {
        let answer = server.request("GET", &format!("/events/mine?{query}"), &[], "");
        assert_eq!((answer.status(), &*answer.code()), (400, "invalid_query"), "{query}");
    }
    // Each dialect of Mercure has its own status for credentials that are not understood.
    let query = format!("{HUB}?topic=mine&authorization={key}&authorization={key}");
    let answer = server.request("GET", &query, &[], "");
    assert!(answer.text().contains("more than one parameter"), "{}", answer.text());
    assert_eq!(answer.status(), 401);
}

#[test]
fn a_bad_link_is_401_with_the_check_that_failed_and_nothing_of_its_signature() {
    let server = server();
    let codes = published(&server);
    let key = |topics: &str| {
        LinkKey::new("a", LINK_SECRET, vec![Matcher::parse(topics).unwrap()]).unwrap()
    };
    let until = |seconds| u64::try_from(seconds_from_now(seconds)).unwrap();
    let sig = |until, topics: &[&str]| key("**").sign(&Link { until, subject: "", topics });
    let (soon, past, far) = (until(60), until(-5), until(90_000));
    let own = sig(soon, &["orders/7"]);
    let cases = [
        (soon.to_string(), own.replace("a.", "b."), "orders/7", "link_invalid", "signature"),
        (soon.to_string(), own.clone(), "orders/8", "link_invalid", "signature"),
        (format!("+{soon}"), own.clone(), "orders/7", "link_invalid", "number of seconds"),
        (format!("{soon}000"), own, "orders/7", "link_invalid", "milliseconds"),
        (soon.to_string(), sig(soon, &["users/7"]), "users/7", "link_invalid", "may not sign"),
        (past.to_string(), sig(past, &["orders/7"]), "orders/7", "link_expired", "expired"),
        (far.to_string(), sig(far, &["orders/7"]), "orders/7", "link_too_long", "longer"),
    ];
    for (until, sig, topic, code, why) in cases {
        let until = until.replace('+', "%2B");
        let target = format!("/events/{topic}?until={until}&sig={sig}");
        let answer = server.request("GET", &target, &[], "");
        assert_eq!((answer.status(), answer.code().as_str()), (401, code), "{why}");
        assert!(codes.contains(&answer.code()) && answer.text().contains(why), "{answer:?}");
        assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
        assert!(!format!("{answer:?}").contains(&sig), "{answer:?}");
    }
    // On Mercure a link is no credential, and none is not what its bearer meant.
    let target = format!("{HUB}?topic=orders/7&until={soon}&sig=a.b");
    let answer = server.request("GET", &target, &[], "");
    assert_eq!(answer.status(), 401);
    assert!(answer.text().contains("a signed link reads topics, at /events"), "{answer:?}");
}

#[test]
fn what_a_credential_does_not_grant_names_the_right_and_is_the_same_whether_or_not_it_is_there() {
    let server = server();
    let codes = published(&server);
    let all = hs256(&json!({"tidings": {"publish": ["**"], "operate": ["kick"]}}), SECRET);
    let all = format!("Bearer {all}");
    let all = [("authorization", all.as_str())];
    server.request("POST", "/events/there", &all, "x");
    let key = [("authorization", "Bearer key-0123456789abcdef")];
    for (method, target, right) in [
        ("GET", "/events/{}", "`subscribe`"),
        ("GET", "/events/{}?last=5", "`subscribe`"),
        ("POST", "/events/{}", "`publish`"),
        ("DELETE", "/events/{}", "`publish`"),
        ("GET", "/connections?topic={}", "`operate: "),
        ("GET", "/denials", "`operate: "),
        ("DELETE", "/connections?sub={}", "`operate: "),
        ("DELETE", "/denials?sub={}", "`operate: "),
    ] {
        let ask = |name: &str, headers: &[(&str, &str)]| {
            let answer = server.request(method, &target.replace("{}", name), headers, "x");
            assert!(codes.contains(&answer.code()));
            let detail = answer.json()["detail"].as_str().unwrap().replace(name, "{}");
            (answer.status(), answer.code(), detail)
        };
        for (headers, expected) in
            [(&key[..], (403, "not_granted")), (&[], (401, "token_required"))]
        {
            let there = ask("there", headers);
            assert_eq!((there.0, there.1.as_str()), expected, "{method} {target}");
            assert_eq!(there, ask("nowhere", headers), "{method} {target}");
            assert!(expected.0 == 401 || there.2.contains(right), "{there:?}");
        }
    }
}

#[test]
fn a_denial_says_for_how_long_on_both_apis() {
    let server = server();
    let kicker = hs256(&json!({"tidings": {"operate": ["kick"]}}), SECRET);
    let kicker = format!("Bearer {kicker}");
    let denied =
        server.request("DELETE", "/connections?key=k&deny=1h", &[("authorization", &kicker)], "");
    assert_eq!(denied.status(), 200, "{denied:?}");
    let key = ("authorization", "Bearer key-0123456789abcdef");
    let native = server.request("GET", "/events/mine", &[key], "");
    assert_eq!(native.code(), "denied");
    let mercure = server.request("GET", &format!("{HUB}?topic=mine"), &[key], "");
    for answer in [native, mercure] {
        assert_eq!(answer.status(), 403);
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&seconds), "{answer:?}");
    }
}
