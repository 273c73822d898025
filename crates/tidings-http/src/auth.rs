//! Authentication: the sender of a request, and what it may do.

mod authorized;
pub mod cache;
pub mod claim;
pub mod invalid_token;
mod key_set;
mod keys;
pub mod link;
pub mod own_link;
mod plain_key;
mod renewal;
pub mod session;
pub mod token;
pub mod who;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use tidings_hub::{Grant, Interest, Matcher, Timestamp, Topic};

use crate::authorize::{Asked, AuthorizeRule, Authorized, Authorizer, Kept};
use crate::client::Client;
use crate::clock;
use crate::config::HttpConfig;
use crate::denials::Denials;
use crate::foreign_page::{self, Ambient};
use crate::key_share::KeyShare;
use crate::limits::STREAM_RENEWALS_PER_S;
use crate::problem::{Code, Problem};
use crate::quota_key::Key;
use crate::rate_limiter::RateLimiter;
use crate::trace::{self, Step};
use cache::TokenCache;
use invalid_token::InvalidToken;
use session::Sessions;
use token::{Bearer, Signed};
use who::Who;

pub use keys::{ApiKey, JwtKey};
pub use link::{Link, LinkKey, LinkRequest};

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

/// The sender of a request, and what it may do.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What its credential grants.
    grant: Arc<Grant>,
    who: Arc<Who>,
    /// What every client may do besides, if that is not everything.
    everybody: Option<Arc<Grant>>,
    is_anonymous: bool,
    /// Whether it has the cookie of a session that is over.
    is_stale: bool,
    /// What a backend says that it may do, if one was asked.
    authorized: Option<Authorized>,
    /// Whether another token can prolong its streams.
    is_renewable: bool,
    /// What its browser added to this request, if a page did not need to hold anything for it.
    ambient: Option<Ambient>,
    token: Option<Key>,
    /// Limits shared by all callers with the same key, if any.
    share: Option<Arc<KeyShare>>,
}

impl Caller {
    /// A caller without a token, which may do what `grant` says.
    pub fn anonymous(grant: Arc<Grant>) -> Self {
        Self {
            grant,
            who: Who::nobody(),
            everybody: None,
            is_anonymous: true,
            is_stale: false,
            authorized: None,
            is_renewable: false,
            ambient: Some(Ambient::Reach),
            token: None,
            share: None,
        }
    }

    /// The key by which the caller's token is counted, if it is.
    pub fn token(&self) -> Option<Key> {
        self.token
    }

    /// Limits shared by all callers with this caller's key, if any.
    pub fn share(&self) -> Option<&Arc<KeyShare>> {
        self.share.as_ref()
    }

    /// What the caller's credential grants.
    pub fn grant(&self) -> &Arc<Grant> {
        &self.grant
    }

    /// The identity behind the caller's credential.
    pub fn who(&self) -> &Arc<Who> {
        &self.who
    }

    /// What the caller may do: by its credential, and as everybody.
    fn grants(&self) -> impl Iterator<Item = &Grant> {
        [Some(&self.grant), self.everybody.as_ref()].into_iter().flatten().map(|grant| &**grant)
    }

    /// Everything that the caller may read.
    pub fn readable(&self) -> Vec<Matcher> {
        self.grants().flat_map(|grant| grant.subscribe.iter().cloned()).collect()
    }

    /// Whether the caller may read everything that `asked` can match.
    pub fn may_subscribe(&self, asked: &Matcher) -> bool {
        self.grants().any(|grant| grant.may_subscribe(asked))
    }

    /// What a caller that may read `wanted` gets. Private events need a grant of its own. Nothing
    /// else of its grant is in it, so that readers of the same topics form one group whatever else
    /// they may read.
    pub fn interest(&self, wanted: Vec<Matcher>) -> Interest {
        let own = wanted.iter().filter(|matcher| self.grant.may_subscribe(matcher));
        let own = own.cloned().collect();
        Interest::new(wanted, own)
    }

    /// When the caller may read `wanted` no more; what everybody may read has no end.
    pub fn ends(&self, wanted: &[Matcher]) -> Option<Timestamp> {
        let is_public = |matcher| {
            self.everybody.as_ref().is_some_and(|everybody| everybody.may_subscribe(matcher))
        };
        self.grant.expires.filter(|_| !wanted.iter().all(is_public))
    }

    /// Whether the caller has a token that expires.
    pub fn expires(&self) -> bool {
        self.grant.expires.is_some()
    }

    /// Whether the caller sent no token, and has its rights only because it can reach the hub.
    pub fn is_anonymous(&self) -> bool {
        self.is_anonymous
    }

    /// Rejects a change by a page that had to hold nothing for it, and any use of a cookie by a
    /// page that may not send it.
    ///
    /// # Errors
    ///
    /// A 403 that says what to set.
    pub fn check_page(&self, config: &HttpConfig, parts: &Parts) -> Result<(), Problem> {
        match self.ambient {
            Some(by) if !parts.method.is_safe() => foreign_page::check_change(config, parts, by)?,
            Some(Ambient::Cookie) => foreign_page::check_read(config, parts)?,
            Some(Ambient::Reach) | None => {}
        }
        match &self.who.session {
            Some(session) => foreign_page::check_session(config, parts, session.origin()),
            None => Ok(()),
        }
    }

    /// The answer to what neither the caller's credential nor everybody's grant covers.
    fn not_granted(&self, what: &str) -> Problem {
        if self.is_anonymous {
            return no_credential(self.is_stale, Some(what));
        }
        if self.authorized.is_some() {
            let detail = format!("the application gives no grant {what}");
            return Problem::new(Code::NotAuthorized, detail);
        }
        forbidden(format!("use a token {what}"))
    }

    /// # Errors
    ///
    /// A 403 that names the topic, or a 401 without a token.
    pub fn check_publish(&self, topic: &Topic) -> Result<(), Problem> {
        if self.grants().any(|grant| grant.may_publish(topic)) {
            return Ok(());
        }
        Err(self.not_granted(&format!("whose `publish` covers the topic {:?}", topic.as_str())))
    }

    /// # Errors
    ///
    /// A 403 that names the matcher, or a 401 without a token.
    pub fn check_subscribe(&self, matcher: &Matcher) -> Result<(), Problem> {
        if self.may_subscribe(matcher) {
            return Ok(());
        }
        let what = format!("whose `subscribe` covers all of {:?}", matcher.to_string());
        Err(self.not_granted(&what))
    }

    /// Whether the caller may read what operators read. What everybody may read does not count.
    ///
    /// # Errors
    ///
    /// A 403, or a 401 without a token.
    pub fn check_look(&self) -> Result<(), Problem> {
        if self.grant.may_look() {
            return Ok(());
        }
        Err(self
            .not_granted("with `operate: [\"look\"]`, or whose `subscribe` covers all of \"**\""))
    }

    /// Whether the caller may close connections, and keep others away.
    pub fn may_kick(&self) -> bool {
        self.grant.operate.kick
    }

    /// The same as a check.
    ///
    /// # Errors
    ///
    /// A 403, or a 401 without a token.
    pub fn check_kick(&self) -> Result<(), Problem> {
        if self.may_kick() {
            return Ok(());
        }
        Err(self.not_granted("with `operate: [\"kick\"]`"))
    }

    /// Whether the caller may read anything at all.
    ///
    /// # Errors
    ///
    /// A 403, or a 401 without a token.
    pub fn check_reads(&self) -> Result<(), Problem> {
        if self.grants().any(|grant| !grant.subscribe.is_empty()) {
            return Ok(());
        }
        Err(self.not_granted("whose `subscribe` covers a topic: this one allows none to be read"))
    }
}

/// The token of an `Authorization` header; the name of the scheme has no case (RFC 9110 §11.1). A
/// header of another scheme is meant for a proxy.
///
/// # Errors
///
/// A 400 if it is there twice. One without a token is no token: it is found to be unknown.
fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut found = None;
    for value in headers.get_all(header::AUTHORIZATION) {
        let value = crate::headers::text(value);
        let (scheme, token) = value.split_once(' ').unwrap_or((&value, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            continue;
        }
        if found.replace(token.trim_matches(' ').to_owned()).is_some() {
            let detail = "there is more than one Authorization header with a token; send one";
            return Err(Problem::new(Code::InvalidCredential, detail));
        }
    }
    Ok(found)
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

/// The answer to a request without a token that needs one; `what` says which. `is_stale` if it has
/// the cookie of a session that is over.
fn no_credential(is_stale: bool, what: Option<&str>) -> Problem {
    let (code, detail) = match is_stale {
        true => (Code::SessionExpired, "start a session again: POST /session with a token"),
        false => (
            Code::TokenRequired,
            "send `Authorization: Bearer <token>`, or `?token=` if headers cannot be set",
        ),
    };
    let mut detail = detail.to_owned();
    if let Some(what) = what {
        detail += &format!("; a token {what}");
    }
    unauthorized(code, detail, None)
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
