//! Links that the hub makes itself: somebody passes on a part of what they may read.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use tidings_hub::{Matcher, Timestamp};

use super::link::{Link, LinkKey, SUBJECT_BYTES_MAX};
use super::session::{Sessions, short_name};
use super::{Auth, Caller, forbidden, no_credential};
use crate::clock;
use crate::problem::{Code, Problem};

/// A link that the hub has made.
#[derive(Debug)]
pub struct OwnLink {
    /// The query of its URL, below `/events`.
    pub query: String,
    /// Its end.
    pub expires: Timestamp,
}

impl Auth {
    /// A link that reads `topics` for `lifetime`, made for `caller`, who may read them by its own
    /// credential. It ends with that credential, if that is earlier, and has its subject, so that
    /// denying the one denies the other.
    ///
    /// # Errors
    ///
    /// A 404 on a hub without sessions, whose key signs the links; a 401 or a 403 for topics that
    /// the caller's own grant does not cover.
    pub fn make_link(
        &self,
        caller: &Caller,
        topics: &[(&str, Matcher)],
        lifetime: Duration,
    ) -> Result<OwnLink, Problem> {
        let key = keys(self.sessions()?).next().expect("there is a first secret");
        if caller.is_anonymous {
            return Err(no_credential(caller.is_stale, Some("that covers the topics of the link")));
        }
        // Such a page cannot read the cookie, and must not get another credential in its place.
        if caller.who.session.as_ref().is_some_and(|session| session.origin().is_some()) {
            let detail = "a page of another origin gets no links for its session";
            return Err(Problem::new(Code::OriginNotAllowed, detail));
        }
        for (text, matcher) in topics {
            // What everybody may read does not count: a link also reads private events.
            if !caller.grant.may_subscribe(matcher) {
                return Err(
                    caller.not_granted(&format!("whose `subscribe` covers all of {text:?}"))
                );
            }
        }
        let subject = subject(caller)?;
        let now = clock::now().as_millis();
        let lifetime = lifetime.min(self.link_age_max).as_millis();
        let latest = now.saturating_add(u64::try_from(lifetime).unwrap_or(u64::MAX));
        let end = caller.grant.expires.map_or(latest, |end| latest.min(end.as_millis()));
        let until = end / 1000;
        if until * 1000 <= now {
            return Err(forbidden("the link would end within this second".to_owned()));
        }
        let topics: Vec<_> = topics.iter().map(|(text, _)| *text).collect();
        let signature = key.sign(&Link { until, subject: &subject, topics: &topics });
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for topic in topics {
            query.append_pair("topic", topic);
        }
        query.append_pair("until", &until.to_string());
        if !subject.is_empty() {
            query.append_pair("sub", &subject);
        }
        query.append_pair("sig", &signature);
        Ok(OwnLink { query: query.finish(), expires: Timestamp::from_millis(until * 1000) })
    }
}

/// The hub's own keys of links, one for each secret of its sessions; the first one signs.
pub(super) fn keys(sessions: &Sessions) -> impl Iterator<Item = LinkKey> {
    sessions.derived("tidings-link-key").map(|secret| {
        let id = format!("hub-{}", short_name(secret.as_ref()));
        let secret = BASE64_URL_SAFE_NO_PAD.encode(secret);
        LinkKey::new(&id, &secret, vec![Matcher::All]).expect("an id and 43 characters")
    })
}

/// The subject of a link that `caller` makes: its own, or the name of its key.
fn subject(caller: &Caller) -> Result<String, Problem> {
    let subject = match (&caller.who.subject, &caller.who.key) {
        (Some(subject), _) => subject.to_string(),
        (None, Some(key)) => format!("key:{key}"),
        (None, None) => String::new(),
    };
    if subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
        let detail = format!(
            "no link can name this `sub`: it has more than {SUBJECT_BYTES_MAX} bytes, or a control \
             character"
        );
        return Err(forbidden(detail));
    }
    Ok(subject)
}
