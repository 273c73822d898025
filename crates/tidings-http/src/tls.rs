//! TLS (RFC 8446, RFC 5246): one certificate, which can be replaced while connections are open.
//!
//! A session is resumed with a ticket (RFC 8446 §2.2), so no state is kept for clients that are
//! away, and when all of them come back at once most handshakes need no signature. The keys of
//! tickets change every few hours; only this process has them, unless they are given to it
//! ([`Tls::share_tickets`]).

pub(crate) mod challenges;
mod facts;
mod renewals;
mod ticket_keys;

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
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

pub use challenges::{ChallengeCertificate, Challenges};
pub use facts::{CertificateFacts, IssuedAs, Validity};
pub use renewals::Renewals;
use ticket_keys::Tickets;
pub use ticket_keys::{TicketKeys, TicketKeysError};

/// How connections are encrypted: versions, protocols, and the current certificate. Clones share
/// the certificate.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    tickets: Arc<Tickets>,
    /// Whether the current certificate only stands in for one that has not been issued yet.
    stands_in: Arc<AtomicBool>,
    authority: Option<Authority>,
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
        let tickets = Arc::new(Tickets::new(Ticketer::new().map_err(TlsError::Library)?));
        config.ticketer = Arc::<Tickets>::clone(&tickets);
        config.send_tls13_tickets = 1;
        let stands_in = Arc::default();
        let config = Arc::new(config);
        Ok(Self { config, shown, tickets, stands_in, authority: None, provider })
    }

    /// The same for a hub whose certificates are ordered from an authority while it runs, which
    /// sees from `challenges` that it may issue them. The certificate stands in for the first one,
    /// and the hub is not ready, until [`replace`](Self::replace) is called.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn standing_in(
        certificates: &[u8],
        key: &[u8],
        challenges: Arc<dyn Challenges>,
    ) -> Result<Self, TlsError> {
        let authority = Some(Authority { challenges, renewals: Arc::default() });
        let stands_in = Arc::new(AtomicBool::new(true));
        Ok(Self { authority, stands_in, ..Self::new(certificates, key)? })
    }

    /// Seals the tickets of sessions with these keys from now on, and accepts no others. Called
    /// again when the keys have changed, and once their [grace](crate::limits::TICKET_KEY_GRACE) is
    /// over.
    pub fn share_tickets(&self, keys: &TicketKeys, now: SystemTime) {
        self.tickets.share(keys, now);
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
        self.stands_in.store(false, Ordering::Release);
        Ok(is_another)
    }

    /// Whether there is a certificate, and not only one that stands in for it.
    pub fn has_certificate(&self) -> bool {
        !self.stands_in.load(Ordering::Acquire)
    }

    /// When the current certificate is valid, not those above it in its chain. `None` if that could
    /// not be read, and for one that stands in.
    pub fn validity(&self) -> Option<Validity> {
        self.shown().cert.first().and_then(facts::validity).filter(|_| self.has_certificate())
    }

    /// By what its authority knows the current certificate, if it says so.
    pub fn issued_as(&self) -> Option<IssuedAs> {
        self.shown().cert.first().and_then(facts::issued_as)
    }

    /// Counts of the certificates that were ordered, if they are.
    pub fn renewals(&self) -> Option<&Arc<Renewals>> {
        self.authority.as_ref().map(|authority| &authority.renewals)
    }

    pub(crate) fn challenges(&self) -> Option<&Arc<dyn Challenges>> {
        self.authority.as_ref().map(|authority| &authority.challenges)
    }

    fn shown(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.shown.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the current certificate is valid for `host`, a name or an address.
    pub fn covers(&self, host: &str) -> bool {
        let Ok(name) = ServerName::try_from(host) else { return false };
        let shown = self.shown();
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

/// The way to the authority that issues certificates.
#[derive(Clone)]
struct Authority {
    challenges: Arc<dyn Challenges>,
    renewals: Arc<Renewals>,
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

    #[test]
    fn a_pair_that_does_not_belong_together_is_rejected_and_the_old_one_stays() {
        let ((one, one_key), (two, two_key)) = (made(), made());
        let tls = Tls::new(one.as_bytes(), one_key.as_bytes()).unwrap();
        let before = tls.shown();
        let refused = tls.replace(two.as_bytes(), one_key.as_bytes());
        assert!(matches!(refused, Err(TlsError::Pair(_))), "{refused:?}");
        assert!(Arc::ptr_eq(&before, &tls.shown()));
        assert!(!tls.replace(one.as_bytes(), one_key.as_bytes()).unwrap());
        assert!(tls.replace(two.as_bytes(), two_key.as_bytes()).unwrap());
        assert_ne!(before.cert, tls.shown().cert);
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
