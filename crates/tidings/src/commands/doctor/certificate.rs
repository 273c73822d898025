//! The certificate of the server that is diagnosed, whether it is trusted or not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerified;
use rustls::pki_types::{CertificateDer, ServerName};
use tidings_client::{Body, HttpTransport, Transport as _};
use tidings_doctor::Certificate;
use tidings_server::CertificateFacts;
use url::Url;

use crate::reviewed::{Judged, Review, Reviewed};
use crate::tls_hint;
use crate::trust::TrustArgs;

/// Looks at the certificate of the server at `url`; `None` without https, and where nobody answers.
///
/// One request without credentials is made, for `/readyz`: a hub says there that it still waits for
/// its first certificate, and no client that checks certificates can read that.
pub(super) async fn look(url: &Url, trust: &TrustArgs) -> Option<Certificate> {
    if url.scheme() != "https" {
        return None;
    }
    let shown = Arc::default();
    let looking = Reviewed { first: trust.verifier().ok()?, review: Looking(Arc::clone(&shown)) };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(looking))
        .with_no_client_auth();
    let asked = readiness(url, HttpTransport::with_tls(config));
    let readiness = tokio::time::timeout(LOOK_TIME_MAX, asked).await.ok().flatten();
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let facts = CertificateFacts::of(&shown.certificate)?;
    Some(Certificate {
        now: Timestamp::now(),
        begins: facts.validity.begins.try_into().ok()?,
        ends: facts.validity.ends.try_into().ok()?,
        is_self_signed: facts.is_self_issued,
        is_awaited: readiness.is_some_and(|text| text.contains("\"no_certificate\"")),
        refused: shown.refused,
    })
}

/// What `/readyz` says, if there is such a thing.
async fn readiness(url: &Url, transport: HttpTransport) -> Option<String> {
    let url = url.join("/readyz").ok()?;
    let request = Request::get(url.as_str()).body(Body::empty()).ok()?;
    let answer = transport.send(request).await.ok()?;
    let body = Limited::new(answer.into_body(), READINESS_BYTES_MAX).collect().await.ok()?;
    Some(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

/// Longest wait for the certificate and the answer.
const LOOK_TIME_MAX: Duration = Duration::from_secs(5);

const READINESS_BYTES_MAX: usize = 4 << 10;

/// Accepts every certificate, and writes down what was shown and what was said of it.
#[derive(Debug)]
struct Looking(Arc<Mutex<Option<Shown>>>);

#[derive(Debug)]
struct Shown {
    certificate: CertificateDer<'static>,
    refused: Option<String>,
}

impl Review for Looking {
    fn review(
        &self,
        judged: Judged,
        certificate: &CertificateDer<'_>,
        _: &ServerName<'_>,
    ) -> Judged {
        let refused = judged
            .err()
            .map(|error| tls_hint::words(&error).map_or_else(|| error.to_string(), str::to_owned));
        let certificate = certificate.clone().into_owned();
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = Some(Shown { certificate, refused });
        Ok(ServerCertVerified::assertion())
    }
}
