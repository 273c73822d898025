//! Errors as Mercure clients see them: a status, a line of text, and for tokens a challenge (RFC
//! 6750 §3) that says which check failed.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use tidings_http::answer;
use tidings_http::quota;
use tidings_http::response_body::Response;

use crate::site::Site;

/// An error as a client sees it.
#[derive(Debug)]
pub(crate) struct ErrorAnswer(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    text: Cow<'static, str>,
    challenge: Option<Challenge>,
    headers: HeaderMap,
}

/// The `error` of a challenge (RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// There was no token: by the standard, this has no error code.
    Missing,
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
}

impl Challenge {
    const fn error(self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::InvalidRequest => Some("invalid_request"),
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
        }
    }
}

impl ErrorAnswer {
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            status,
            text: text.into(),
            challenge: None,
            headers: HeaderMap::new(),
        }))
    }

    /// A 400.
    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// A 503: a retry in a moment may succeed.
    pub(crate) fn unavailable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("10"))
    }

    /// A 429: the client exceeds a limit.
    pub(crate) fn too_many(text: impl Into<Cow<'static, str>>, wait: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, text)
            .with_header(header::RETRY_AFTER, quota::retry_after(wait).into())
    }

    /// An error about a token. The text must not contain any of it.
    pub(crate) fn token(
        status: StatusCode,
        challenge: Challenge,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut refusal = Self::new(status, text);
        refusal.0.challenge = Some(challenge);
        refusal
    }

    /// Adds a header that goes with the status.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The kind of rejection in one word: the error of its challenge, or else its status.
    pub(crate) fn kind(&self) -> &str {
        let error = self.0.challenge.and_then(Challenge::error);
        error.unwrap_or_else(|| self.0.status.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn into_response(self, site: &Site) -> Response {
        let Parts { status, text, challenge, headers } = *self.0;
        let body = match (challenge, status.canonical_reason()) {
            // The words that clients may look for come first.
            (Some(_), Some(reason)) => format!("{reason}: {text}\n"),
            _ => format!("{text}\n"),
        };
        let mut response = answer::whole(status, PLAIN, body);
        response.headers_mut().extend(headers);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge {
            let value = www_authenticate(challenge, &text, site);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

fn www_authenticate(challenge: Challenge, text: &str, site: &Site) -> HeaderValue {
    let metadata = site.metadata_url();
    let full = match challenge.error() {
        None => format!(r#"Bearer resource_metadata="{metadata}""#),
        Some(error) => {
            // Replaces what the text of a challenge cannot contain (RFC 6750 §3).
            let description: String = text
                .chars()
                .map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '\'' })
                .collect();
            format!(
                "Bearer error=\"{error}\", error_description=\"{description}\", \
                 resource_metadata=\"{metadata}\""
            )
        }
    };
    HeaderValue::from_str(&full).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

/// The media type of texts.
pub(crate) const PLAIN: &str = "text/plain; charset=utf-8";
