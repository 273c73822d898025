//! A set of public keys at a URL (RFC 7517 §5), read when a token needs it.
//!
//! # When it is read
//!
//! Verifying a token never waits: it uses the keys that are loaded. If these are too old, or none
//! of them fits, [`signed`](super::token::signed) says so, and a caller that can wait has the set
//! [read again](KeySet::refresh) and verifies once more. However many callers want that at once,
//! only one request is made (the others wait for it), and none within [`KEY_SET_PAUSE`] of the
//! last: tokens with invented key ids cost the owner of the set nothing.
//!
//! While the set cannot be read, the keys that were read last stay valid: an issuer that is down
//! does not take its subscribers with it.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tidings_engine::spawn_outliving;

use super::plain_key::PlainKey;
use crate::limits::{
    KEY_SET_AGE_MAX, KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX, KEY_SET_PAUSE, KEY_SET_WAIT_MAX,
};
use crate::outbound;

/// A set of keys, and where it is.
pub(crate) struct KeySet {
    place: Place,
    /// Keys for other algorithms are not used.
    algorithm: Option<Algorithm>,
    known: Mutex<Known>,
    /// Held while the set is read.
    reading: Arc<tokio::sync::Mutex<()>>,
}

enum Place {
    Url(Uri),
    /// Read once.
    File(std::path::PathBuf),
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<[NamedKey]>,
    /// When they were read.
    read: Option<Instant>,
    /// When it was last tried.
    tried: Option<Instant>,
}

/// A key, and the id by which tokens name it.
struct NamedKey {
    id: Option<String>,
    key: PlainKey,
}

impl KeySet {
    /// The set at `url`, not yet read. `None` if that is not an `http`, `https` or `file` URL.
    pub(crate) fn new(url: &str, algorithm: Option<Algorithm>) -> Option<Self> {
        let parsed = url::Url::parse(url).ok()?;
        let place = match parsed.scheme() {
            "http" | "https" => Place::Url(url.parse().ok()?),
            "file" => Place::File(parsed.to_file_path().ok()?),
            _ => return None,
        };
        let (known, reading) = (Mutex::default(), Arc::default());
        Some(Self { place, algorithm, known, reading })
    }

    /// Whether the loaded keys are too old to be used without reading the set again.
    pub(super) fn is_due(&self) -> bool {
        let known = self.lock();
        let is_old = match (&self.place, known.read) {
            (_, None) => true,
            (Place::Url(_), Some(read)) => read.elapsed() > KEY_SET_AGE_MAX,
            (Place::File(_), Some(_)) => false,
        };
        is_old && !known.was_just_tried()
    }

    /// Tries the keys that may have signed a token that names its key `id`; stops at the first
    /// for which `accepts`.
    pub(super) fn any(&self, id: Option<&str>, mut accepts: impl FnMut(&PlainKey) -> bool) -> bool {
        let keys = Arc::clone(&self.lock().keys);
        let fits =
            |named: &&NamedKey| id.is_none() || named.id.is_none() || named.id.as_deref() == id;
        keys.iter().filter(fits).any(|named| accepts(&named.key))
    }

    /// Reads the set again, or waits for the task that is reading it. Returns whether it is worth
    /// verifying again; errors go to the log.
    pub(crate) async fn refresh(self: &Arc<Self>) -> bool {
        let before = self.lock().read;
        let reading = Arc::clone(&self.reading).lock_owned().await;
        {
            let mut known = self.lock();
            if known.read != before {
                return true;
            }
            let is_read_file = matches!(self.place, Place::File(_)) && known.read.is_some();
            if known.was_just_tried() || is_read_file {
                return false;
            }
            known.tried = Some(Instant::now());
        }
        // In a task of its own: the request that asked may be cancelled, but the others, which may
        // not try again for a while, still need the result.
        let set = Arc::clone(self);
        let anew = spawn_outliving(async move {
            let _reading = reading;
            set.read_anew().await
        });
        anew.await.unwrap_or(false)
    }

    /// Reads the set. Returns whether that succeeded.
    async fn read_anew(&self) -> bool {
        let read = match tokio::time::timeout(KEY_SET_WAIT_MAX, self.read()).await {
            Ok(read) => read,
            Err(elapsed) => Err(elapsed.into()),
        };
        match read {
            Ok(keys) => {
                tracing::debug!(set = ?self, keys = keys.len(), "key set read");
                let mut known = self.lock();
                known.keys = keys.into();
                known.read = Some(Instant::now());
                true
            }
            Err(error) => {
                tracing::warn!(set = ?self, error, "cannot read a key set");
                false
            }
        }
    }

    async fn read(&self) -> Result<Vec<NamedKey>, Cause> {
        let text = match &self.place {
            Place::File(path) => Bytes::from(tokio::fs::read(path).await?),
            Place::Url(url) => get(url).await?,
        };
        let set: Set = serde_json::from_slice(&text)?;
        let keys = set.keys.into_iter().take(KEY_SET_KEYS_MAX);
        // Keys of unknown kinds are ignored (RFC 7517 §5).
        let keys = keys.filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.filter_map(|jwk| NamedKey::of(&jwk, self.algorithm)).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn was_just_tried(&self) -> bool {
        self.tried.is_some_and(|tried| tried.elapsed() < KEY_SET_PAUSE)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            // Without user and query: they may hold secrets, and this goes to the log.
            Place::Url(url) => {
                let scheme = url.scheme_str().unwrap_or_default();
                let host = url.host().unwrap_or_default();
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "{scheme}://{host}{port}{}", url.path())
            }
            Place::File(path) => fmt::Display::fmt(&path.display(), f),
        }
    }
}

impl NamedKey {
    /// A key that verifies signatures with an accepted algorithm. A secret in a set is not such a
    /// key: anyone who can read the set could sign with it.
    fn of(jwk: &Jwk, wanted: Option<Algorithm>) -> Option<Self> {
        if matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
            return None;
        }
        let fitting: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => &[Algorithm::EdDSA],
            _ => return None,
        };
        let named: Option<Algorithm> = match jwk.common.key_algorithm {
            // An algorithm for encryption or an unknown one is no reason to use the key.
            Some(name) => Some(name.to_string().parse().ok()?),
            None => None,
        };
        let accepted = |algorithm: &&Algorithm| {
            named.is_none_or(|named| named == **algorithm)
                && wanted.is_none_or(|wanted| wanted == **algorithm)
        };
        let algorithms: Vec<_> = fitting.iter().filter(accepted).copied().collect();
        let decoding = DecodingKey::from_jwk(jwk).ok().filter(|_| !algorithms.is_empty())?;
        Some(Self { id: jwk.common.key_id.clone(), key: PlainKey::new(decoding, algorithms) })
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

type Cause = Box<dyn Error + Send + Sync>;

async fn get(url: &Uri) -> Result<Bytes, Cause> {
    let mut request = http::Request::get(url.clone()).body(Empty::new())?;
    let json = http::HeaderValue::from_static("application/jwk-set+json, application/json");
    let headers = request.headers_mut();
    headers.insert(http::header::ACCEPT, json);
    headers.insert(http::header::USER_AGENT, http::HeaderValue::from_static(outbound::USER_AGENT));
    let identity = http::HeaderValue::from_static("identity");
    headers.insert(http::header::ACCEPT_ENCODING, identity);
    let response = client()?.request(request).await?;
    if !response.status().is_success() {
        return Err(format!("the answer is {}", response.status()).into());
    }
    Ok(Limited::new(response.into_body(), KEY_SET_BYTES_MAX).collect().await?.to_bytes())
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Created on first use, because it reads the certificates that the system trusts.
fn client() -> Result<&'static HttpClient, Cause> {
    static CLIENT: OnceLock<HttpClient> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    // Sets are read rarely, so no connection is kept for the next time.
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(outbound::connector()?);
    Ok(CLIENT.get_or_init(|| client))
}

#[cfg(test)]
mod tests;
