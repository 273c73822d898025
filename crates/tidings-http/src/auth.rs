//! Authentication: the sender of a request, and what it may do.

mod authorized;
mod bearer;
pub mod cache;
mod caller;
pub mod claim;
pub mod invalid_token;
mod key_set;
mod keys;
pub mod link;
pub mod own_link;
mod plain_key;
mod refusal;
mod renewal;
pub mod session;
pub mod token;
pub mod who;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use http::header;
use http::request::Parts;
use tidings_hub::Grant;

use crate::authorize::{Asked, AuthorizeRule, Authorizer, Kept};
use crate::client::Client;
use crate::clock;
use crate::config::HttpConfig;
use crate::denials::Denials;
use crate::foreign_page::Ambient;
use crate::key_share::KeyShare;
use crate::limits::STREAM_RENEWALS_PER_S;
use crate::problem::{Code, Problem};
use crate::quota_key::Key;
use crate::rate_limiter::RateLimiter;
use crate::trace::{self, Step};
use bearer::bearer;
use cache::TokenCache;
use invalid_token::InvalidToken;
use refusal::{invalid, no_credential};
use session::Sessions;
use token::{Bearer, Signed};
use who::Who;

pub use caller::Caller;
pub use keys::{ApiKey, JwtKey};
pub use link::{Link, LinkKey, LinkRequest};
pub use refusal::forbidden;

/// All keys, and the grant of requests without a token.
#[derive(Debug)]
pub struct Auth {
    api_keys: Vec<ApiKey>,
    jwt_keys: Vec<JwtKey>,
    known: TokenCache<Signed<Bearer>>,
    denials: Denials,
    /// `None` if there are none.
    sessions: Option<Sessions>,
    /// Hashes tokens to count them; present if limits apply per token.
    counted: Option<RandomState>,
    /// Those of the configuration, and those of the hub itself.
    link_keys: Vec<LinkKey>,
    link_age_max: Duration,
    /// Backends to ask, if there are any.
    authorizer: Option<Arc<Authorizer>>,
    kept: Arc<Kept>,
    retry_refused: Duration,
    has_keys: bool,
    leeway: Duration,
    expiring_before: Duration,
    renewals: RateLimiter,
    /// Whether every client may do everything.
    is_open: bool,
    /// What every client may do, beside what its credential grants.
    everybody: Arc<Grant>,
}

impl Auth {
    /// Authenticates with the keys of `config`. If that bounds tokens, each caller has a key by
    /// which its token is counted.
    pub(crate) fn new(config: &HttpConfig, is_open: bool) -> Self {
        token::install_cryptography();
        let everybody = if is_open {
            Grant::everything()
        } else {
            Grant {
                publish: config.anonymous_publish.clone(),
                subscribe: config.anonymous_subscribe.clone(),
                ..Grant::nothing()
            }
        };
        let sessions = config.sessions.clone().filter(|_| config.has_keys());
        let own_link_keys = sessions.iter().flat_map(own_link::keys);
        Self {
            link_keys: config.link_keys.iter().cloned().chain(own_link_keys).collect(),
            api_keys: config.api_keys.clone(),
            jwt_keys: config.jwt_keys.clone(),
            known: TokenCache::default(),
            denials: config.denials.clone(),
            sessions,
            counted: config.counts_tokens().then(RandomState::new),
            link_age_max: config.link_age_max,
            authorizer: Authorizer::new(&config.authorize),
            kept: Arc::default(),
            retry_refused: config.retry_refused,
            has_keys: config.has_keys(),
            leeway: config.leeway,
            expiring_before: config.expiring_before,
            renewals: RateLimiter::new(STREAM_RENEWALS_PER_S),
            is_open,
            everybody: Arc::new(everybody),
        }
    }

    /// What every client may do, beside what its credential grants.
    pub fn everybody(&self) -> &Arc<Grant> {
        &self.everybody
    }

    /// Whether every client may do everything.
    pub fn is_open(&self) -> bool {
        self.is_open
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
        self.identify_or_ask(parts, query_token, None)
    }

    /// The same, else by what a backend says of it: `asked` is what the request wants, if a backend
    /// may be asked about that.
    ///
    /// # Errors
    ///
    /// The same; a 403 if a backend says no, and a 503 if it says nothing.
    pub fn identify_or_ask(
        &self,
        parts: &Parts,
        query_token: Option<&str>,
        asked: Option<Asked<'_>>,
    ) -> impl Future<Output = Result<Caller, Problem>> + Send {
        trace::step(Step::Authenticate, self.caller(parts, query_token, asked))
    }

    async fn caller(
        &self,
        parts: &Parts,
        query_token: Option<&str>,
        asked: Option<Asked<'_>>,
    ) -> Result<Caller, Problem> {
        if let Some(grant) = parts.extensions.get::<Arc<Grant>>() {
            let vouched = self.caller_with(grant, Who::nobody(), None, None);
            return Ok(Caller { ambient: Some(Ambient::Reach), ..vouched });
        }
        let header = if self.has_keys { bearer(&parts.headers)? } else { None };
        let token = header.as_deref().or(query_token).filter(|_| self.has_keys);
        let Some(token) = token else {
            return self.authorized_or_anonymous(parts, asked, false).await;
        };
        let counted_as = self.token_key(token);
        if let Some(key) = ApiKey::find(&self.api_keys, token) {
            let share = key.share().cloned();
            return Ok(self.caller_with(key.grant(), Arc::clone(key.who()), counted_as, share));
        }
        let known = match self.signed(token).await {
            Ok(known) => known,
            Err(problem) => {
                // A token that is not the hub's own may be one that a backend knows.
                let forwards =
                    |rule: &AuthorizeRule| rule.forward().contains(&header::AUTHORIZATION);
                let authorized = match header {
                    Some(_) => self.authorized(parts, asked, forwards).await?,
                    None => None,
                };
                return authorized.ok_or(problem);
            }
        };
        let Bearer { grant, who, .. } = &known.says;
        let caller = self.caller_with(grant, Arc::clone(who), counted_as, known.share.clone());
        Ok(Caller { is_renewable: true, ..caller })
    }

    /// What a JSON Web Token says, if it is good.
    async fn signed(&self, token: &str) -> Result<Arc<Signed<Bearer>>, Problem> {
        if let Some(known) = self.known.get(token, clock::now()) {
            return Ok(known);
        }
        let mut verified = token::verify(token, &self.jwt_keys, self.leeway);
        if matches!(verified, Err(InvalidToken::KeyUnknown))
            && Box::pin(JwtKey::refresh(&self.jwt_keys)).await
        {
            verified = token::verify(token, &self.jwt_keys, self.leeway);
        }
        let known = Arc::new(verified.map_err(|error| invalid(&error))?);
        self.known.keep(token, &known, cache::until(known.says.grant.expires));
        Ok(known)
    }

    /// Identifies the sender of a request with a signed link. An `Authorization: Bearer` comes
    /// first.
    ///
    /// # Errors
    ///
    /// A 401 that says why.
    pub async fn identify_link(
        &self,
        parts: &Parts,
        link: &LinkRequest<'_>,
    ) -> Result<Caller, Problem> {
        if !self.has_keys || bearer(&parts.headers)?.is_some() {
            return self.identify(parts, None).await;
        }
        let granted = LinkKey::verify(&self.link_keys, link).map_err(link::refused)?;
        let expires = granted.ends(clock::now(), self.leeway, self.link_age_max);
        let expires = Some(expires.map_err(link::refused)?);
        let grant = Grant { subscribe: granted.topics, expires, ..Grant::nothing() };
        let subject = Some(link.subject).filter(|subject| !subject.is_empty()).map(Into::into);
        let who = Arc::new(Who { subject, ..Who::default() });
        Ok(self.caller_with(&Arc::new(grant), who, self.token_key(link.signature), None))
    }

    /// The sender of a request without a credential; `is_stale` if it has the cookie of a session
    /// that is over.
    fn anonymous(&self, is_stale: bool) -> Result<Caller, Problem> {
        if self.is_open {
            return Ok(Caller::anonymous(Arc::clone(&self.everybody)));
        }
        if self.everybody.publish.is_empty() && self.everybody.subscribe.is_empty() {
            return Err(no_credential(is_stale, None));
        }
        let everybody = Some(Arc::clone(&self.everybody));
        Ok(Caller { everybody, is_stale, ..Caller::anonymous(Arc::new(Grant::nothing())) })
    }

    /// The sender of a request with a good credential, which grants `grant`.
    fn caller_with(
        &self,
        grant: &Arc<Grant>,
        who: Arc<Who>,
        token: Option<Key>,
        share: Option<Arc<KeyShare>>,
    ) -> Caller {
        let everybody = Some(Arc::clone(&self.everybody));
        // Where everybody may do everything, a credential takes nothing away.
        let grant = Arc::clone(if self.is_open { &self.everybody } else { grant });
        Caller {
            grant,
            who,
            everybody,
            is_anonymous: false,
            is_stale: false,
            authorized: None,
            is_renewable: false,
            ambient: None,
            token,
            share,
        }
    }

    /// Rejects what an operator keeps away.
    ///
    /// # Errors
    ///
    /// A 403 that says for how long.
    pub fn check_denied(&self, who: &Who, parts: &Parts) -> Result<(), Problem> {
        let address = Client::of(parts).map(|client| client.address);
        let Some(until) = self.denials.until(who, address) else { return Ok(()) };
        let left_ms = until.as_millis().saturating_sub(clock::now().as_millis());
        let seconds = left_ms.div_ceil(1000).max(1);
        let detail = format!("an operator keeps this user or address away for {seconds} s more");
        Err(Problem::new(Code::Denied, detail).with_header(header::RETRY_AFTER, seconds.into()))
    }

    /// The key by which a token is counted, if limits apply per token.
    pub fn token_key(&self, token: &str) -> Option<Key> {
        self.counted.as_ref().map(|hasher| hasher.hash_one(token))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn auth() -> Auth {
        let key = ApiKey::new("k", "0123456789abcdef", &["a/*"], &["**"]).unwrap();
        Auth::new(&HttpConfig { api_keys: vec![key], ..HttpConfig::default() }, false)
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
        let open = Auth::new(&HttpConfig::default(), true);
        assert!(identify(&open, &parts(), None).unwrap().is_anonymous());
    }
}
