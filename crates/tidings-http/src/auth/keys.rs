//! Keys that tokens are checked against.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use jsonwebtoken::{Algorithm, DecodingKey};
use tidings_hub::{Grant, Matcher};

use super::key_set::KeySet;
use super::plain_key::PlainKey;
use super::who::Who;
use crate::error::ConfigError;
use crate::key_share::{KeyLimits, KeyShare};

/// A key that is sent as it is, and what its bearer may do.
///
/// Only a digest of the key is kept.
#[derive(Clone)]
pub struct ApiKey {
    name: String,
    digest: [u8; digest::SHA256_OUTPUT_LEN],
    grant: Arc<Grant>,
    who: Arc<Who>,
    share: Option<Arc<KeyShare>>,
}

impl ApiKey {
    /// Fewest characters of a key.
    pub const LENGTH_MIN: usize = 16;

    /// The key `key`, called `name` in logs, whose bearer may publish and subscribe to these topics
    /// (in the syntax of [`Matcher::parse`]).
    ///
    /// # Errors
    ///
    /// [`ConfigError::WeakApiKey`] and [`ConfigError::Matcher`].
    pub fn new<T: AsRef<str>>(
        name: &str,
        key: &str,
        publish: &[T],
        subscribe: &[T],
    ) -> Result<Self, ConfigError> {
        if key.len() < Self::LENGTH_MIN || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ConfigError::WeakApiKey {
                name: name.to_owned(),
                length_min: Self::LENGTH_MIN,
            });
        }
        Ok(Self {
            name: name.to_owned(),
            digest: sha256(key),
            grant: Arc::new(Grant {
                publish: matchers(publish)?,
                subscribe: matchers(subscribe)?,
                ..Grant::nothing()
            }),
            who: Arc::new(Who::of_key(name)),
            share: None,
        })
    }

    /// The same key, whose bearer may do what `grant` says.
    #[must_use]
    pub fn with_grant(self, grant: Grant) -> Self {
        Self { grant: Arc::new(grant), ..self }
    }

    /// The same key with `limits` that all of its bearers share. Clones share them too.
    #[must_use]
    pub fn with_limits(self, limits: KeyLimits) -> Self {
        Self { share: KeyShare::new(limits), ..self }
    }

    /// Limits shared by its bearers, if any.
    pub fn share(&self) -> Option<&Arc<KeyShare>> {
        self.share.as_ref()
    }

    /// The name in logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The identity of its bearers.
    pub fn who(&self) -> &Arc<Who> {
        &self.who
    }

    /// What its bearer may do.
    pub fn grant(&self) -> &Arc<Grant> {
        &self.grant
    }

    /// The key among `keys` that equals `token`. Takes the same time whichever it is, and however
    /// much of it is right.
    pub(crate) fn find<'a>(keys: &'a [Self], token: &str) -> Option<&'a Self> {
        if keys.is_empty() {
            return None;
        }
        let presented = sha256(token);
        let mut found = None;
        for key in keys {
            if verify_slices_are_equal(&key.digest, &presented).is_ok() {
                found = Some(key);
            }
        }
        found
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("name", &self.name)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

/// A key that signs JSON Web Tokens, or a set of keys at a URL, and the algorithms they sign with.
///
/// The algorithms belong to the key, never to the token: a token cannot choose how it is checked.
#[derive(Clone, Debug)]
pub struct JwtKey {
    pub(super) kind: Kind,
    pub(super) share: Option<Arc<KeyShare>>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    One(Box<PlainKey>),
    Set(Arc<KeySet>),
}

impl JwtKey {
    /// Fewest bytes of a secret for HS256: as many as the digest has (RFC 7518 §3.2).
    pub const HS256_BYTES_MIN: usize = 32;

    /// A secret shared with the issuers that sign tokens with HS256.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ShortSecret`].
    pub fn hs256(secret: &[u8]) -> Result<Self, ConfigError> {
        Self::with_algorithm("HS256", secret)
    }

    /// The key `key` for the one algorithm called `algorithm` (RFC 7518 §3.1, RFC 8037 §3.1): a
    /// secret for HS256, HS384 and HS512; a public key in PEM for RS256, RS384, RS512, PS256,
    /// PS384, PS512, ES256, ES384 and EdDSA.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Algorithm`], [`ConfigError::ShortSecret`] and [`ConfigError::PublicKey`].
    pub fn with_algorithm(algorithm: &str, key: &[u8]) -> Result<Self, ConfigError> {
        let unknown = || ConfigError::Algorithm { name: algorithm.to_owned() };
        let parsed: Algorithm = algorithm.parse().map_err(|_| unknown())?;
        let decoding = match parsed {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                let bytes_min = match parsed {
                    Algorithm::HS256 => Self::HS256_BYTES_MIN,
                    Algorithm::HS384 => 48,
                    _ => 64,
                };
                if key.len() < bytes_min {
                    return Err(ConfigError::ShortSecret { bytes_min });
                }
                Ok(DecodingKey::from_secret(key))
            }
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => DecodingKey::from_rsa_pem(key),
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(key),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(key),
            _ => return Err(unknown()),
        };
        let invalid = |_| ConfigError::PublicKey { algorithm: algorithm.to_owned() };
        let key = PlainKey::new(decoding.map_err(invalid)?, vec![parsed]);
        Ok(Self { kind: Kind::One(Box::new(key)), share: None })
    }

    /// The public keys of the set at `url` (a JWK Set, RFC 7517 §5): RSA keys, elliptic curve keys
    /// on P-256 and P-384, and Ed25519. It is read when the first token needs it, and again when a
    /// token is signed with a key that is not in it, or it is ten minutes old; one with a `file`
    /// URL is read once. With an `algorithm`, only its keys for that one are used.
    ///
    /// # Errors
    ///
    /// [`ConfigError::KeySetUrl`] and [`ConfigError::Algorithm`].
    pub fn at_url(url: &str, algorithm: Option<&str>) -> Result<Self, ConfigError> {
        let parse = |name: &str| {
            let parsed = name.parse().ok();
            parsed.ok_or_else(|| ConfigError::Algorithm { name: name.to_owned() })
        };
        let algorithm = algorithm.map(parse).transpose()?;
        let set = KeySet::new(url, algorithm);
        let set = set.ok_or_else(|| ConfigError::KeySetUrl { text: url.to_owned() })?;
        Ok(Self { kind: Kind::Set(Arc::new(set)), share: None })
    }

    /// The same key with `limits` that the bearers of all tokens signed with it, or with a key of
    /// its set, share. Clones share them too.
    #[must_use]
    pub fn with_limits(self, limits: KeyLimits) -> Self {
        Self { share: KeyShare::new(limits), ..self }
    }

    /// Reads key sets at URLs again if they are due. Returns whether it is worth verifying again.
    pub async fn refresh(keys: &[Self]) -> bool {
        let mut is_new = false;
        for key in keys {
            if let Kind::Set(set) = &key.kind {
                is_new |= set.refresh().await;
            }
        }
        is_new
    }
}

fn matchers<T: AsRef<str>>(texts: &[T]) -> Result<Vec<Matcher>, ConfigError> {
    let parse = |text: &T| {
        Matcher::parse(text.as_ref())
            .map_err(|error| ConfigError::Matcher { text: text.as_ref().to_owned(), error })
    };
    texts.iter().map(parse).collect()
}

fn sha256(text: &str) -> [u8; digest::SHA256_OUTPUT_LEN] {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has its own length")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jsonwebtoken::{EncodingKey, Header};

    use super::*;

    #[test]
    fn a_key_is_found_by_the_whole_of_it() {
        let key = |name, key| ApiKey::new(name, key, &["a/**"], &["**"]).unwrap();
        let keys = [key("one", "0123456789abcdef"), key("two", "fedcba9876543210")];
        let name = |token| ApiKey::find(&keys, token).map(ApiKey::name);
        assert_eq!(name("fedcba9876543210"), Some("two"));
        assert_eq!(name("fedcba987654321"), None);
        assert_eq!(name(""), None);
        assert!(!format!("{keys:?}").contains("0123"), "a key is not printed");
    }

    #[test]
    fn a_key_that_protects_nothing_is_rejected() {
        for weak in ["short", "0123456789 bcdef", "0123456789äbcdef"] {
            assert!(ApiKey::new::<&str>("k", weak, &[], &[]).is_err(), "{weak}");
        }
        assert!(JwtKey::hs256(b"secret").is_err());
    }

    /// Tokens signed with every kind of key pair, each with its public key in PEM.
    fn signed() -> Vec<(&'static str, String, String)> {
        crate::auth::token::install_cryptography();
        let claims = serde_json::json!({ "exp": 4_000_000_000_u64 });
        let pairs = [
            ("RS256", &rcgen::PKCS_RSA_SHA256),
            ("RS384", &rcgen::PKCS_RSA_SHA384),
            ("RS512", &rcgen::PKCS_RSA_SHA512),
            ("PS256", &rcgen::PKCS_RSA_SHA256),
            ("PS384", &rcgen::PKCS_RSA_SHA384),
            ("PS512", &rcgen::PKCS_RSA_SHA512),
            ("ES256", &rcgen::PKCS_ECDSA_P256_SHA256),
            ("ES384", &rcgen::PKCS_ECDSA_P384_SHA384),
            ("EdDSA", &rcgen::PKCS_ED25519),
        ];
        let sign = |(name, algorithm): (&'static str, &'static rcgen::SignatureAlgorithm)| {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let private = pair.serialize_pem();
            let encoding = match &name[..2] {
                "RS" | "PS" => EncodingKey::from_rsa_pem(private.as_bytes()),
                "ES" => EncodingKey::from_ec_pem(private.as_bytes()),
                _ => EncodingKey::from_ed_pem(private.as_bytes()),
            };
            let header = Header::new(name.parse().unwrap());
            let token = jsonwebtoken::encode(&header, &claims, &encoding.unwrap()).unwrap();
            (name, pair.public_key_pem(), token)
        };
        pairs.into_iter().map(sign).collect()
    }

    #[test]
    fn a_public_key_verifies_tokens_of_its_own_algorithm_and_no_other() {
        let signed = signed();
        let keys: Vec<_> = signed
            .iter()
            .map(|(name, public, _)| JwtKey::with_algorithm(name, public.as_bytes()).unwrap())
            .collect();
        for (own, (name, public, token)) in signed.iter().enumerate() {
            for (other, key) in keys.iter().enumerate() {
                let good = crate::auth::token::claims::<serde_json::Value>(
                    token,
                    std::slice::from_ref(key),
                );
                assert_eq!(good.is_ok(), own == other, "{name}, key {other}");
            }
            // The oldest trick: the public key as the secret of a shared one.
            let forged = jsonwebtoken::encode(
                &Header::new(Algorithm::HS256),
                &serde_json::json!({ "exp": 4_000_000_000_u64 }),
                &EncodingKey::from_secret(public.as_bytes()),
            );
            let key = std::slice::from_ref(&keys[own]);
            let forged = crate::auth::token::claims::<serde_json::Value>(&forged.unwrap(), key);
            assert!(forged.is_err(), "{name}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_rejected_by_name() {
        let public = signed().remove(6).1;
        for (algorithm, key) in [
            ("RS256", public.as_bytes()),
            ("EdDSA", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
            ("ES256", b"not a PEM"),
        ] {
            let refused = JwtKey::with_algorithm(algorithm, key).unwrap_err();
            assert_eq!(refused, ConfigError::PublicKey { algorithm: algorithm.into() });
        }
        for algorithm in ["none", "ES512", "HS1", ""] {
            let refused = JwtKey::with_algorithm(algorithm, &[7; 64]).unwrap_err();
            assert_eq!(refused, ConfigError::Algorithm { name: algorithm.into() });
        }
        for (algorithm, length) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
            assert!(JwtKey::with_algorithm(algorithm, &vec![7; length]).is_ok());
            assert!(JwtKey::with_algorithm(algorithm, &vec![7; length - 1]).is_err());
        }
    }
}
