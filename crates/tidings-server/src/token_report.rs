//! What a hub would decide about a token, for diagnosis.

use serde_json::Value;
use tidings_http::JwtKey;
use tidings_http::auth::invalid_token::InvalidToken;
use tidings_http::auth::token;
use tidings_hub::{Matcher, Timestamp};

use crate::config::Config;

/// The claims of a token, and what a hub with some configuration decides about it.
///
/// It is the decision that the hub itself would make now, by the same code.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenReport {
    /// The version of the protocol by its shape, `0.x` or `1.0`; `None` if it is not a JSON Web
    /// Token.
    pub version: Option<&'static str>,
    /// The algorithm that it claims to be signed with.
    pub algorithm: Option<String>,
    /// Everything that it claims, true or not.
    pub claims: Option<Value>,
    /// The decision for each use.
    pub verdicts: Vec<TokenVerdict>,
}

/// Whether a token is valid for one use.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenVerdict {
    /// The use.
    pub usage: TokenUse,
    /// The topics, in the words of the token; or which check failed.
    pub outcome: Result<Vec<String>, String>,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// A use of a token.
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
    /// The use in words.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::MercurePublish => "publish over Mercure",
            Self::MercureSubscribe => "receive private events over Mercure",
            Self::NativePublish => "publish to /events",
            Self::NativeSubscribe => "subscribe to /events",
        }
    }
}

impl TokenReport {
    /// Examines `token` for a hub with this configuration. Reads key sets at URLs.
    pub async fn of(config: &Config, token: &str) -> Self {
        token::install_cryptography();
        let mut verdicts = mercure::verdicts(config, token).await;
        verdicts.extend(native(config, token).await);
        Self {
            version: mercure::version(token),
            algorithm: token::claimed_algorithm(token),
            claims: token::claimed(token),
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
        token::granted(token, &config.http.api_keys, &config.http.jwt_keys, config.http.leeway)
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

fn words(matchers: &[Matcher]) -> Vec<String> {
    matchers.iter().map(Matcher::to_string).collect()
}

#[cfg(feature = "mercure")]
mod mercure {
    use tidings_mercure::{Role, Verdict};

    use super::{Config, TokenUse, TokenVerdict};

    pub(super) use tidings_mercure::version;

    pub(super) async fn verdicts(config: &Config, token: &str) -> Vec<TokenVerdict> {
        if !config.mercure.enabled {
            return Vec::new();
        }
        let verdicts =
            Verdict::of(&config.mercure, &config.http.jwt_keys, config.http.leeway, token).await;
        let verdict = |Verdict { role, outcome, expires }| {
            let usage = match role {
                Role::Publisher => TokenUse::MercurePublish,
                Role::Subscriber => TokenUse::MercureSubscribe,
            };
            TokenVerdict { usage, outcome, expires }
        };
        verdicts.into_iter().map(verdict).collect()
    }
}

#[cfg(not(feature = "mercure"))]
mod mercure {
    use super::{Config, TokenVerdict};

    pub(super) fn version(_: &str) -> Option<&'static str> {
        None
    }

    pub(super) async fn verdicts(_: &Config, _: &str) -> Vec<TokenVerdict> {
        Vec::new()
    }
}
