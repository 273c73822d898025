//! Which servers a client command trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls_platform_verifier::Verifier;
use tidings_client::HttpTransport;

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::reviewed::{Judged, Review, Reviewed};
use crate::tls_hint::is_own_authority;

/// How servers are recognised.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct TrustArgs {
    /// Also trust the certificates in FILE (PEM): authorities, or a server's own
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_file: Option<PathBuf>,
}

impl TrustArgs {
    /// A transport that trusts what the system trusts, and the file.
    ///
    /// # Errors
    ///
    /// The file cannot be used.
    pub(crate) fn transport(&self) -> Result<HttpTransport, CliError> {
        Ok(self.tls_config()?.map_or_else(HttpTransport::new, HttpTransport::with_tls))
    }

    /// What decides whether a server is trusted.
    ///
    /// # Errors
    ///
    /// The file cannot be used, or this machine has no authorities.
    pub(crate) fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, CliError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        match self.ca_file.as_deref() {
            Some(file) => Ok(Arc::new(verifier("--ca-file", file, provider)?)),
            None => Ok(Arc::new(Verifier::new(provider).map_err(|error| {
                CliError::new(ExitCode::Usage, "this machine trusts nobody").because(error)
            })?)),
        }
    }

    /// The same as a TLS configuration; `None` if only the system decides.
    ///
    /// # Errors
    ///
    /// The file cannot be used.
    pub(crate) fn tls_config(&self) -> Result<Option<ClientConfig>, CliError> {
        self.ca_file.as_deref().map(|file| trusting("--ca-file", file)).transpose()
    }
}

/// What trusts the system's authorities and those in `file`, which is the value of `setting`.
///
/// # Errors
///
/// The file cannot be used.
pub(crate) fn trusting(setting: &str, file: &Path) -> Result<ClientConfig, CliError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = verifier(setting, file, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| {
        let message = format!("{setting}: {} cannot be used", file.display());
        CliError::new(ExitCode::Usage, message).because(error)
    })?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn verifier(
    setting: &str,
    file: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Reviewed<OwnToo>, CliError> {
    let wrong = |what: &str| {
        let message = format!("{setting}: {} {what}", file.display());
        CliError::new(ExitCode::Usage, message)
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong("cannot be read as PEM").because(error))?;
    if certificates.is_empty() {
        return Err(
            wrong("holds no certificate").hint("it begins with -----BEGIN CERTIFICATE-----")
        );
    }
    let system = Verifier::new_with_extra_roots(certificates.clone(), provider);
    let unusable = |error: rustls::Error| wrong("cannot be used").because(error);
    let system = Arc::new(system.map_err(unusable)?);
    Ok(Reviewed { first: system, review: OwnToo(certificates) })
}

/// Trusts authorities as the system does, and a server whose very certificate is among these: what
/// `openssl req -x509` makes calls itself an authority, which no server's certificate may.
#[derive(Debug)]
struct OwnToo(Vec<CertificateDer<'static>>);

impl Review for OwnToo {
    fn review(
        &self,
        judged: Judged,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Judged {
        match judged {
            // Its dates are checked before this, and its name here.
            Err(error) if is_own_authority(&error) && self.0.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }
}
