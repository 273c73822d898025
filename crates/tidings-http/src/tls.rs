//! TLS (RFC 8446, RFC 5246): one certificate, which can be replaced while connections are open.
//!
//! A session is resumed with a ticket that only this process can read (RFC 8446 §2.2), so no state
//! is kept for clients that are away, and when all of them come back at once most handshakes need
//! no signature. The keys of tickets change every few hours.

mod expiry;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// How connections are encrypted: versions, protocols, and the current certificate. Clones share
/// the certificate.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    provider: Arc<CryptoProvider>,
}

impl Tls {
    /// TLS 1.2 and 1.3 with a certificate chain, its own certificate first, and its private key
    /// (PKCS #8, PKCS #1 or SEC1), both as PEM. Offers `h2` and `http/1.1` (RFC 7301).
    ///
    /// # Errors
    ///
    /// [`TlsError`]: one of the two is invalid, or they do not belong together.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let shown = Arc::new(Shown(RwLock::new(pair(certificates, key, &provider)?)));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Library)?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Shown>::clone(&shown);
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Ticketer::new().map_err(TlsError::Library)?;
        config.send_tls13_tickets = 1;
        Ok(Self { config: Arc::new(config), shown, provider })
    }

    /// Uses another certificate from the next handshake on; returns whether it differs. Open
    /// connections stay as they are. On an error the current certificate stays.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn replace(&self, certificates: &[u8], key: &[u8]) -> Result<bool, TlsError> {
        let pair = pair(certificates, key, &self.provider)?;
        let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_another = pair.cert != shown.cert;
        *shown = pair;
        Ok(is_another)
    }

    /// Expiry of the current certificate (`notAfter`, RFC 5280 §4.1.2.5), not of those above it in
    /// its chain. `None` if that could not be read.
    pub fn expires(&self) -> Option<SystemTime> {
        let shown = self.shown.0.read().unwrap_or_else(PoisonError::into_inner);
        shown.cert.first().and_then(expiry::not_after)
    }

    /// Whether the current certificate is valid for `host`, a name or an address.
    pub(crate) fn covers(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else { return false };
        let shown = self.shown.0.read().unwrap_or_else(PoisonError::into_inner);
        let parsed = shown.cert.first().map(ParsedCertificate::try_from);
        parsed.is_some_and(|parsed| {
            parsed.is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
        })
    }

    pub(crate) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// The current certificate.
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

/// The ALPN name of HTTP/2.
pub(crate) const HTTP2: &[u8] = b"h2";

/// Why a certificate and a key cannot be used. The operator's fault, unless it says otherwise.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The text holds no certificate, or one that is damaged.
    Certificate(pem::Error),
    /// The text holds no private key, or one that is damaged or encrypted.
    Key(pem::Error),
    /// Certificate and key do not belong together, or the library cannot use them.
    Pair(rustls::Error),
    /// The cryptographic library failed. Not the operator's fault.
    Library(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate(_) => "there is no certificate in PEM",
            Self::Key(_) => "there is no unencrypted private key in PEM",
            Self::Pair(_) => "certificate and key cannot be used together",
            Self::Library(_) => "the cryptographic library failed",
        })
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Certificate(error) | Self::Key(error) => Some(error),
            Self::Pair(error) | Self::Library(error) => Some(error),
        }
    }
}

fn pair(
    certificates: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::Certificate(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
    CertifiedKey::from_der(chain, key, provider).map(Arc::new).map_err(TlsError::Pair)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn shown(tls: &Tls) -> Arc<CertifiedKey> {
        Arc::clone(&tls.shown.0.read().unwrap())
    }

    #[test]
    fn a_pair_that_does_not_belong_together_is_rejected_and_the_old_one_stays() {
        let ((one, one_key), (two, two_key)) = (made(), made());
        let tls = Tls::new(one.as_bytes(), one_key.as_bytes()).unwrap();
        let before = shown(&tls);
        let refused = tls.replace(two.as_bytes(), one_key.as_bytes());
        assert!(matches!(refused, Err(TlsError::Pair(_))), "{refused:?}");
        assert!(Arc::ptr_eq(&before, &shown(&tls)));
        assert!(!tls.replace(one.as_bytes(), one_key.as_bytes()).unwrap());
        assert!(tls.replace(two.as_bytes(), two_key.as_bytes()).unwrap());
        assert_ne!(before.cert, shown(&tls).cert);
    }

    #[test]
    fn an_invalid_certificate_and_an_invalid_key_are_named() {
        let (certificate, key) = made();
        let error = |certificate: &str, key: &str| {
            Tls::new(certificate.as_bytes(), key.as_bytes()).unwrap_err()
        };
        for text in ["", "nonsense", &key, "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
            assert!(matches!(error(text, &key), TlsError::Certificate(_)), "{text}");
        }
        for text in ["", "nonsense", &certificate] {
            assert!(matches!(error(&certificate, text), TlsError::Key(_)), "{text}");
        }
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(error(garbage, &key), TlsError::Pair(_)));
    }
}
