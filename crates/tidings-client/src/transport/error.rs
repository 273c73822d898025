//! `TransportError`: why an exchange failed.

use std::error::Error;
use std::fmt;

/// Why an exchange of request and answer failed.
#[derive(Debug)]
pub struct TransportError {
    kind: Kind,
    cause: Box<dyn Error + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Exchange,
    Malformed,
}

impl TransportError {
    /// No connection could be made, so nothing of the request has been sent.
    pub fn connect(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: Kind::Connect, cause: cause.into() }
    }

    /// The exchange was cut short. It is not known how much of the request has arrived.
    pub fn exchange(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: Kind::Exchange, cause: cause.into() }
    }

    /// There was an answer whose head cannot be read: it is not HTTP, or has more fields than are
    /// [accepted](crate::limits::ANSWER_FIELDS_MAX). A retry would get the same.
    pub fn malformed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind: Kind::Malformed, cause: cause.into() }
    }

    /// Whether nothing of the request has been sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.kind == Kind::Connect
    }

    /// Whether there was an answer that cannot be read.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.kind == Kind::Malformed
    }

    /// Whether the server is not who it should be, by its certificate. A retry would find the same.
    #[must_use]
    pub fn is_untrusted(&self) -> bool {
        #[cfg(feature = "tls")]
        return certificate_error(&*self.cause);
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Classifies an error by hyper's error, wherever it is among the causes.
    pub(crate) fn sort(is_connect: bool, error: impl Error + Send + Sync + 'static) -> Self {
        if is_connect {
            return Self::connect(error);
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if inner.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
                return Self::malformed(error);
            }
            cause = inner.source();
        }
        Self::exchange(error)
    }
}

#[cfg(feature = "tls")]
fn certificate_error(cause: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(cause);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return matches!(tls, rustls::Error::InvalidCertificate(_));
        }
        // An I/O error hides the error inside from `source`.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Connect => "could not connect",
            Kind::Exchange => "the exchange broke off",
            Kind::Malformed => "the head of the answer cannot be read",
        })
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}
