//! Authentication: the sender of a request, and what it may do.

pub mod cache;
mod key_set;
mod keys;
mod plain_key;
pub mod token;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use tidings_hub::{Grant, Matcher, Topic};

use crate::clock;
use crate::key_share::KeyShare;
use crate::problem::{Code, Problem};
use crate::quota_key::Key;
use crate::trace::{self, Step};
use cache::TokenCache;
use token::{InvalidToken, Signed};

pub use keys::{ApiKey, JwtKey};

/// All keys, and the grant of requests without a token.
#[derive(Debug)]
pub struct Auth {
    api_keys: Vec<ApiKey>,
    jwt_keys: Vec<JwtKey>,
    known: TokenCache<Signed<Arc<Grant>>>,
    /// Hashes tokens to count them; present if limits apply per token.
    counted: Option<RandomState>,
    /// Grant of requests without a token; `None` grants nothing.
    anonymous: Option<Arc<Grant>>,
}

impl Auth {
    /// Authenticates with these keys; requests without a token have the grant `anonymous`. If
    /// `counts_tokens` is set, each caller has a key by which its token is counted.
    pub(crate) fn new(
        api_keys: Vec<ApiKey>,
        jwt_keys: Vec<JwtKey>,
        anonymous: Option<Arc<Grant>>,
        counts_tokens: bool,
    ) -> Self {
        token::install_cryptography();
        Self {
            api_keys,
            jwt_keys,
            known: TokenCache::default(),
            counted: counts_tokens.then(RandomState::new),
            anonymous,
        }
    }

    /// Grant of requests without a token.
    pub fn anonymous(&self) -> Option<&Arc<Grant>> {
        self.anonymous.as_ref()
    }

    /// The API key that equals `token`, if there is one.
    pub fn api_key(&self, token: &str) -> Option<&ApiKey> {
        ApiKey::find(&self.api_keys, token)
    }

    /// Identifies the sender of a request: by the grant that an application has put into its
    /// extensions, else by its `Authorization: Bearer` (RFC 6750 §2.1), else by the token in its
    /// query, because `EventSource` cannot set headers.
    ///
    /// # Errors
    ///
    /// A 401 that says why.
    pub fn identify(
        &self,
        parts: &Parts,
        query_token: Option<&str>,
    ) -> impl Future<Output = Result<Caller, Problem>> + Send {
        trace::step(Step::Authenticate, self.caller(parts, query_token))
    }

    async fn caller(&self, parts: &Parts, query_token: Option<&str>) -> Result<Caller, Problem> {
        if let Some(grant) = parts.extensions.get::<Arc<Grant>>() {
            return Ok(Caller::new(Arc::clone(grant), None, None));
        }
        let keyless = self.api_keys.is_empty() && self.jwt_keys.is_empty();
        let header = bearer(&parts.headers);
        let token = header.as_deref().or(query_token).filter(|_| !keyless);
        let Some(token) = token else {
            return self.anonymous.clone().map(Caller::anonymous).ok_or_else(|| {
                unauthorized(
                    Code::TokenRequired,
                    "send `Authorization: Bearer <token>`, or `?token=` if headers cannot be set",
                    None,
                )
            });
        };
        let counted_as = self.token_key(token);
        if let Some(key) = ApiKey::find(&self.api_keys, token) {
            let share = key.share().cloned();
            return Ok(Caller::new(Arc::clone(key.grant()), counted_as, share));
        }
        if let Some(known) = self.known.get(token, clock::now()) {
            let share = known.share.clone();
            return Ok(Caller::new(Arc::clone(&known.says), counted_as, share));
        }
        let mut verified = token::verify(token, &self.jwt_keys);
        if matches!(verified, Err(InvalidToken::KeyUnknown))
            && JwtKey::refresh(&self.jwt_keys).await
        {
            verified = token::verify(token, &self.jwt_keys);
        }
        let Signed { says, share } = verified.map_err(|error| invalid(&error))?;
        let grant = Arc::new(says);
        let known = Arc::new(Signed { says: Arc::clone(&grant), share: share.clone() });
        self.known.keep(token, &known, cache::until(grant.expires));
        Ok(Caller::new(grant, counted_as, share))
    }

    /// The key by which a token is counted, if limits apply per token.
    pub fn token_key(&self, token: &str) -> Option<Key> {
        self.counted.as_ref().map(|hasher| hasher.hash_one(token))
    }
}

/// The sender of a request, and what it may do.
#[derive(Clone, Debug)]
pub struct Caller {
    grant: Arc<Grant>,
    anonymous: bool,
    token: Option<Key>,
    /// Limits shared by all callers with the same key, if any.
    share: Option<Arc<KeyShare>>,
}

impl Caller {
    fn new(grant: Arc<Grant>, token: Option<Key>, share: Option<Arc<KeyShare>>) -> Self {
        Self { grant, anonymous: false, token, share }
    }

    /// A caller without a token, which may do what `grant` says.
    pub fn anonymous(grant: Arc<Grant>) -> Self {
        Self { grant, anonymous: true, token: None, share: None }
    }

    /// The key by which the caller's token is counted, if it is.
    pub fn token(&self) -> Option<Key> {
        self.token
    }

    /// Limits shared by all callers with this caller's key, if any.
    pub fn share(&self) -> Option<&Arc<KeyShare>> {
        self.share.as_ref()
    }

    /// What the caller may do.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Waits until the caller's token expires (forever if it does not), then returns the 401 that
    /// says so.
    pub async fn expired(&self) -> Problem {
        let Some(end) = self.grant.expires else { return std::future::pending().await };
        clock::reached(end).await;
        invalid(&InvalidToken::Expired)
    }

    /// Whether the caller sent no token, and has its rights only because it can reach the hub.
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// # Errors
    ///
    /// A 403 that names the topic.
    pub fn check_publish(&self, topic: &Topic) -> Result<(), Problem> {
        if self.grant.may_publish(topic) {
            return Ok(());
        }
        Err(forbidden(format!("use a token whose `publish` covers the topic {:?}", topic.as_str())))
    }

    /// # Errors
    ///
    /// A 403 that names the matcher.
    pub fn check_subscribe(&self, matcher: &Matcher) -> Result<(), Problem> {
        if self.grant.may_subscribe(matcher) {
            return Ok(());
        }
        Err(forbidden(format!(
            "use a token whose `subscribe` covers all of {:?}",
            matcher.to_string()
        )))
    }
}

/// The token of an `Authorization` header; the name of the scheme has no case (RFC 9110 §11.1).
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = crate::headers::first(headers, header::AUTHORIZATION)?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' ').to_owned())
}

/// A 403 for a caller whose grant does not cover its request.
pub fn forbidden(detail: String) -> Problem {
    let challenge =
        HeaderValue::from_static(r#"Bearer realm="tidings", error="insufficient_scope""#);
    Problem::new(Code::NotGranted, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

fn invalid(error: &InvalidToken) -> Problem {
    let reason = error.to_string();
    let challenge =
        format!(r#"Bearer realm="tidings", error="invalid_token", error_description="{reason}""#);
    unauthorized(
        Code::TokenInvalid,
        format!("{reason}; get a new token"),
        HeaderValue::from_str(&challenge).ok(),
    )
}

fn unauthorized(
    code: Code,
    detail: impl Into<std::borrow::Cow<'static, str>>,
    challenge: Option<HeaderValue>,
) -> Problem {
    let challenge =
        challenge.unwrap_or_else(|| HeaderValue::from_static(r#"Bearer realm="tidings""#));
    Problem::new(code, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn auth() -> Auth {
        let key = ApiKey::new("k", "0123456789abcdef", &["a/*"], &["**"]).unwrap();
        Auth::new(vec![key], Vec::new(), None, false)
    }

    fn parts() -> Parts {
        http::Request::new(()).into_parts().0
    }

    fn with(authorization: &str) -> Parts {
        let mut parts = parts();
        parts.headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        parts
    }

    /// Keys that are loaded need no waiting.
    fn identify(auth: &Auth, parts: &Parts, query_token: Option<&str>) -> Result<Caller, Problem> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(auth.identify(parts, query_token)).poll(&mut context) {
            std::task::Poll::Ready(identified) => identified,
            std::task::Poll::Pending => panic!("it waits"),
        }
    }

    #[test]
    fn a_key_is_taken_from_the_header_in_any_case_or_from_the_query() {
        let auth = auth();
        for value in ["Bearer 0123456789abcdef", "bearer  0123456789abcdef "] {
            assert!(identify(&auth, &with(value), None).is_ok(), "{value}");
        }
        assert!(identify(&auth, &parts(), Some("0123456789abcdef")).is_ok());
    }

    #[test]
    fn the_header_wins_over_the_query() {
        let refused = identify(&auth(), &with("Bearer wrong"), Some("0123456789abcdef"));
        assert_eq!(refused.unwrap_err().code(), Code::TokenInvalid);
    }

    #[test]
    fn without_a_token_there_is_no_access_once_there_are_keys() {
        let refused = identify(&auth(), &parts(), None);
        assert_eq!(refused.unwrap_err().code(), Code::TokenRequired);
        let open = Auth::new(Vec::new(), Vec::new(), Some(Arc::new(Grant::everything())), false);
        assert!(identify(&open, &parts(), None).unwrap().is_anonymous());
    }
}
