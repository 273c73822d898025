//! JSON Web Tokens: whether one is good, and what it grants.

use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidings_hub::{Grant, Matcher, Timestamp};

use super::keys::{ApiKey, JwtKey, Kind, PlainKey};

/// What we read of a token's claims.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since the epoch, perhaps with a fraction (RFC 7519 §2, NumericDate).
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    mercure: Option<Access>,
    /// The same under a name that issuers allow who want claims to be URLs.
    #[serde(default, rename = "https://mercure.rocks/")]
    namespaced: Option<Access>,
}

#[derive(Deserialize)]
struct Access {
    #[serde(default)]
    publish: Vec<String>,
    #[serde(default)]
    subscribe: Vec<String>,
}

/// Why a token is not accepted. The texts hold no quotes: they go into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidToken {
    /// It is neither a key nor a JSON Web Token.
    Unknown,
    /// No key signed it.
    Signature,
    /// No key of a set signed it, as far as the set is known: it may be read anew.
    KeyUnknown,
    /// Its algorithm is none that a key is used with.
    Algorithm,
    /// Its `exp` is past.
    Expired,
    /// Its `nbf` is to come.
    NotYetValid,
    /// A claim is not of the type it must be.
    Claims,
    /// It does not say what it grants.
    NoAccess,
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the token is neither a known key nor a JSON Web Token",
            Self::Signature => "the signature of the token does not fit any key of the hub",
            Self::KeyUnknown => "no key of the hub's key set fits the token (kid)",
            Self::Algorithm => "the algorithm of the token is not one that the hub accepts",
            Self::Expired => "the token has expired (exp)",
            Self::NotYetValid => "the token is not valid yet (nbf)",
            Self::Claims => "a claim of the token is malformed",
            Self::NoAccess => "the token has no mercure claim that says what it grants",
        })
    }
}

/// What `token` grants, if one of `keys` signed it and it is valid now.
pub(super) fn verify(token: &str, keys: &[JwtKey]) -> Result<Grant, InvalidToken> {
    claims::<Claims>(token, keys).and_then(grant)
}

/// What `token` grants on the native API.
pub(crate) fn granted(
    token: &str,
    api_keys: &[ApiKey],
    jwt_keys: &[JwtKey],
) -> Result<Grant, InvalidToken> {
    match ApiKey::find(api_keys, token) {
        Some(key) => Ok(Grant::clone(key.grant())),
        None => verify(token, jwt_keys),
    }
}

/// What `token` says, if one of `keys` signed it and it is valid now.
pub(crate) fn claims<T: DeserializeOwned>(token: &str, keys: &[JwtKey]) -> Result<T, InvalidToken> {
    let mut attempt = Attempt { token, found: None, refusal: InvalidToken::Unknown };
    let mut is_unsure = false;
    for key in keys {
        match &key.0 {
            Kind::One(key) => {
                attempt.with(key);
            }
            Kind::Set(set) => {
                let header = jsonwebtoken::decode_header(token).ok();
                let Some(header) = header else { continue };
                is_unsure |= set.is_due();
                is_unsure |= !set.any(header.kid.as_deref(), |key| attempt.with(key));
            }
        }
        if let Some(found) = attempt.found {
            return found;
        }
    }
    Err(if is_unsure { InvalidToken::KeyUnknown } else { attempt.refusal })
}

/// A token on its way from key to key.
struct Attempt<'a, T> {
    token: &'a str,
    /// What the key that signed it says.
    found: Option<Result<T, InvalidToken>>,
    /// What the others say.
    refusal: InvalidToken,
}

impl<T: DeserializeOwned> Attempt<'_, T> {
    /// Whether this is the key.
    fn with(&mut self, key: &PlainKey) -> bool {
        let decoded = jsonwebtoken::decode::<T>(self.token, key.decoding(), key.validation());
        match decoded {
            Ok(data) => self.found = Some(Ok(data.claims)),
            Err(error) => match error.kind() {
                // These are looked at only once the signature is right.
                ErrorKind::ExpiredSignature => self.found = Some(Err(InvalidToken::Expired)),
                ErrorKind::ImmatureSignature => self.found = Some(Err(InvalidToken::NotYetValid)),
                ErrorKind::InvalidSignature => self.refusal = InvalidToken::Signature,
                ErrorKind::InvalidAlgorithm => self.refusal = InvalidToken::Algorithm,
                ErrorKind::Json(_)
                | ErrorKind::InvalidClaimFormat(_)
                | ErrorKind::MissingRequiredClaim(_)
                    if is_jwt(self.token) =>
                {
                    self.refusal = InvalidToken::Claims;
                }
                _ => {}
            },
        }
        self.found.is_some()
    }
}

/// Without this, or with a second implementation compiled in, the first token would be a panic.
pub(crate) fn install_cryptography() {
    // It fails if it was installed before: by another server in this process.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn grant(claims: Claims) -> Result<Grant, InvalidToken> {
    let access = claims.namespaced.or(claims.mercure);
    let access = access.ok_or(InvalidToken::NoAccess)?;
    Ok(Grant {
        publish: matchers(&access.publish),
        subscribe: matchers(&access.subscribe),
        expires: claims.exp.map(|seconds| Timestamp::from_millis((seconds * 1000.0) as u64)),
    })
}

/// What is no matcher of ours may be one of another protocol's: it grants nothing here, which is
/// safe.
fn matchers(texts: &[String]) -> Vec<Matcher> {
    let matcher = |text: &String| {
        Matcher::parse(text)
            .inspect_err(|error| tracing::debug!(text, %error, "a token's selector is not used"))
            .ok()
    };
    texts.iter().filter_map(matcher).collect()
}

fn is_jwt(token: &str) -> bool {
    jsonwebtoken::decode_header(token).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = &[7; 64];

    fn token(algorithm: Algorithm, secret: &[u8], claims: &Value) -> String {
        install_cryptography();
        let key = EncodingKey::from_secret(secret);
        encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    fn verified(token: &str) -> Result<Grant, InvalidToken> {
        install_cryptography();
        let other = JwtKey::hs256(&[8; 32]).unwrap();
        verify(token, &[other, JwtKey::hs256(SECRET).unwrap()])
    }

    fn checked(claims: &Value) -> Result<Grant, InvalidToken> {
        verified(&token(Algorithm::HS256, SECRET, claims))
    }

    #[test]
    fn a_token_grants_what_its_claim_says_until_it_expires() {
        let access = json!({"publish": ["a/b"], "subscribe": ["a/*", "**"]});
        for name in ["mercure", "https://mercure.rocks/"] {
            let grant = checked(&json!({name: access, "exp": 4_000_000_000_u64})).unwrap();
            assert_eq!(grant.publish.len(), 1);
            assert_eq!(grant.subscribe.len(), 2);
            let expires = Timestamp::from_millis(4_000_000_000_000);
            assert_eq!(grant.expires, Some(expires));
        }
    }

    #[test]
    fn every_check_that_fails_has_its_name() {
        let access = json!({"publish": ["**"]});
        let cases = [
            (json!({"mercure": access, "exp": 1}), InvalidToken::Expired),
            (json!({"mercure": access, "nbf": 4_000_000_000_u64}), InvalidToken::NotYetValid),
            (json!({"sub": "x"}), InvalidToken::NoAccess),
            (json!({"mercure": 5}), InvalidToken::Claims),
            (json!({"mercure": access, "exp": "x"}), InvalidToken::Claims),
        ];
        for (claims, refusal) in cases {
            assert_eq!(checked(&claims), Err(refusal), "{claims}");
        }
        let claims = json!({"mercure": access});
        let foreign = token(Algorithm::HS256, &[9; 32], &claims);
        assert_eq!(verified(&foreign), Err(InvalidToken::Signature));
        let other = token(Algorithm::HS512, SECRET, &claims);
        assert_eq!(verified(&other), Err(InvalidToken::Algorithm));
        for garbage in ["", "x", "a.b.c", "....", "\u{1f980}"] {
            assert_eq!(verified(garbage), Err(InvalidToken::Unknown), "{garbage}");
        }
    }

    #[test]
    fn a_token_without_a_signature_is_not_accepted() {
        let good = token(Algorithm::HS256, SECRET, &json!({"mercure": {}}));
        let (_, rest) = good.split_once('.').unwrap();
        let (claims, _) = rest.split_once('.').unwrap();
        // {"alg":"none","typ":"JWT"}
        let forged = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
        assert!(verified(&forged).is_err());
    }
}
