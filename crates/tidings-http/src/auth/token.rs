//! JSON Web Tokens: whether a token is valid, and what it grants.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::Algorithm;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidings_hub::{Grant, Matcher, Timestamp};

use super::keys::{ApiKey, JwtKey, Kind};
use super::plain_key::PlainKey;
use crate::clock;
use crate::key_share::KeyShare;

/// The claims of a token that we use.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since the epoch, perhaps with a fraction (RFC 7519 §2, NumericDate).
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    mercure: Option<Access>,
    /// The same under a URL, for issuers that require the names of claims to be URLs.
    #[serde(default, rename = "https://mercure.rocks/")]
    namespaced: Option<Access>,
}

/// When a token is valid, in seconds since the epoch.
#[derive(Deserialize)]
struct Times {
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
}

#[derive(Deserialize)]
struct Access {
    #[serde(default)]
    publish: Option<Vec<String>>,
    #[serde(default)]
    subscribe: Option<Vec<String>>,
}

/// Why a token is not accepted. The texts contain no quotes because they go into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidToken {
    /// It is neither a key nor a JSON Web Token.
    Unknown,
    /// No key signed it.
    Signature,
    /// No known key of a set signed it; reading the set again may help.
    KeyUnknown,
    /// It requires extensions (`crit`, RFC 7515 §4.1.11); none is supported.
    Critical,
    /// No key is used with its algorithm.
    Algorithm,
    /// Its `exp` is in the past.
    Expired,
    /// Its `nbf` is in the future.
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
            Self::Critical => "the token asks for extensions that the hub does not know (crit)",
            Self::Algorithm => "the algorithm of the token is not one that the hub accepts",
            Self::Expired => "the token has expired (exp)",
            Self::NotYetValid => "the token is not valid yet (nbf)",
            Self::Claims => "a claim of the token is malformed",
            Self::NoAccess => "the token has no mercure claim that says what it grants",
        })
    }
}

/// What a token says, and the share of the key that signed it.
#[derive(Debug)]
pub struct Signed<T> {
    /// The claims, or what was made of them.
    pub says: T,
    /// Limits shared by all bearers of the key, if any.
    pub share: Option<Arc<KeyShare>>,
}

/// What `token` grants, if one of `keys` signed it and it is valid now.
pub(super) fn verify(token: &str, keys: &[JwtKey]) -> Result<Signed<Grant>, InvalidToken> {
    let Signed { says, share } = signed::<Claims>(token, keys)?;
    Ok(Signed { says: grant(says)?, share })
}

/// What `token` grants on the native API.
pub fn granted(
    token: &str,
    api_keys: &[ApiKey],
    jwt_keys: &[JwtKey],
) -> Result<Grant, InvalidToken> {
    match ApiKey::find(api_keys, token) {
        Some(key) => Ok(Grant::clone(key.grant())),
        None => verify(token, jwt_keys).map(|signed| signed.says),
    }
}

/// What `token` says, if one of `keys` signed it and it is valid now.
#[cfg(any(test, fuzzing))]
pub fn claims<T: DeserializeOwned>(token: &str, keys: &[JwtKey]) -> Result<T, InvalidToken> {
    signed(token, keys).map(|signed| signed.says)
}

/// The same with the share of its key.
pub fn signed<T: DeserializeOwned>(
    token: &str,
    keys: &[JwtKey],
) -> Result<Signed<T>, InvalidToken> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| InvalidToken::Unknown)?;
    if header.crit.is_some() {
        return Err(InvalidToken::Critical);
    }
    let mut attempt = Attempt { token, found: None, refusal: InvalidToken::Algorithm };
    let mut is_unsure = false;
    for key in keys {
        match &key.kind {
            Kind::One(key) => {
                attempt.with(key);
            }
            Kind::Set(set) => {
                // Sets contain no secrets.
                if is_secret(header.alg) {
                    continue;
                }
                is_unsure |= set.is_due();
                is_unsure |= !set.any(header.kid.as_deref(), |key| attempt.with(key));
            }
        }
        if let Some(found) = attempt.found {
            return found.map(|says| Signed { says, share: key.share.clone() });
        }
    }
    Err(if is_unsure { InvalidToken::KeyUnknown } else { attempt.refusal })
}

/// Verification of a token with one key after another.
struct Attempt<'a, T> {
    token: &'a str,
    /// The result of the key that signed it.
    found: Option<Result<T, InvalidToken>>,
    /// The best reason of the other keys.
    refusal: InvalidToken,
}

impl<T: DeserializeOwned> Attempt<'_, T> {
    /// Tries a key. Returns whether it is the one that signed the token.
    fn with(&mut self, key: &PlainKey) -> bool {
        let decoded = jsonwebtoken::decode::<Value>(self.token, key.decoding(), key.validation());
        match decoded {
            Ok(data) => self.found = Some(valid_now(data.claims)),
            Err(error) => match error.kind() {
                // Claims are read only once the signature is valid.
                ErrorKind::Json(_) => self.found = Some(Err(InvalidToken::Claims)),
                // A failed signature with the token's own algorithm says more than keys with other
                // algorithms.
                ErrorKind::InvalidSignature => self.refusal = InvalidToken::Signature,
                _ => {}
            },
        }
        self.found.is_some()
    }
}

/// The content of signed claims, if they are valid now. Tokens without an expiry are common and
/// accepted; an expiry that is present is enforced.
fn valid_now<T: DeserializeOwned>(claims: Value) -> Result<T, InvalidToken> {
    let times = Times::deserialize(&claims).map_err(|_| InvalidToken::Claims)?;
    let now = clock::now().as_millis() as f64 / 1000.0;
    if times.exp.is_some_and(|exp| exp <= now) {
        return Err(InvalidToken::Expired);
    }
    if times.nbf.is_some_and(|nbf| nbf > now) {
        return Err(InvalidToken::NotYetValid);
    }
    serde_json::from_value(claims).map_err(|_| InvalidToken::Claims)
}

/// All claims of a token. Nothing is verified.
pub fn claimed(token: &str) -> Option<Value> {
    jsonwebtoken::dangerous::insecure_decode::<Value>(token).ok().map(|data| data.claims)
}

/// The algorithm that a token says it is signed with. Nothing is verified.
pub fn claimed_algorithm(token: &str) -> Option<String> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    Some(format!("{:?}", header.alg))
}

/// Without this, or with a second implementation compiled in, the first token would cause a panic.
pub fn install_cryptography() {
    // It fails if it was installed before: by another server in this process.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn grant(claims: Claims) -> Result<Grant, InvalidToken> {
    let access = claims.namespaced.or(claims.mercure);
    let access = access.ok_or(InvalidToken::NoAccess)?;
    Ok(Grant {
        publish: matchers(&access.publish.unwrap_or_default()),
        subscribe: matchers(&access.subscribe.unwrap_or_default()),
        expires: claims.exp.map(|seconds| Timestamp::from_millis((seconds * 1000.0) as u64)),
    })
}

/// A text that is not a matcher here may be one in another protocol: it grants nothing, which is
/// safe.
fn matchers(texts: &[String]) -> Vec<Matcher> {
    let matcher = |text: &String| {
        Matcher::parse(text)
            .inspect_err(|error| tracing::debug!(text, %error, "ignoring a selector of a token"))
            .ok()
    };
    texts.iter().filter_map(matcher).collect()
}

fn is_secret(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    fn verify(token: &str, keys: &[JwtKey]) -> Result<Grant, InvalidToken> {
        super::verify(token, keys).map(|signed| signed.says)
    }

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
    fn required_extensions_are_not_ignored() {
        install_cryptography();
        let claims = json!({"mercure": {"subscribe": ["**"]}});
        for names in [vec!["exp".to_owned()], vec!["b64".into(), "x".into()], vec![]] {
            let header = Header { crit: Some(names), ..Header::new(Algorithm::HS256) };
            let token = encode(&header, &claims, &EncodingKey::from_secret(SECRET)).unwrap();
            assert_eq!(verified(&token), Err(InvalidToken::Critical));
        }
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let granted = json!({"subscribe": ["a"]});
        for claims in [
            json!({"mercure": {"publish": null, "subscribe": ["a"]}}),
            json!({"mercure": granted, "https://mercure.rocks/": null, "exp": null, "nbf": null}),
        ] {
            let grant = checked(&claims).unwrap();
            assert_eq!((grant.publish.len(), grant.subscribe.len()), (0, 1), "{claims}");
            assert_eq!(grant.expires, None);
        }
        assert_eq!(checked(&json!({"mercure": {"subscribe": null}})).unwrap(), Grant::nothing());
        assert_eq!(checked(&json!({"mercure": null})), Err(InvalidToken::NoAccess));
    }

    #[test]
    fn the_reason_is_that_of_the_key_which_could_have_signed() {
        install_cryptography();
        let key = |name, bytes| JwtKey::with_algorithm(name, &[bytes; 64]).unwrap();
        let claims = json!({"mercure": {}});
        let token = token(Algorithm::HS256, &[9; 64], &claims);
        let mut keys = vec![key("HS256", 1), key("HS512", 1), key("HS384", 1)];
        for _ in 0..keys.len() {
            assert_eq!(verify(&token, &keys), Err(InvalidToken::Signature));
            keys.rotate_left(1);
        }
        assert_eq!(verify(&token, &keys[1..]), Err(InvalidToken::Algorithm));
        let set = JwtKey::at_url("https://issuer.example/jwks", None).unwrap();
        assert_eq!(verify(&token, &[key("HS256", 1), set]), Err(InvalidToken::Signature));
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
