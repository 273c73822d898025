//! Why a source could not be opened, why one ended for good, and what was wrong with an answer.

use std::error::Error;
use std::fmt;

use http::header::InvalidHeaderValue;
use http::uri::InvalidUri;
use http::{HeaderMap, StatusCode};

use crate::limits::REDIRECTS_MAX;
use crate::response::content_coding;
use crate::{Cause, TransportError};

/// Why an event source could not be opened: a value given by the caller is invalid.
///
/// Network errors come later, as a [`ReadError`], or are retried.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL cannot be requested.
    Url(InvalidUrl),
    /// A header has an invalid name.
    HeaderName(http::header::InvalidHeaderName),
    /// A header has a value that cannot be sent.
    HeaderValue(InvalidHeaderValue),
    /// A given `Last-Event-ID` header is invalid because it is not UTF-8.
    LastEventId,
    /// The store of the last event id could not be read.
    LastIdStore(std::io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(_) => "the url cannot be requested",
            Self::HeaderName(_) => "a header has an invalid name",
            Self::HeaderValue(_) => "a header has a value that cannot be sent",
            Self::LastEventId => "the header Last-Event-ID is not UTF-8",
            Self::LastIdStore(_) => "the last event id could not be loaded",
        })
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Url(cause) => Some(cause),
            Self::HeaderName(cause) => Some(cause),
            Self::HeaderValue(cause) => Some(cause),
            Self::LastEventId => None,
            Self::LastIdStore(cause) => Some(cause),
        }
    }
}

impl From<InvalidUrl> for OpenError {
    fn from(cause: InvalidUrl) -> Self {
        Self::Url(cause)
    }
}

/// Why a URL cannot be requested.
#[derive(Debug)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// It is not an absolute URL (URL Standard §4.4).
    Syntax(url::ParseError),
    /// It is a URL, but neither `http` nor `https`.
    Scheme,
    /// It is a URL that does not fit a request line.
    RequestLine(InvalidUri),
}

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax(_) => "not an absolute url",
            Self::Scheme => "neither http nor https",
            Self::RequestLine(_) => "does not fit a request line",
        })
    }
}

impl Error for InvalidUrl {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Syntax(cause) => Some(cause),
            Self::Scheme => None,
            Self::RequestLine(cause) => Some(cause),
        }
    }
}

/// Why an event source ended for good. It is the last thing its stream yields.
///
/// A source that may reconnect ends only where the standard fails the connection (HTML §9.2.3); the
/// other variants occur in one-shot mode, or when the retry policy gives up.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The server answered with a status other than 200. 204 asks the client not to reconnect.
    Status(Box<Refusal>),
    /// The server answered 200, but not with an event stream: it has another `Content-Type` or
    /// none, or the body is compressed although the request did not allow that.
    NotAnEventStream(Box<Refusal>),
    /// The server redirected to a place that cannot be requested.
    Redirect {
        /// What is wrong with the redirect.
        problem: RedirectProblem,
        /// The answer that redirects.
        refusal: Box<Refusal>,
    },
    /// There was an answer whose head cannot be read: it is not HTTP, or has more fields than are
    /// [accepted](crate::limits::ANSWER_FIELDS_MAX).
    Malformed(TransportError),
    /// The retry policy gave up.
    GaveUp {
        /// Number of retries in a row that failed.
        retries: u32,
        /// How the last attempt ended.
        cause: Cause,
    },
    /// In one-shot mode: the cause that ended the only attempt.
    Broken(Cause),
}

impl ReadError {
    /// The answer that ended the source, if an answer did.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Status(refusal)
            | Self::NotAnEventStream(refusal)
            | Self::Redirect { refusal, .. } => Some(refusal),
            Self::Malformed(_) | Self::GaveUp { .. } | Self::Broken(_) => None,
        }
    }

    pub(crate) fn refusal_mut(&mut self) -> Option<&mut Refusal> {
        match self {
            Self::Status(refusal)
            | Self::NotAnEventStream(refusal)
            | Self::Redirect { refusal, .. } => Some(refusal),
            Self::Malformed(_) | Self::GaveUp { .. } | Self::Broken(_) => None,
        }
    }

    /// The status of that answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::GaveUp { cause, .. } | Self::Broken(cause) => cause.status(),
            _ => self.refusal().map(|refusal| refusal.status),
        }
    }

    /// Whether the server ended the source on purpose, with 204 (HTML §9.2.5): not a failure.
    #[must_use]
    pub fn is_no_content(&self) -> bool {
        matches!(self, Self::Status(refusal) if refusal.status == StatusCode::NO_CONTENT)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(_) if self.is_no_content() => {
                f.write_str("the server ended the stream (204)")
            }
            Self::Status(refusal) => write!(f, "the server answered {}", refusal.status),
            Self::NotAnEventStream(refusal) => {
                if let Some(coding) = content_coding(&refusal.headers) {
                    return write!(
                        f,
                        "the answer is compressed, which was not asked for (Content-Encoding: \
                         {coding})"
                    );
                }
                f.write_str("the answer is not an event stream")?;
                match refusal.headers.get(http::header::CONTENT_TYPE) {
                    Some(found) => write!(f, " but {found:?}"),
                    None => f.write_str(": it has no content type"),
                }
            }
            Self::Redirect { .. } => f.write_str("the server redirected to nowhere"),
            Self::Malformed(_) => f.write_str("the answer cannot be read"),
            Self::GaveUp { retries: 0, .. } => f.write_str("could not connect, and may not retry"),
            Self::GaveUp { retries, .. } => write!(f, "gave up after {retries} retries"),
            Self::Broken(_) => f.write_str("the stream was cut short"),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Redirect { problem, .. } => Some(problem),
            Self::Malformed(error) => Some(error),
            Self::GaveUp { cause, .. } | Self::Broken(cause) => Some(cause),
            Self::Status(_) | Self::NotAnEventStream(_) => None,
        }
    }
}

/// An answer that is not an event stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refusal {
    /// The URL that answered, after redirects.
    pub url: String,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body: at most
    /// [`REFUSAL_BODY_BYTES_MAX`](crate::limits::REFUSAL_BODY_BYTES_MAX) bytes.
    pub body: Vec<u8>,
    /// Whether `body` is incomplete because the body was too long, too slow, or cut short.
    pub body_is_cut: bool,
}

/// What is wrong with a redirect.
#[derive(Debug)]
#[non_exhaustive]
pub enum RedirectProblem {
    /// It has no `Location`, or an empty one.
    NoLocation,
    /// Its `Location` is not text.
    NotText,
    /// Its `Location` cannot be requested.
    Location(InvalidUrl),
    /// There were too many redirects: see [`REDIRECTS_MAX`].
    TooMany,
}

impl fmt::Display for RedirectProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLocation => f.write_str("the redirect names no location"),
            Self::NotText => f.write_str("the location of the redirect is not text"),
            Self::Location(_) => f.write_str("the location of the redirect cannot be requested"),
            Self::TooMany => write!(f, "more than {REDIRECTS_MAX} redirects"),
        }
    }
}

impl Error for RedirectProblem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Location(cause) => Some(cause),
            Self::NoLocation | Self::NotText | Self::TooMany => None,
        }
    }
}

impl From<TransportError> for Cause {
    fn from(error: TransportError) -> Self {
        Self::Network(error)
    }
}
