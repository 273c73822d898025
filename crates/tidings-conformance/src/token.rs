//! Tokens of both dialects, valid and invalid.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::plan::Plan;

/// The permissions of a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights<'a> {
    /// Topics; `*` is every one.
    pub(crate) publish: &'a [&'a str],
    pub(crate) subscribe: &'a [&'a str],
    pub(crate) payload: Option<Value>,
}

impl<'a> Rights<'a> {
    pub(crate) fn publish(topics: &'a [&'a str]) -> Self {
        Self { publish: topics, ..Self::default() }
    }

    pub(crate) fn subscribe(topics: &'a [&'a str]) -> Self {
        Self { subscribe: topics, ..Self::default() }
    }
}

/// One of the hub's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Subscriber,
}

/// The claims of a valid token.
pub(crate) fn claims(plan: &Plan, dialect: Dialect, rights: &Rights<'_>) -> Value {
    let end = now() + 3600;
    match dialect {
        Dialect::Zero => {
            let mut claim = json!({ "publish": rights.publish, "subscribe": rights.subscribe });
            if let Some(payload) = &rights.payload {
                claim["payload"] = payload.clone();
            }
            json!({ "mercure": claim, "exp": end })
        }
        Dialect::One => {
            let mut details = Vec::new();
            for (action, topics) in [("publish", rights.publish), ("subscribe", rights.subscribe)] {
                if topics.is_empty() {
                    continue;
                }
                let topics: Vec<_> = topics.iter().map(|topic| json!({ "match": topic })).collect();
                let mut detail = json!({
                    "type": "https://mercure.rocks/authorization-detail",
                    "actions": [action],
                    "topics": topics,
                });
                if let Some(payload) = rights.payload.as_ref().filter(|_| action == "subscribe") {
                    detail["payload"] = payload.clone();
                }
                details.push(detail);
            }
            json!({
                "iss": plan.issuer,
                "aud": plan.audience(),
                "sub": "conformance",
                "client_id": "conformance",
                "iat": now(),
                "exp": end,
                "authorization_details": details,
            })
        }
    }
}

/// Signs `claims` with HS256 and the key of `role`.
pub(crate) fn sign(plan: &Plan, dialect: Dialect, role: Role, claims: &Value) -> String {
    let secret = match role {
        Role::Publisher => &plan.publisher_secret,
        Role::Subscriber => &plan.subscriber_secret,
    };
    sign_with(secret, dialect, claims)
}

/// Signs `claims` with another secret.
pub(crate) fn sign_with(secret: &[u8], dialect: Dialect, claims: &Value) -> String {
    // It fails if a provider is already installed, which is just as good.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let mut header = Header::new(Algorithm::HS256);
    if dialect == Dialect::One {
        header.typ = Some("at+jwt".to_owned());
    }
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret))
        .expect("HS256 signs any JSON")
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
