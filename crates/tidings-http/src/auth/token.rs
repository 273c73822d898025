//! JSON Web Tokens: whether a token is valid, and what it grants.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use jsonwebtoken::errors::ErrorKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidings_hub::{Grant, Matcher, Timestamp};

use super::claim::Claim;
use super::invalid_token::InvalidToken;
use super::keys::{ApiKey, JwtKey, Kind};
use super::plain_key::PlainKey;
use super::who::Who;
use crate::clock;
use crate::key_share::KeyShare;
use crate::limits::CLAIM_TOKEN_BYTES_MAX;

/// The claims of a token that we use.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since the epoch, perhaps with a fraction (RFC 7519 §2, NumericDate).
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    iat: Value,
    #[serde(default)]
    iss: Value,
    #[serde(default)]
    sub: Value,
    /// In the hub's own words; if it is there, the others are not read.
    #[serde(default)]
    tidings: Value,
    #[serde(default)]
    mercure: Value,
    /// The same under a URL, for issuers that require the names of claims to be URLs.
    #[serde(default, rename = "https://mercure.rocks/")]
    namespaced: Value,
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

/// What a token grants, and to whose bearer.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// What it may do.
    pub grant: Arc<Grant>,
    /// Its identity.
    pub who: Arc<Who>,
    /// When it was issued, if it says so.
    pub issued: Option<Timestamp>,
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
pub(super) fn verify(
    token: &str,
    keys: &[JwtKey],
    leeway: Duration,
) -> Result<Signed<Bearer>, InvalidToken> {
    let Signed { says, share } = signed::<Claims>(token, keys, leeway)?;
    let who = Arc::new(Who::of_claims(&says.sub, &says.iss));
    let issued = end(says.iat.as_f64(), Duration::ZERO);
    let grant = Arc::new(grant(token, says, leeway)?);
    Ok(Signed { says: Bearer { grant, who, issued }, share })
}

/// What `token` grants on the native API.
pub fn granted(
    token: &str,
    api_keys: &[ApiKey],
    jwt_keys: &[JwtKey],
    leeway: Duration,
) -> Result<Grant, InvalidToken> {
    match ApiKey::find(api_keys, token) {
        Some(key) => Ok(Grant::clone(key.grant())),
        None => {
            verify(token, jwt_keys, leeway).map(|signed| Arc::unwrap_or_clone(signed.says.grant))
        }
    }
}

/// What `token` says, if one of `keys` signed it and it is valid now.
#[cfg(any(test, fuzzing))]
pub fn claims<T: DeserializeOwned>(token: &str, keys: &[JwtKey]) -> Result<T, InvalidToken> {
    signed(token, keys, Duration::ZERO).map(|signed| signed.says)
}

/// The same with the share of its key. Clocks may differ by `leeway`.
pub fn signed<T: DeserializeOwned>(
    token: &str,
    keys: &[JwtKey],
    leeway: Duration,
) -> Result<Signed<T>, InvalidToken> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| InvalidToken::Unknown)?;
    if header.crit.is_some() {
        return Err(InvalidToken::Critical);
    }
    let mut attempt = Attempt { token, leeway, found: None, refusal: InvalidToken::Algorithm };
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
    leeway: Duration,
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
            Ok(data) => self.found = Some(valid_now(data.claims, self.leeway)),
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
fn valid_now<T: DeserializeOwned>(claims: Value, leeway: Duration) -> Result<T, InvalidToken> {
    let times = Times::deserialize(&claims).map_err(|_| InvalidToken::Claims)?;
    let now = clock::now().as_millis() as f64 / 1000.0;
    let leeway = leeway.as_secs_f64();
    if times.exp.is_some_and(|exp| exp + leeway <= now) {
        return Err(InvalidToken::Expired);
    }
    if times.nbf.is_some_and(|nbf| nbf - leeway > now) {
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

/// When a token with this `exp` is accepted no more.
pub fn end(exp: Option<f64>, leeway: Duration) -> Option<Timestamp> {
    // A number beyond the clock's range becomes the clock's end.
    let millis = exp.map(|seconds| (seconds * 1000.0) as u64);
    let leeway = u64::try_from(leeway.as_millis()).unwrap_or(u64::MAX);
    millis.map(|millis| Timestamp::from_millis(millis.saturating_add(leeway)))
}

/// The claim `tidings` of a token, if it has one.
///
/// # Errors
///
/// The claim cannot be understood, or the token is too long for one with such a claim.
pub fn own_claim(token: &str, claim: &Value) -> Result<Option<Claim>, InvalidToken> {
    let claim = Claim::read(claim)?;
    if claim.is_some() && token.len() > CLAIM_TOKEN_BYTES_MAX {
        return Err(InvalidToken::TooLong);
    }
    Ok(claim)
}

fn grant(token: &str, claims: Claims, leeway: Duration) -> Result<Grant, InvalidToken> {
    let expires = end(claims.exp, leeway);
    if let Some(claim) = own_claim(token, &claims.tidings)? {
        return Ok(Grant { expires, ..claim.grant });
    }
    let access = if claims.namespaced.is_null() { claims.mercure } else { claims.namespaced };
    let access: Option<Access> =
        serde_json::from_value(access).map_err(|_| InvalidToken::Claims)?;
    let access = access.ok_or(InvalidToken::NoAccess)?;
    Ok(Grant {
        publish: matchers(&access.publish.unwrap_or_default()),
        subscribe: matchers(&access.subscribe.unwrap_or_default()),
        expires,
        ..Grant::nothing()
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
        super::verify(token, keys, Duration::ZERO).map(|signed| Grant::clone(&signed.says.grant))
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
    fn the_tidings_claim_wins_and_the_others_are_not_read() {
        let grant = checked(&json!({
            "tidings": {"subscribe": ["a/*"], "operate": ["kick"]},
            "mercure": 5,
            "https://mercure.rocks/": {"publish": ["**"]},
        }));
        let grant = grant.unwrap();
        assert_eq!((grant.publish.len(), grant.subscribe.len()), (0, 1));
        assert!(grant.operate.kick && !grant.may_look());
        assert_eq!(checked(&json!({"tidings": {}})).unwrap(), Grant::nothing());
        let claims = json!({"tidings": null, "mercure": {"subscribe": ["a"]}});
        assert_eq!(checked(&claims).unwrap().subscribe.len(), 1);
        assert_eq!(checked(&json!({"tidings": null})), Err(InvalidToken::NoAccess));
        let long = json!({"tidings": {}, "x": "x".repeat(CLAIM_TOKEN_BYTES_MAX)});
        assert_eq!(checked(&long), Err(InvalidToken::TooLong));
    }

    #[test]
    fn clocks_may_differ_by_the_leeway_and_no_more() {
        let key = [JwtKey::hs256(SECRET).unwrap()];
        let now = clock::now().as_millis() as f64 / 1000.0;
        let says = |claims| {
            let token = token(Algorithm::HS256, SECRET, &claims);
            super::verify(&token, &key, Duration::from_secs(30))
                .map(|signed| Grant::clone(&signed.says.grant))
        };
        let access = json!({"subscribe": ["a"]});
        let grant = says(json!({"tidings": access, "exp": now - 20.0, "nbf": now + 20.0}));
        let end = grant.unwrap().expires.unwrap().as_millis();
        assert_eq!(end / 1000, (now + 10.0) as u64, "it ends when the leeway does");
        let late = says(json!({"tidings": access, "exp": now - 40.0}));
        assert_eq!(late, Err(InvalidToken::Expired));
        let early = says(json!({"tidings": access, "nbf": now + 60.0}));
        assert_eq!(early, Err(InvalidToken::NotYetValid));
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
