//! The credentials.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidings_hub::Matcher;
use tidings_server::{
    ApiKey, AuthorizeAction, AuthorizeRule, Config, JwtKey, Link, LinkKey, Sessions,
};
use tidings_testkit::backend::{Asked as Question, Backend, Reply};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::{hs256, hs256_critical};

use super::client::PATIENCE;
use super::model::{Grant, covers};
use super::{Asked, Request};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing at all.
    Nobody,
    ApiKey,
    /// A token with the claim `mercure`.
    MercureToken,
    /// A token with the claim `tidings`.
    Token,
    /// A token with both claims, of which `mercure` would grant everything.
    BothClaims,
    /// A token whose claims are null.
    NullClaims,
    Expired,
    NotYetValid,
    Critical,
    /// Mercure's cookie, which the native API does not read.
    Cookie,
    /// A signed link to what is asked for, by a key that may sign what the others are granted.
    Link,
    /// The cookie of a session, which a page of the hub's own began with a token.
    Session,
    /// A cookie of an application, which grants what the others are granted.
    Backend,
    /// A cookie of an application that grants everything, more than its rule is about.
    GenerousBackend,
    /// A cookie to which an application says no.
    RefusingBackend,
    /// A token of an operator, which may look, kick, and know who reads.
    Operator,
}

pub(crate) const CREDENTIALS: &[Credential] = &[
    Credential::Nobody,
    Credential::ApiKey,
    Credential::MercureToken,
    Credential::Token,
    Credential::BothClaims,
    Credential::NullClaims,
    Credential::Expired,
    Credential::NotYetValid,
    Credential::Critical,
    Credential::Cookie,
    Credential::Link,
    Credential::Session,
    Credential::Backend,
    Credential::GenerousBackend,
    Credential::RefusingBackend,
    Credential::Operator,
];

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const KEY: &str = "key-0123456789abcdef";
const LINK_SECRET: &str = "0123456789abcdef0123456789abcdef";

const OWN: &[&str] = &["own/*"];

/// What a rule is about that has an application asked.
const ASKED: &[&str] = &["own/**", "other/**", "public/**"];

impl Credential {
    /// What it grants, where it counts; `None` if it is not accepted.
    pub(crate) fn grant(self, on_mercure: bool) -> Option<Grant> {
        let own = Grant { publish: OWN, subscribe: OWN, ..Grant::default() };
        Some(match self {
            Self::Nobody | Self::NullClaims => Grant::default(),
            Self::ApiKey | Self::Token | Self::BothClaims | Self::Session => {
                Grant { is_native: true, ..own }
            }
            Self::Backend | Self::GenerousBackend => Grant { is_native: true, ..own },
            Self::RefusingBackend => Grant::default(),
            Self::MercureToken => own,
            Self::Cookie if on_mercure => own,
            Self::Cookie => Grant::default(),
            Self::Expired | Self::NotYetValid | Self::Critical => return None,
            Self::Link => Grant { subscribe: OWN, is_native: true, ..Grant::default() },
            Self::Operator => {
                let grant = Grant { presence: OWN, erase: &["**"], ..Grant::default() };
                Grant { look: true, kick: true, is_native: true, ..grant }
            }
        })
    }

    /// Whether the hub sees that there is a credential.
    pub(crate) fn is_known(self, on_mercure: bool) -> bool {
        match self {
            Self::Nobody => false,
            Self::Cookie => on_mercure,
            _ => true,
        }
    }

    /// The topics about which an application is asked what the credential grants; `None` if none
    /// is.
    pub(crate) fn asked_about(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Backend | Self::RefusingBackend => Some(ASKED),
            Self::GenerousBackend => Some(OWN),
            _ => None,
        }
    }

    /// The headers that carry it.
    pub(crate) fn headers(self) -> Vec<(&'static str, String)> {
        let grant = json!({"publish": OWN, "subscribe": OWN});
        let token = |claims: Value| vec![("authorization", bearer(&claims))];
        // `*` is one segment natively, and everything over Mercure.
        let everything = json!({"publish": ["**", "*"], "subscribe": ["**", "*"]});
        // In the words of either API.
        let both = json!(["own/*", "own/{id}"]);
        let mercure = json!({"mercure": {"publish": both, "subscribe": both}});
        match self {
            Self::Nobody | Self::Link => Vec::new(),
            Self::Session => SAME_ORIGIN.map(|(name, value)| (name, value.to_owned())).to_vec(),
            Self::Backend => of_application("app=some"),
            Self::GenerousBackend => of_application("generous=all"),
            Self::RefusingBackend => of_application("app=none"),
            Self::ApiKey => vec![("authorization", format!("Bearer {KEY}"))],
            Self::MercureToken => token(mercure),
            Self::Token => token(json!({"tidings": grant})),
            Self::BothClaims => token(json!({"tidings": grant, "mercure": everything})),
            Self::NullClaims => {
                token(json!({"tidings": null, "mercure": {"publish": null, "subscribe": null}}))
            }
            Self::Expired => token(json!({"tidings": everything, "exp": seconds_from_now(-5)})),
            Self::NotYetValid => {
                token(json!({"tidings": everything, "nbf": seconds_from_now(600)}))
            }
            Self::Critical => {
                let token = hs256_critical(&json!({"tidings": everything}), SECRET, &json!([]));
                vec![("authorization", format!("Bearer {token}"))]
            }
            // As the hub's own page would send it.
            Self::Cookie => vec![
                ("cookie", format!("mercureAuthorization={}", hs256(&mercure, SECRET))),
                ("origin", "http://localhost".to_owned()),
            ],
            Self::Operator => token(json!({"tidings": {
                "operate": ["look", "kick"], "presence": OWN, "erase": ["**"],
            }})),
        }
    }

    /// What it adds to the query, with which a request for `asked` is read.
    pub(crate) fn parameters(self, request: Request, asked: &Asked) -> String {
        if self != Self::Link {
            return String::new();
        }
        let topic = if request.is_native_read() { asked.matcher } else { asked.topic };
        let until = u64::try_from(seconds_from_now(3600)).unwrap();
        let sig = link_key(topic).sign(&Link { until, subject: "", topics: &[topic] });
        format!("&until={until}&sig={sig}")
    }
}

/// The key that signs a link to `topic`: the one for granted topics, or its impostor.
fn link_key(topic: &str) -> LinkKey {
    let signs = if OWN.iter().any(|own| covers(own, topic)) { OWN } else { &["**"] };
    LinkKey::new("a", LINK_SECRET, matchers(signs)).unwrap()
}

/// What a page of the hub's own says about itself.
const SAME_ORIGIN: [(&str, &str); 1] = [("sec-fetch-site", "same-origin")];

/// A page of the hub's own, with a cookie of the application's.
fn of_application(cookie: &str) -> Vec<(&'static str, String)> {
    SAME_ORIGIN
        .iter()
        .copied()
        .chain([("cookie", cookie)])
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}

/// An application that knows three users.
pub(crate) fn application(question: &Question) -> Reply {
    let granted = |topics: &Value| Reply::ok(json!({"publish": topics, "subscribe": topics}));
    match question.header("cookie") {
        Some("app=some") => granted(&json!(OWN)),
        Some("generous=all") => Reply::ok(json!({
            "publish": ["**"], "subscribe": ["**"], "presence": ["**"], "erase": ["**"],
            "operate": ["look", "kick"],
        })),
        _ => Reply::status(403),
    }
}

/// The rule by which the application is asked for which a cookie of this name is.
fn rule(backend: &Backend, topics: &[&str], cookie: &str) -> AuthorizeRule {
    let none: &[&str] = &[];
    let url = backend.url("/auth");
    let mut rule = AuthorizeRule::new(&url, matchers(topics), &[cookie], none).unwrap();
    rule.actions = vec![AuthorizeAction::Subscribe, AuthorizeAction::Publish];
    (rule.timeout, rule.wait) = (PATIENCE, PATIENCE);
    rule
}

/// The cookie of a session with what [`Credential::Token`] grants.
pub(crate) fn begin_session(server: &TestServer) -> String {
    let (name, token) = Credential::Token.headers().remove(0);
    let headers = [SAME_ORIGIN[0], (name, token.as_str())];
    let answer = server.request("POST", "/session", &headers, "");
    assert_eq!(answer.status(), 200, "{answer:?}");
    let cookie = answer.head.headers.iter().find(|(name, _)| name == "set-cookie").unwrap();
    cookie.1.split(';').next().unwrap().to_owned()
}

/// The keys behind the credentials.
pub(crate) fn configure(config: &mut Config, backend: &Backend) {
    config.http.authorize = vec![rule(backend, ASKED, "app"), rule(backend, OWN, "generous")];
    config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
    config.http.api_keys = vec![ApiKey::new("k", KEY, OWN, OWN).unwrap()];
    config.http.link_keys = vec![LinkKey::new("a", LINK_SECRET, matchers(OWN)).unwrap()];
    config.http.anonymous_subscribe = matchers(&["public/**"]);
    config.http.anonymous_publish = matchers(&["public/**"]);
    config.http.sessions = Some(Sessions::default());
    config.mercure.anonymous = true;
}

/// The header of somebody who may publish and read everything.
pub(crate) fn everything() -> String {
    bearer(&json!({"tidings": {"publish": ["**"], "subscribe": ["**"]}}))
}

fn bearer(claims: &Value) -> String {
    format!("Bearer {}", hs256(claims, SECRET))
}

fn matchers(texts: &[&str]) -> Vec<Matcher> {
    texts.iter().map(|text| Matcher::parse(text).unwrap()).collect()
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}
