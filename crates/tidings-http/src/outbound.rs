//! How the hub makes requests of its own: for key sets, and to the backends of an operator.
//!
//! The client follows no redirects, uses no proxy of the environment, and trusts the certificates
//! that the system trusts.

use std::error::Error;

use http::Uri;
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

/// The URL of a server of the operator.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn parse_url(text: &str) -> Result<Uri, &'static str> {
    let parsed = url::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or("the url is not http or https")?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("the url has a user or a password");
    }
    if parsed.fragment().is_some() {
        return Err("the url has a fragment");
    }
    text.parse().map_err(|_| "the url is not ASCII")
}

/// A URL without what may be a secret, for the log and for operators.
pub(crate) fn without_query(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (scheme, rest) = url[..end].split_once("://").unwrap_or(("", &url[..end]));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

/// An error with its causes, which say which step failed.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text
}
