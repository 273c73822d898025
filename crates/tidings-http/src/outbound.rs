//! How the hub makes requests of its own: for key sets, and to the backends of an operator.
//!
//! The client follows no redirects, uses no proxy of the environment, and trusts the certificates
//! that the system trusts.

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;

use crate::error::BoxError;

/// The `User-Agent` of these requests. Some servers answer 403 to a request without one.
pub(crate) const USER_AGENT: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

/// Connects over `http` and `https`, HTTP/1.1 and HTTP/2. Reads the certificates that the system
/// trusts, so it is made once for each purpose.
///
/// # Errors
///
/// The certificates cannot be read.
pub(crate) fn connector() -> Result<HttpsConnector<HttpConnector>, BoxError> {
    Ok(HttpsConnectorBuilder::new()
        .with_provider_and_platform_verifier(rustls::crypto::aws_lc_rs::default_provider())?
        .https_or_http()
        .enable_all_versions()
        .build())
}
