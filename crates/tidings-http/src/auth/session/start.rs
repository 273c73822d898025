//! What a request for a session comes to: a new one, a renewed one, or none.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;
use tidings_hub::{Grant, Interest, Timestamp};

use super::cookie::{self, Jar, SessionName};
use super::value::{self, Value};
use super::{Found, SessionId, Sessions, live};
use crate::auth::who::Who;
use crate::clock;
use crate::config::HttpConfig;
use crate::foreign_page::{self, Page};
use crate::limits::{CLAIM_MATCHERS_MAX, SESSION_BYTES_MAX};
use crate::problem::{Code, Problem};

/// A session, as its user may know it.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) value: Value,
}

/// What came of a request for a session.
#[derive(Debug)]
pub struct Started {
    /// The session now.
    pub session: Session,
    /// Whether it has the grant of the token; not if it was renewed with a newer one before.
    pub is_renewed: bool,
    /// A header to set, if the cookie changes.
    pub cookie: Option<HeaderValue>,
    /// The session of another user in the same browser, which is over.
    pub replaced: Option<Session>,
    /// Whether the session may have streams that the grant does not cover.
    pub may_cut: bool,
}

/// A token, as far as a session needs it.
pub(crate) struct Bearer {
    pub(crate) grant: Arc<Grant>,
    pub(crate) who: Arc<Who>,
    pub(crate) issued: Option<Timestamp>,
    pub(crate) signer: Option<usize>,
}

impl Session {
    /// Its name.
    pub fn id(&self) -> SessionId {
        self.value.id
    }

    /// Whether it covers a stream, of which everybody may read what `everybody` says.
    pub fn covers(&self, interest: &Interest, everybody: &Grant) -> bool {
        live::covers(&self.value.grant, everybody, interest)
    }

    /// The origin of the page that may use it; `None` is the hub's own.
    pub fn origin(&self) -> Option<&str> {
        self.value.origin.as_deref()
    }

    /// Its subject.
    pub fn subject(&self) -> Option<&str> {
        self.value.subject.as_deref()
    }

    /// The name of the API key that it was started with, if that was one.
    pub fn key(&self) -> Option<&str> {
        self.value.key.as_deref()
    }

    /// What it may do of what operators do: the words of the claim's `operate`.
    pub fn operates(&self) -> Vec<&'static str> {
        value::words(&self.value.grant)
    }

    /// Its end.
    pub fn expires(&self) -> Timestamp {
        self.value.expires
    }

    /// Topics and patterns that it may publish to, and those that it may read.
    pub fn topics(&self) -> [Vec<String>; 2] {
        [&self.value.grant.publish, &self.value.grant.subscribe].map(|list| value::texts(list))
    }
}

impl Sessions {
    /// The session in the cookies of a request.
    pub fn session(&self, parts: &Parts, name: &SessionName) -> Option<Session> {
        match self.find(&parts.headers, name) {
            Found::Session(value) => Some(Session { value: *value }),
            Found::Stale | Found::Nothing => None,
        }
    }

    /// Headers that remove the cookies called `name`: all, or if `are_bad` those of the request
    /// that are good no more.
    pub fn removals(&self, parts: &Parts, name: &SessionName, are_bad: bool) -> Vec<HeaderValue> {
        let is_insecure = self.is_insecure();
        let is_bad = |jar: &Jar| {
            let values = cookie::values(&parts.headers, &name.cookie(*jar, is_insecure));
            match &values[..] {
                [] => false,
                [value] => self.open(value, name).is_none(),
                _ => true,
            }
        };
        let jars = Jar::ALL.into_iter().filter(|jar| !are_bad || is_bad(jar));
        jars.map(|jar| cookie::remove(name, jar, is_insecure)).collect()
    }

    /// Starts a session with a token, or renews the one that the request has, for `age` at most.
    ///
    /// # Errors
    ///
    /// A 400 for a grant that no cookie can hold, and a 429 for too many renewals.
    pub(crate) fn start(
        &self,
        config: &HttpConfig,
        parts: &Parts,
        name: &SessionName,
        age: Option<Duration>,
        bearer: &Bearer,
    ) -> Result<Started, Problem> {
        let now = clock::now();
        let page = match foreign_page::page_of(config, parts) {
            Page::Own | Page::Nowhere => None,
            Page::Of(origin) => Some(origin.into_boxed_str()),
        };
        let known = self.session(parts, name).map(|session| session.value);
        let is_same = |known: &Value| known.is_of(&bearer.who) && known.origin == page;
        let (known, replaced) = match known {
            Some(known) if is_same(&known) => (Some(known), None),
            other => (None, other.map(|value| Session { value })),
        };
        if let Some(known) = &known {
            if let Some(wait) = self.charge(known.id) {
                return Err(too_often(wait));
            }
            // A page that slept must not bring back an older and perhaps wider grant.
            if bearer.issued < known.issued && bearer.issued.is_some() {
                return Ok(Started {
                    session: Session { value: known.clone() },
                    is_renewed: false,
                    cookie: None,
                    replaced: None,
                    may_cut: false,
                });
            }
        }
        let age = age.map_or(self.0.age_max, |age| age.min(self.0.age_max));
        let age_max = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let latest = Timestamp::from_millis(now.as_millis().saturating_add(age_max));
        let expires = bearer.grant.expires.map_or(latest, |end| end.min(latest));
        let value = Value {
            id: known.as_ref().map_or_else(SessionId::new, |known| known.id),
            name: name.as_str().to_owned(),
            key: bearer.who.key.clone(),
            subject: bearer.who.subject.clone(),
            issuer: bearer.who.issuer.clone(),
            issued: bearer.issued,
            expires,
            origin: page,
            signer: bearer.signer,
            grant: Grant { expires: Some(expires), ..Grant::clone(&bearer.grant) },
        };
        let sealed = self.seal(&value);
        let lists = [&value.grant.publish, &value.grant.subscribe, &value.grant.erase];
        let is_long = lists.iter().any(|list| list.len() > CLAIM_MATCHERS_MAX);
        if sealed.len() > SESSION_BYTES_MAX || is_long {
            return Err(too_large(sealed.len()));
        }
        let left = Duration::from_millis(expires.as_millis().saturating_sub(now.as_millis()));
        let jar = if foreign_page::is_cross_site(parts) { Jar::CrossSite } else { Jar::FirstParty };
        let cookie = cookie::set(name, jar, self.is_insecure(), &sealed, left);
        let is_known = known.is_some();
        let may_cut = is_known
            && self.live().renew(value.id, &Arc::new(value.grant.clone()), config.expiring_before);
        Ok(Started {
            session: Session { value },
            is_renewed: is_known,
            cookie: Some(cookie),
            replaced,
            may_cut,
        })
    }
}

fn too_often(wait: Duration) -> Problem {
    let detail = "a session is renewed once for each token, not more often than its limit";
    let seconds = wait.as_secs() + 1;
    Problem::new(Code::TooManyRenewals, detail).with_header(RETRY_AFTER, seconds.into())
}

fn too_large(bytes: usize) -> Problem {
    let detail = format!(
        "the cookie would have {bytes} bytes, of which browsers keep {SESSION_BYTES_MAX}: grant \
         patterns, such as \"users/7/**\", in place of lists of topics"
    );
    Problem::new(Code::SessionTooLarge, detail)
}
