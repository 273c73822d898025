//! Who sends a request with the cookie of a session.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tidings_hub::{Grant, Interest};

use super::cookie::{self, SessionName};
use super::start::{Bearer as SessionBearer, Session, Started};
use super::{Found, Sessions};
use crate::auth::refusal::{forbidden, no_credential, unauthorized};
use crate::auth::token::Bearer;
use crate::auth::who::Who;
use crate::auth::{ApiKey, Auth, Caller, bearer};
use crate::authorize::Asked;
use crate::config::HttpConfig;
use crate::foreign_page::{self, Ambient};
use crate::problem::{Code, Problem};

impl Auth {
    /// The same as [`identify`](Self::identify), and if there is no token, by the cookie of the
    /// session called `name`. A cookie that is good no more counts as none.
    ///
    /// # Errors
    ///
    /// A 401 that says why.
    pub async fn identify_user(
        &self,
        parts: &Parts,
        query_token: Option<&str>,
        name: &SessionName,
        asked: Option<Asked<'_>>,
    ) -> Result<Caller, Problem> {
        let is_vouched = parts.extensions.get::<Arc<Grant>>().is_some();
        if let Some(sessions) = &self.sessions
            && cookie::are_in(&parts.headers)
            && query_token.is_none()
            && !is_vouched
            && bearer(&parts.headers)?.is_none()
        {
            match self.session_caller(sessions.find(&parts.headers, name), sessions) {
                Found::Session(caller) => return Ok(*caller),
                Found::Stale => return self.authorized_or_anonymous(parts, asked, true).await,
                Found::Nothing => {}
            }
        }
        self.identify_or_ask(parts, query_token, asked).await
    }

    /// The sender of a request with the cookie of a session.
    fn session_caller(&self, found: Found, sessions: &Sessions) -> Found<Caller> {
        let value = match found {
            Found::Session(value) => *value,
            Found::Stale => return Found::Stale,
            Found::Nothing => return Found::Nothing,
        };
        let share = match &value.key {
            // A key that is configured no more ends the sessions that were started with it.
            Some(name) => match self.api_keys.iter().find(|key| key.name() == &**name) {
                Some(key) => key.share().cloned(),
                None => return Found::Stale,
            },
            None => {
                let signer = value.signer.and_then(|place| self.jwt_keys.get(place));
                signer.and_then(|key| key.share.clone())
            }
        };
        let counted_as = self.counted.as_ref().map(|hasher| hasher.hash_one(value.id));
        let grant = Arc::new(value.grant);
        let session = sessions.live().join(value.id, value.origin, &grant, self.expiring_before);
        let (key, subject, issuer) = (value.key, value.subject, value.issuer);
        let who = Arc::new(Who { key, subject, issuer, session: Some(session) });
        let caller = self.caller_with(&grant, who, counted_as, share);
        Found::Session(Box::new(Caller { ambient: Some(Ambient::Cookie), ..caller }))
    }

    /// Starts a session with the token in the header of a request, or renews the one that its
    /// cookie names, for `age` at most. Nothing but the header counts as a token here.
    ///
    /// # Errors
    ///
    /// A 401 for a token that is not good, a 403 for a page that may not have a session or for a
    /// user that is kept away, and what else keeps a session from starting.
    pub async fn start_session(
        &self,
        config: &HttpConfig,
        parts: &Parts,
        name: &SessionName,
        age: Option<Duration>,
    ) -> Result<Started, Problem> {
        let sessions = self.sessions()?;
        let token = bearer(&parts.headers)?.ok_or_else(|| {
            let detail = "send `Authorization: Bearer <token>`: nothing else starts a session";
            unauthorized(Code::TokenRequired, detail, None)
        })?;
        let bearer = match ApiKey::find(&self.api_keys, &token) {
            Some(key) => SessionBearer {
                grant: Arc::clone(key.grant()),
                who: Arc::clone(key.who()),
                issued: None,
                signer: None,
            },
            None => {
                let known = self.signed(&token).await?;
                let Bearer { grant, who, issued } = known.says.clone();
                let is_signer = |share| {
                    self.jwt_keys.iter().position(|key| {
                        key.share.as_ref().is_some_and(|other| Arc::ptr_eq(other, share))
                    })
                };
                let signer = known.share.as_ref().and_then(is_signer);
                SessionBearer { grant, who, issued, signer }
            }
        };
        // A program holds its token by itself; a page may have no cookie that it may not send.
        if !foreign_page::is_silent(parts) {
            foreign_page::check_change(config, parts, Ambient::Cookie)?;
        }
        self.check_denied(&bearer.who, parts)?;
        let now = self.session_caller(sessions.find(&parts.headers, name), sessions);
        if let Found::Session(caller) = now {
            self.check_denied(caller.who(), parts)?;
        }
        sessions.start(config, parts, name, age, &bearer)
    }

    /// The session in the cookies of a request, and its bearer.
    pub fn session(&self, parts: &Parts, name: &SessionName) -> Option<(Session, Caller)> {
        let sessions = self.sessions.as_ref()?;
        let session = sessions.session(parts, name)?;
        match self.session_caller(sessions.find(&parts.headers, name), sessions) {
            Found::Session(caller) => Some((session, *caller)),
            Found::Stale | Found::Nothing => None,
        }
    }

    /// The sessions.
    ///
    /// # Errors
    ///
    /// A 404 if there are none.
    pub fn sessions(&self) -> Result<&Sessions, Problem> {
        self.sessions.as_ref().ok_or_else(|| {
            let detail = "this hub has no sessions: it has no keys, or `session` is off";
            Problem::new(Code::NotFound, detail)
        })
    }

    /// Rejects a stream whose session was ended, or covers it no more.
    ///
    /// # Errors
    ///
    /// A 401 or a 403 that says which.
    pub(crate) fn check_session(&self, who: &Who, interest: &Interest) -> Result<(), Problem> {
        let (Some(sessions), Some(session)) = (&self.sessions, &who.session) else { return Ok(()) };
        if sessions.revoked().has(session.id()) {
            return Err(no_credential(true, None));
        }
        if !session.covers(interest, &self.everybody) {
            return Err(forbidden("the session was renewed with a grant that covers less".into()));
        }
        Ok(())
    }
}
