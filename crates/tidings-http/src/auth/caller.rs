use std::sync::Arc;

use http::request::Parts;
use tidings_hub::{Grant, Interest, Matcher, Timestamp, Topic};

use super::refusal::{forbidden, no_credential};
use super::who::Who;
use crate::authorize::Authorized;
use crate::config::HttpConfig;
use crate::foreign_page::{self, Ambient};
use crate::key_share::KeyShare;
use crate::problem::{Code, Problem};
use crate::quota_key::Key;

/// The sender of a request, and what it may do.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What its credential grants.
    pub(super) grant: Arc<Grant>,
    pub(super) who: Arc<Who>,
    /// What every client may do besides, if that is not everything.
    pub(super) everybody: Option<Arc<Grant>>,
    pub(super) is_anonymous: bool,
    /// Whether it has the cookie of a session that is over.
    pub(super) is_stale: bool,
    /// What a backend says that it may do, if one was asked.
    pub(super) authorized: Option<Authorized>,
    /// Whether another token can prolong its streams.
    pub(super) is_renewable: bool,
    /// What its browser added to this request, if a page did not need to hold anything for it.
    pub(super) ambient: Option<Ambient>,
    pub(super) token: Option<Key>,
    /// Limits shared by all callers with the same key, if any.
    pub(super) share: Option<Arc<KeyShare>>,
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
    pub(super) fn not_granted(&self, what: &str) -> Problem {
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
    /// A 403 that names the topic, or a 401 without a token.
    pub fn check_erase(&self, topic: &Topic) -> Result<(), Problem> {
        if self.grants().any(|grant| grant.may_erase(topic)) {
            return Ok(());
        }
        Err(self.not_granted(&format!("whose `erase` covers the topic {:?}", topic.as_str())))
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
