//! A hub as its operator would set it up for Mercure clients, and tokens for it.

#![allow(dead_code, reason = "every test program uses a part of it")]

use serde_json::{Value, json};
use tidings_server::{
    Config, Cors, JwtKey, MercureIssuer, MercureKeys, MercureResource, PublishOrigins,
};
use tidings_testkit::http::{Connection, Response};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::{hs256, hs256_typed};

pub(crate) const HUB: &str = "/.well-known/mercure";
pub(crate) const RESOURCE: &str = "https://hub.example/.well-known/mercure";
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The secret of the Mercure documentation's examples.
pub(crate) const SECRET: &[u8] = b"!ChangeThisMercureHubJWTSecretKey!";
const SUBSCRIBER_SECRET: &[u8] = b"another secret of thirty-two bytes or more";
const NATIVE_SECRET: &[u8] = b"the secret of the native API, long enough";

/// One secret for publishers and subscribers of both dialects.
pub(crate) fn configure(config: &mut Config) {
    let key = || vec![JwtKey::hs256(SECRET).unwrap()];
    let keys = MercureKeys { publisher: key(), subscriber: key() };
    config.http.jwt_keys = vec![JwtKey::hs256(NATIVE_SECRET).unwrap()];
    config.mercure.keys = keys.clone();
    config.mercure.issuers = vec![MercureIssuer { name: ISSUER.into(), keys }];
    config.mercure.resource = Some(MercureResource::new(RESOURCE).unwrap());
    config.mercure.publish_origins = PublishOrigins::new(["https://app.example"]).unwrap();
    config.http.cors = Cors::new(["https://app.example"], false).unwrap();
}

pub(crate) fn drop_in() -> TestServer {
    TestServer::builder().config(configure).start()
}

/// The same where publishers and subscribers have keys of their own.
pub(crate) fn with_separate_keys() -> TestServer {
    let with = |config: &mut Config| {
        configure(config);
        config.mercure.keys.subscriber = vec![JwtKey::hs256(SUBSCRIBER_SECRET).unwrap()];
    };
    TestServer::builder().config(with).start()
}

/// A token of each shape.
pub(crate) struct Tokens {
    pub(crate) zero: String,
    pub(crate) one: String,
}

impl Tokens {
    pub(crate) fn everything() -> Self {
        Self {
            zero: zero(&json!({ "mercure": { "publish": ["*"], "subscribe": ["*"] } })),
            one: one(&json!([detail(&["publish", "subscribe"], "*", "exact")])),
        }
    }

    pub(crate) fn publishing(selectors: &[&str], pattern: &str) -> Self {
        Self {
            zero: zero(&json!({ "mercure": { "publish": selectors } })),
            one: one(&json!([detail(&["publish"], pattern, "urlpattern")])),
        }
    }

    pub(crate) fn subscribing(selectors: &[&str], pattern: &str) -> Self {
        Self {
            zero: zero(&json!({ "mercure": { "subscribe": selectors } })),
            one: one(&json!([detail(&["subscribe"], pattern, "urlpattern")])),
        }
    }
}

/// An entry of `authorization_details`.
pub(crate) fn detail(actions: &[&str], words: &str, match_type: &str) -> Value {
    json!({
        "type": "https://mercure.rocks/authorization-detail",
        "actions": actions,
        "topics": [{ "match": words, "match_type": match_type }],
    })
}

pub(crate) fn zero(claims: &Value) -> String {
    hs256(claims, SECRET)
}

pub(crate) fn zero_of_subscriber(claims: &Value) -> String {
    hs256(claims, SUBSCRIBER_SECRET)
}

/// A valid 1.0 token with these `authorization_details`.
pub(crate) fn one(details: &Value) -> String {
    one_with(json!({ "authorization_details": details }))
}

/// The same with other claims.
pub(crate) fn one_with(mut changes: Value) -> String {
    let mut claims = json!({ "iss": ISSUER, "aud": [RESOURCE], "exp": 4_000_000_000_u64 });
    claims.as_object_mut().unwrap().append(changes.as_object_mut().unwrap());
    // Null values are removed.
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    hs256_typed(&claims, SECRET, "at+jwt")
}

pub(crate) fn native_token() -> String {
    let claims = json!({ "mercure": { "publish": ["**"], "subscribe": ["**"] } });
    bearer(&hs256(&claims, NATIVE_SECRET))
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub(crate) fn publish_as(server: &TestServer, token: &str, form: &str) -> Response {
    let authorization = bearer(token);
    server.request("POST", HUB, &[("authorization", &authorization), FORM], form)
}

/// Publishes with full permissions.
pub(crate) fn post(server: &TestServer, form: &str) -> Response {
    let answer = publish_as(server, &Tokens::everything().zero, form);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

/// The id of the published event.
pub(crate) fn id_of(answer: &Response) -> String {
    answer.text().to_owned()
}

/// The next event of a stream, without the comments before it.
pub(crate) fn event(stream: &mut Connection) -> String {
    let block = stream.event().expect("one more event");
    block.split_inclusive('\n').skip_while(|line| line.starts_with(':')).collect()
}
