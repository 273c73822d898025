//! Callers whose rights come from a backend.

use std::hash::BuildHasher;
use std::sync::Arc;

use http::header;
use http::request::Parts;

use super::{Auth, Caller};
use crate::authorize::{Asked, AuthorizeRule, Outcome, RuleCounts};
use crate::clock;
use crate::problem::{Code, Problem};

impl Auth {
    /// The rules by which backends are asked, each with what became of the requests it is about,
    /// and whether its backend fails.
    pub fn authorize_rules(&self) -> impl Iterator<Item = (&AuthorizeRule, &RuleCounts, bool)> {
        self.authorizer.iter().flat_map(|authorizer| authorizer.rules())
    }

    /// The sender of a request about which a rule that `is_wanted` has a backend asked; `None` if
    /// there is no such rule.
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
                Ok(Some(Caller { is_authorized: true, ..caller }))
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
