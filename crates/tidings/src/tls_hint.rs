//! What to do when a server is not trusted.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// What to do about a failed TLS handshake, if that is among the causes.
pub(crate) fn hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let error = tls_error(error)?;
    Some(match error {
        _ if is_own_authority(error) => {
            "the server signed its certificate itself; trust it with --ca-file FILE"
        }
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::UnknownIssuer => {
                "this machine does not trust the signer of the certificate; if it is your own, \
                 trust it with --ca-file FILE; if the hub orders its certificate by itself, it has \
                 none yet (/readyz says no_certificate) or got it from a staging directory"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name than the one in the URL"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server needs a new certificate, or this machine the right time"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "is the time of this machine right?"
            }
            _ => "the server's certificate is wrong",
        },
        rustls::Error::InvalidMessage(_) => {
            "does the server speak TLS there? without TLS its URL begins with http://"
        }
        rustls::Error::General(_) => {
            "this machine trusts nobody yet: install ca-certificates, or give --ca-file FILE"
        }
        _ => return None,
    })
}

/// The problem in plain words, where those of the TLS library are a programmer's.
pub(crate) fn words(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match tls_error(error)? {
        error if is_own_authority(error) => Some("the server's certificate is signed by itself"),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            Some("the server's certificate is signed by an authority that is unknown here")
        }
        _ => None,
    }
}

/// The TLS error among the causes. An I/O error hides the error inside from `source`.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Whether a server's certificate was rejected for calling itself an authority. The verifier's own
/// error has no public type.
pub(crate) fn is_own_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    other.to_string().contains("CaUsedAsEndEntity")
}
