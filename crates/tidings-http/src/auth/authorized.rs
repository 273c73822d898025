//! Callers whose rights come from a backend.

use std::hash::BuildHasher;
use std::sync::Arc;

use http::header;
use http::request::Parts;
use tidings_engine::{ConnectionId, Engine, Term};
use tidings_hub::Interest;

use super::{Auth, Caller};
use crate::authorize::{Action, Asked, AuthorizeRule, Authorized, Outcome, RuleCounts};
use crate::clock;
use crate::problem::{Code, Problem};

impl Auth {
    /// The rules by which backends are asked, each with what became of the requests it is about,
    /// and whether its backend fails.
    pub fn authorize_rules(&self) -> impl Iterator<Item = (&AuthorizeRule, &RuleCounts, bool)> {
        self.authorizer.iter().flat_map(|authorizer| authorizer.rules())
    }

    /// Keeps a stream running for as long as a backend says that its reader may read. Returns what
    /// the stream holds, and how long it may run.
    pub(crate) fn keep(
        &self,
        engine: &Engine,
        authorized: Option<&Authorized>,
        id: ConnectionId,
        interest: &Interest,
    ) -> Option<(impl Send + use<>, Arc<dyn Term>)> {
        let (authorizer, authorized) = (self.authorizer.as_ref()?, authorized?.clone());
        let (everybody, interest) = (&self.everybody, interest.clone());
        Some(self.kept.keep(authorizer, engine, everybody, authorized, id, interest))
    }

    /// The sender of a request about which a backend is asked; `None` if none is.
    ///
    /// # Errors
    ///
    /// A 403 if it says no, and a 503 if it says nothing.
    pub async fn ask(&self, parts: &Parts, asked: Asked<'_>) -> Result<Option<Caller>, Problem> {
        self.authorized(parts, Some(asked), |_| true).await
    }

    /// The sender of a request without a credential of the hub's: the one that a backend names, if
    /// one is asked, else nobody in particular. `is_stale` if the request has the cookie of a
    /// session that is over.
    pub(super) async fn authorized_or_anonymous(
        &self,
        parts: &Parts,
        asked: Option<Asked<'_>>,
        is_stale: bool,
    ) -> Result<Caller, Problem> {
        match self.authorized(parts, asked, |_| true).await? {
            Some(caller) => Ok(caller),
            None => self.anonymous(is_stale),
        }
    }

    /// Whether everybody may do this with some topics.
    fn is_public(&self, action: Action) -> bool {
        match action {
            Action::Subscribe => !self.everybody.subscribe.is_empty(),
            Action::Publish => !self.everybody.publish.is_empty(),
        }
    }

    /// The sender of a request about which a rule that `is_wanted` has a backend asked; `None` if
    /// there is no such rule, or if the backend says no and the request goes on as everybody's.
    pub(super) async fn authorized(
        &self,
        parts: &Parts,
        asked: Option<Asked<'_>>,
        is_wanted: impl Fn(&AuthorizeRule) -> bool,
    ) -> Result<Option<Caller>, Problem> {
        let (Some(authorizer), Some(asked), false) = (&self.authorizer, asked, self.is_open) else {
            return Ok(None);
        };
        let question = authorizer.question(parts, &asked, &self.everybody, is_wanted)?;
        let Some(question) = question else { return Ok(None) };
        // Boxed, because few requests wait for it.
        match Box::pin(authorizer.ask(&question)).await {
            Outcome::Granted(granted) => {
                let token = self.counted.as_ref().map(|hasher| match &granted.who.subject {
                    Some(subject) => hasher.hash_one(("sub", subject)),
                    None => hasher.hash_one(question.credential()),
                });
                let caller =
                    self.caller_with(&granted.grant, Arc::clone(&granted.who), token, None);
                let authorized = Some(Authorized { question, granted });
                Ok(Some(Caller { authorized, ..caller }))
            }
            Outcome::Refused if question.is_open_ended && self.is_public(question.action) => {
                Ok(None)
            }
            Outcome::Refused => Err(Problem::new(
                Code::NotAuthorized,
                "the application says no: sign in there, or ask for other topics",
            )),
            Outcome::Unavailable(_) => {
                let seconds = clock::jittered_ms(self.retry_refused).div_ceil(1000);
                let detail = "the application gives no answer; send it again in a moment";
                Err(Problem::new(Code::AuthorizeUnavailable, detail)
                    .with_header(header::RETRY_AFTER, seconds.into()))
            }
        }
    }
}

impl Caller {
    /// What a backend says that the caller may do, if one was asked.
    pub fn authorized(&self) -> Option<&Authorized> {
        self.authorized.as_ref()
    }
}
