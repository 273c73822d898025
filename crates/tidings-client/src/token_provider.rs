//! `TokenProvider`: tokens that end, and others in their place.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::Attempt;
use crate::given_headers::replace_headers;
use crate::hook::{Hook, HookFuture};

/// Why a source needs a token, as passed to a
/// [token provider](crate::EventSourceBuilder::token_provider).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TokenNeed {
    /// An attempt to connect is about to be made. If its `refused` is 401, the last token was not
    /// accepted.
    Attempt(Attempt),
    /// The token of the running connection is about to expire.
    Renewal {
        /// Time until it expires.
        left: Duration,
    },
}

/// The caller's function, called whenever a token is needed.
pub(crate) type TokenProvider = Box<dyn FnMut(TokenNeed) -> TokenFuture + Send>;
pub(crate) type TokenFuture =
    Pin<Box<dyn Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send>>;

/// The headers for an attempt: the provider's token, and what the hook returns; `None` if there is
/// neither.
pub(crate) fn prepare(
    provider: Option<&mut TokenProvider>,
    hook: Option<&mut Hook>,
    attempt: Attempt,
) -> Option<HookFuture> {
    let Some(provider) = provider else {
        return hook.map(|hook| hook(attempt));
    };
    let token = provider(TokenNeed::Attempt(attempt.clone()));
    let hook = hook.map(|hook| hook(attempt));
    Some(Box::pin(async move {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer(&token.await?)?);
        if let Some(hook) = hook {
            replace_headers(&mut headers, hook.await?);
        }
        Ok(headers)
    }))
}

/// `Authorization: Bearer` with a token (RFC 6750 §2.1).
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}
