//! Challenges of a certificate authority (RFC 8555 §8): how it sees that the names which somebody
//! wants a certificate for lead to this hub.

use std::fmt;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, StatusCode, Uri};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::answer;
use crate::limits::CHALLENGE_TOKEN_BYTES_MAX;
use crate::response_body::Response;

/// The answers to challenges. They may be asked for on every connection, by anybody, and may take
/// their time: they are called where waiting holds nobody up.
pub trait Challenges: fmt::Debug + Send + Sync {
    /// The key authorization for `token` (HTTP-01, RFC 8555 §8.3): letters, digits, `-` and `_`.
    fn key_authorization(&self, token: &str) -> Option<String>;

    /// The certificate that proves a key authorization for `name` (TLS-ALPN-01, RFC 8737).
    fn certificate(&self, name: &str) -> Option<ChallengeCertificate>;
}

/// A certificate for nobody but the authority that asks for it, and its key.
pub type ChallengeCertificate = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// The ALPN name of TLS-ALPN-01.
const PROTOCOL: &[u8] = b"acme-tls/1";

/// The path of HTTP-01, before its token.
const PATH: &str = "/.well-known/acme-challenge/";

/// Whether an authority is at the other end: it offers this one protocol (RFC 8737 §3).
pub(crate) fn is_challenge(hello: &ClientHello<'_>) -> bool {
    let mut offered = hello.alpn().into_iter().flatten();
    offered.next() == Some(PROTOCOL) && offered.next().is_none()
}

/// How to shake hands with the authority that asks about `name`.
pub(crate) async fn handshake(
    challenges: &Arc<dyn Challenges>,
    name: Option<&str>,
) -> Option<Arc<ServerConfig>> {
    let (challenges, name) = (Arc::clone(challenges), name?.to_owned());
    let found = tokio::task::spawn_blocking(move || challenges.certificate(&name));
    config(found.await.ok()??)
}

fn config((certificate, key): ChallengeCertificate) -> Option<Arc<ServerConfig>> {
    let provider = Arc::new(default_provider());
    // Unchecked: the extension with the proof is critical, and the library, which does not know it,
    // would reject the certificate.
    let key = provider.key_provider.load_private_key(key).ok()?;
    let certified = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().ok()?.with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(certified));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Some(Arc::new(config))
}

/// The token, if this asks for the answer to a challenge.
pub(crate) fn token<'a>(method: &Method, uri: &'a Uri) -> Option<&'a str> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    uri.path().strip_prefix(PATH).filter(|_| is_read)
}

/// The answer to a request for `token`.
pub(crate) async fn respond(challenges: Arc<dyn Challenges>, token: String) -> Response {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let lengths = 1..=CHALLENGE_TOKEN_BYTES_MAX;
    let found = if lengths.contains(&token.len()) && token.bytes().all(is_sound) {
        let found = tokio::task::spawn_blocking(move || challenges.key_authorization(&token));
        found.await.ok().flatten()
    } else {
        None
    };
    match found {
        Some(text) => {
            let mut response = answer::whole(StatusCode::OK, "application/octet-stream", text);
            let store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, store);
            response
        }
        None => answer::empty(StatusCode::NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(Debug)]
    struct Any;

    impl Challenges for Any {
        fn key_authorization(&self, token: &str) -> Option<String> {
            Some(format!("{token}.thumb"))
        }

        fn certificate(&self, _: &str) -> Option<ChallengeCertificate> {
            None
        }
    }

    #[tokio::test]
    async fn only_a_sound_token_is_looked_for() {
        let status = async |token: &str| respond(Arc::new(Any), token.to_owned()).await.status();
        assert_eq!(status("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0").await, StatusCode::OK);
        let long = "a".repeat(129);
        for token in ["", "..", "a/b", "a.pem", "%61", "a b", "ä", "a\0", &long] {
            assert_eq!(status(token).await, StatusCode::NOT_FOUND, "{token:?}");
        }
    }

    #[test]
    fn a_certificate_with_the_proof_of_a_challenge_can_be_shown() {
        let mut params = rcgen::CertificateParams::new(["hub.example".to_owned()]).unwrap();
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(&[7; 32])];
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let config = config((certificate, PrivateKeyDer::Pkcs8(key.serialize_der().into())));
        assert_eq!(config.unwrap().alpn_protocols, [b"acme-tls/1"]);
    }

    #[test]
    fn a_token_is_asked_for_by_reading_below_one_path() {
        let asked = |method: Method, path: &'static str| {
            token(&method, &Uri::from_static(path)).map(str::to_owned)
        };
        let path = "/.well-known/acme-challenge/x";
        assert_eq!(asked(Method::GET, path).as_deref(), Some("x"));
        assert_eq!(asked(Method::HEAD, path).as_deref(), Some("x"));
        assert_eq!(asked(Method::POST, path), None);
        assert_eq!(asked(Method::GET, "/.well-known/acme-challenge"), None);
        assert_eq!(asked(Method::GET, "/events/x"), None);
    }
}
