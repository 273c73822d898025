//! The value of a session's cookie: `v1.<JSON in base64url>.<HMAC-SHA-256 in base64url>`.
//!
//! Not the token itself: a stolen cookie opens nothing but this hub, and the hub takes no token for
//! a cookie nor a cookie for a token.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings_hub::{Grant, Matcher, Timestamp};

use super::SessionId;
use crate::auth::claim::Claim;
use crate::auth::who::Who;

/// What a session's cookie says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) id: SessionId,
    /// The name among the sessions of one browser; empty for the usual one.
    pub(crate) name: String,
    pub(crate) key: Option<Box<str>>,
    pub(crate) subject: Option<Box<str>>,
    pub(crate) issuer: Option<Box<str>>,
    /// When the token was issued that it was last renewed with, if that said so.
    pub(crate) issued: Option<Timestamp>,
    pub(crate) expires: Timestamp,
    /// The origin of the page that may use it; `None` is the hub's own.
    pub(crate) origin: Option<Box<str>>,
    /// The place of the key that signed the token: its bearers share limits.
    pub(crate) signer: Option<usize>,
    pub(crate) grant: Grant,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    sid: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<Box<str>>,
    /// Milliseconds since 1970, like all moments here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat_ms: Option<u64>,
    exp_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signer: Option<usize>,
    tidings: serde_json::Value,
}

impl Value {
    /// Whether the session is of the bearer of a credential of `who`.
    pub(crate) fn is_of(&self, who: &Who) -> bool {
        (&self.key, &self.subject, &self.issuer) == (&who.key, &who.subject, &who.issuer)
    }

    pub(crate) fn seal(&self, key: &hmac::Key) -> String {
        let wire = Wire {
            sid: BASE64_URL_SAFE_NO_PAD.encode(self.id.0),
            name: self.name.clone(),
            key: self.key.clone(),
            sub: self.subject.clone(),
            iss: self.issuer.clone(),
            iat_ms: self.issued.map(Timestamp::as_millis),
            exp_ms: self.expires.as_millis(),
            origin: self.origin.clone(),
            signer: self.signer,
            tidings: claim(&self.grant),
        };
        let json = serde_json::to_vec(&wire).expect("texts and numbers");
        let signed = format!("{VERSION}.{}", BASE64_URL_SAFE_NO_PAD.encode(json));
        let mac = hmac::sign(key, signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
    }

    /// Reads what was sealed with `key`; its end may have passed.
    pub(crate) fn open(text: &str, key: &hmac::Key) -> Option<Self> {
        let (signed, mac) = text.rsplit_once('.')?;
        // The strict alphabet: no padding, no spare bits.
        let mac = BASE64_URL_SAFE_NO_PAD.decode(mac).ok()?;
        // In constant time; a shorter mac is none.
        hmac::verify(key, signed.as_bytes(), &mac).ok()?;
        let json = signed.strip_prefix(VERSION)?.strip_prefix('.')?;
        let wire: Wire = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(json).ok()?).ok()?;
        let expires = Timestamp::from_millis(wire.exp_ms);
        let grant = Claim::read(&wire.tidings).ok()??.grant;
        Some(Self {
            id: SessionId(BASE64_URL_SAFE_NO_PAD.decode(wire.sid).ok()?.try_into().ok()?),
            name: wire.name,
            key: wire.key,
            subject: wire.sub,
            issuer: wire.iss,
            issued: wire.iat_ms.map(Timestamp::from_millis),
            expires,
            origin: wire.origin,
            signer: wire.signer,
            grant: Grant { expires: Some(expires), ..grant },
        })
    }
}

/// A grant as the claim `tidings` says it. Only members that grant something are there.
pub(super) fn claim(grant: &Grant) -> serde_json::Value {
    let mut claim = json!({});
    for (name, matchers) in [
        ("publish", &grant.publish),
        ("subscribe", &grant.subscribe),
        ("erase", &grant.erase),
        ("presence", &grant.presence),
    ] {
        if !matchers.is_empty() {
            claim[name] = texts(matchers).into();
        }
    }
    let words = words(grant);
    if !words.is_empty() {
        claim["operate"] = words.into();
    }
    claim
}

/// The words of `operate`.
pub(crate) fn words(grant: &Grant) -> Vec<&'static str> {
    let words = [("look", grant.operate.look), ("kick", grant.operate.kick)];
    words.iter().filter(|(_, may)| *may).map(|(word, _)| *word).collect()
}

/// Matchers as their syntax writes them.
pub(crate) fn texts(matchers: &[Matcher]) -> Vec<String> {
    matchers.iter().map(Matcher::to_string).collect()
}

/// Signed with the rest, so that a later form cannot be taken for this one.
const VERSION: &str = "v1";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::Operate;

    use super::*;

    fn key(secret: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, secret)
    }

    fn value() -> Value {
        let matcher = |text| vec![Matcher::parse(text).unwrap()];
        let expires = Timestamp::from_millis(1_800_000_000_123);
        Value {
            id: SessionId([7; 16]),
            name: "app1".into(),
            key: None,
            subject: Some("jörg".into()),
            issuer: Some("i".into()),
            issued: Some(Timestamp::from_millis(5)),
            expires,
            origin: Some("https://app.example".into()),
            signer: Some(1),
            grant: Grant {
                publish: matcher("a/*"),
                subscribe: matcher("b/**"),
                erase: matcher("c"),
                presence: matcher("**"),
                operate: Operate { look: true, kick: true },
                expires: Some(expires),
            },
        }
    }

    #[test]
    fn a_value_says_what_was_put_into_it() {
        let key = key(b"one");
        assert_eq!(Value::open(&value().seal(&key), &key), Some(value()));
        let bare = Value {
            name: String::new(),
            subject: None,
            issuer: None,
            issued: None,
            origin: None,
            signer: None,
            grant: Grant { expires: Some(value().expires), ..Grant::nothing() },
            ..value()
        };
        assert_eq!(Value::open(&bare.seal(&key), &key), Some(bare));
    }

    #[test]
    fn no_character_of_a_value_can_be_another() {
        let key = key(b"one");
        let sealed = value().seal(&key);
        for place in 0..sealed.len() {
            for other in ["A", "B", ".", "=", "", "vv"] {
                let mut changed = sealed.clone();
                changed.replace_range(place..=place, other);
                if changed != sealed {
                    assert_eq!(Value::open(&changed, &key), None, "{place} {other}");
                }
            }
        }
        assert_eq!(Value::open(&sealed, &super::tests::key(b"two")), None);
        for none in ["", ".", "..", "v1..", "v1"] {
            assert_eq!(Value::open(none, &key), None);
        }
    }
}
