//! A verdict on a server's certificate, with a second look at it.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// Whether a server is trusted by its certificate.
pub(crate) type Judged = Result<ServerCertVerified, rustls::Error>;

/// The second look.
pub(crate) trait Review: fmt::Debug + Send + Sync {
    /// What becomes of the verdict on the `certificate` of the server `name`.
    fn review(
        &self,
        judged: Judged,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Judged;
}

/// Has `first` judge a certificate, and lets `review` have the last word. Signatures are checked by
/// `first` alone.
#[derive(Debug)]
pub(crate) struct Reviewed<R> {
    pub(crate) first: Arc<dyn ServerCertVerifier>,
    pub(crate) review: R,
}

impl<R: Review> ServerCertVerifier for Reviewed<R> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Judged {
        let judged = self.first.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        self.review.review(judged, end_entity, server_name)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.first.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.first.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first.supported_verify_schemes()
    }
}
