//! What a hub would make of a token: for people who wonder.

use serde_json::Value;
use tidings_hub::{Matcher, Timestamp};

use super::access::{self, Role};
use super::claims;
use super::memory::Mercure;
use super::site::Site;
use crate::auth::token::InvalidToken;
use crate::auth::{JwtKey, token};
use crate::hub_config::Config;

/// What a token says, and what a hub of some configuration makes of it.
///
/// It is what the hub itself would decide, by the same code, now.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenReport {
    /// The version of the protocol by its shape, `0.x` or `1.0`; `None` if it is no JSON Web Token.
    pub version: Option<&'static str>,
    /// The algorithm that it says it is signed with.
    pub algorithm: Option<String>,
    /// Everything it says, true or not.
    pub claims: Option<Value>,
    /// What it is good for.
    pub verdicts: Vec<TokenVerdict>,
}

/// Whether a token is good for one thing.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenVerdict {
    /// What for.
    pub usage: TokenUse,
    /// The topics, in the words of the token; or which check failed.
    pub outcome: Result<Vec<String>, String>,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// What a token can be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUse {
    /// Publishing over Mercure.
    MercurePublish,
    /// Private events over Mercure, and the list of subscriptions.
    MercureSubscribe,
    /// Publishing to `/events`.
    NativePublish,
    /// Subscribing to `/events`.
    NativeSubscribe,
}

impl TokenUse {
    /// In words.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::MercurePublish => "publish over Mercure",
            Self::MercureSubscribe => "have private events over Mercure",
            Self::NativePublish => "publish to /events",
            Self::NativeSubscribe => "subscribe to /events",
        }
    }
}

impl TokenReport {
    /// Of `token`, for a hub of this configuration. Reads key sets at URLs.
    pub async fn of(config: &Config, token: &str) -> Self {
        token::install_cryptography();
        let header = jsonwebtoken::decode_header(token).ok();
        let shape = claims::shape(token);
        let said = claims::claimed(token);
        let audiences: Vec<&str> = match said.as_ref().map(|claims| &claims["aud"]) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => Vec::new(),
        };
        let site = Site::of_audiences(&config.mercure, &audiences);
        let mut verdicts = Vec::new();
        let mercure = Mercure::new(config.mercure.clone());
        if config.mercure.enabled {
            for role in [Role::Publisher, Role::Subscriber] {
                if let Some(keys) =
                    access::keys(mercure.config(), &config.http.jwt_keys, role, token, shape)
                {
                    JwtKey::refresh(keys).await;
                }
                let hub_keys = &config.http.jwt_keys;
                let access = access::examined(&mercure, hub_keys, &site, role, token, shape);
                verdicts.push(match access {
                    Ok(access) => {
                        let granted = match role {
                            Role::Publisher => access.says.publish.as_deref(),
                            Role::Subscriber => Some(&*access.says.subscribe),
                        };
                        let missing = "the token has no `publish` in its mercure claim";
                        TokenVerdict {
                            usage: usage(role),
                            outcome: granted.map(own_words).ok_or_else(|| missing.to_owned()),
                            expires: access.says.expires,
                        }
                    }
                    Err(error) => TokenVerdict {
                        usage: usage(role),
                        outcome: Err(error.to_string()),
                        expires: None,
                    },
                });
            }
        }
        verdicts.extend(native(config, token).await);
        Self {
            version: shape.map(|dialect| if dialect.is_one { "1.0" } else { "0.x" }),
            algorithm: header.map(|header| format!("{:?}", header.alg)),
            claims: said,
            verdicts,
        }
    }
}

/// What the native API makes of it.
async fn native(config: &Config, token: &str) -> [TokenVerdict; 2] {
    JwtKey::refresh(&config.http.jwt_keys).await;
    let grant = if config.http.jwt_keys.is_empty() && config.http.api_keys.is_empty() {
        Err("the hub has no keys for it: see `jwt-secret`".to_owned())
    } else {
        token::granted(token, &config.http.api_keys, &config.http.jwt_keys)
            .map_err(|error: InvalidToken| error.to_string())
    };
    let expires = grant.as_ref().ok().and_then(|grant| grant.expires);
    let (publish, subscribe) = match grant {
        Ok(grant) => (Ok(words(&grant.publish)), Ok(words(&grant.subscribe))),
        Err(error) => (Err(error.clone()), Err(error)),
    };
    [
        TokenVerdict { usage: TokenUse::NativePublish, outcome: publish, expires },
        TokenVerdict { usage: TokenUse::NativeSubscribe, outcome: subscribe, expires },
    ]
}

const fn usage(role: Role) -> TokenUse {
    match role {
        Role::Publisher => TokenUse::MercurePublish,
        Role::Subscriber => TokenUse::MercureSubscribe,
    }
}

/// As the token has them. All of it is `*` in this protocol, where `**` is a topic like others.
fn own_words(matchers: &[Matcher]) -> Vec<String> {
    let own = |matcher: &Matcher| match matcher {
        Matcher::All => "*".to_owned(),
        other => words(std::slice::from_ref(other)).concat(),
    };
    matchers.iter().map(own).collect()
}

/// As the token has them: ours have a name before.
fn words(matchers: &[Matcher]) -> Vec<String> {
    let words = |matcher: &Matcher| {
        let text = matcher.to_string();
        match text.strip_prefix("mercure ") {
            Some(named) => named.split_once(' ').map_or(named, |(_, words)| words).to_owned(),
            None => text,
        }
    };
    matchers.iter().map(words).collect()
}
