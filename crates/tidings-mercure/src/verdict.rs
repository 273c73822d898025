//! The decision of a hub about a token, for diagnosis.

use std::time::Duration;

use serde_json::Value;
use tidings_http::JwtKey;
use tidings_http::auth::token;
use tidings_hub::{Matcher, Timestamp};

use crate::access::{self, Role};
use crate::claims;
use crate::config::MercureConfig;
use crate::mercure::Mercure;
use crate::site::Site;

/// Whether a token is valid in one role.
#[derive(Debug)]
pub struct Verdict {
    /// The role.
    pub role: Role,
    /// The topics, in the words of the token; or which check failed.
    pub outcome: Result<Vec<String>, String>,
    /// When the token expires.
    pub expires: Option<Timestamp>,
}

impl Verdict {
    /// What a hub of this configuration would decide about `token` now, by the same code, in each
    /// role. `hub_keys` are the keys of all its protocols. Reads key sets at URLs.
    pub async fn of(
        config: &MercureConfig,
        hub_keys: &[JwtKey],
        leeway: Duration,
        token: &str,
    ) -> Vec<Self> {
        token::install_cryptography();
        let shape = claims::shape(token);
        let said = token::claimed(token);
        let audiences: Vec<&str> = match said.as_ref().map(|claims| &claims["aud"]) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => Vec::new(),
        };
        let site = Site::of_audiences(config, &audiences);
        let mercure = Mercure::new(config.clone());
        let mut verdicts = Vec::new();
        for role in [Role::Publisher, Role::Subscriber] {
            if let Some(keys) = access::keys(config, hub_keys, role, token, shape) {
                JwtKey::refresh(keys).await;
            }
            let access = access::examined(&mercure, hub_keys, leeway, &site, role, token, shape);
            verdicts.push(match access {
                Ok(access) => {
                    let granted = match role {
                        Role::Publisher => access.says.publish.as_deref(),
                        Role::Subscriber => Some(&*access.says.subscribe),
                    };
                    let missing = "the token has no `publish` in its mercure claim";
                    let outcome = granted.map(own_words).ok_or_else(|| missing.to_owned());
                    Self { role, outcome, expires: access.says.expires }
                }
                Err(error) => Self { role, outcome: Err(error.to_string()), expires: None },
            });
        }
        verdicts
    }
}

/// The version of the protocol that `token` is for by its shape, `0.x` or `1.0`; `None` if it is
/// not a JSON Web Token.
pub fn version(token: &str) -> Option<&'static str> {
    claims::shape(token).map(|dialect| if dialect.is_one { "1.0" } else { "0.x" })
}

/// The matchers in the words of the token. Everything is `*` in this protocol, where `**` is an
/// ordinary topic.
fn own_words(matchers: &[Matcher]) -> Vec<String> {
    let own = |matcher: &Matcher| match matcher {
        Matcher::All => "*".to_owned(),
        other => words(std::slice::from_ref(other)).concat(),
    };
    matchers.iter().map(own).collect()
}

/// The matchers in the words of the token: ours have a prefix.
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
