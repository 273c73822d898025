//! Which subscribers an operator means.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tidings_http::denials::Denied;
use tidings_http::present::Selection;
use tidings_http::problem::{Code, Problem};
use tidings_http::query;
use tidings_hub::Matcher;

use crate::request::RequestContext;

/// The parameters that [`take`] takes out of a query.
pub(crate) const SELECTIONS: [&str; 6] = ["sub", "iss", "key", "session-id", "address", "topic"];

/// Takes out of the query which subscribers are meant.
pub(crate) fn take(context: &mut RequestContext<'_>) -> Result<Selection, Problem> {
    let query = &mut context.query;
    let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    let address = query.take("address")?.map(|text| {
        let detail = "`address` is an IP address such as 192.0.2.1";
        text.parse().map_err(|_| query::bad_value("address", detail.into()))
    });
    let topic = query.take("topic")?.map(|text| {
        Matcher::parse(&text).map_err(|error| Problem::new(Code::InvalidMatcher, error.to_string()))
    });
    let selection = Selection {
        subject: owned(query.take("sub")?),
        issuer: owned(query.take("iss")?),
        key: owned(query.take("key")?),
        session: owned(query.take("session-id")?),
        address: address.transpose()?,
        topic: topic.transpose()?,
    };
    if selection.is_empty() {
        let detail =
            "say which: one of sub, iss, key, session-id, address, topic; several must all apply";
        return Err(Problem::new(Code::InvalidQuery, detail));
    }
    Ok(selection)
}

/// The identity of a selection that names one.
pub(crate) fn denied(selection: &Selection) -> Result<Denied, Problem> {
    let Selection { subject, issuer, key, session, address, topic } = selection.clone();
    let names = [subject.is_some(), key.is_some(), session.is_some(), address.is_some()];
    let is_one = names.into_iter().filter(|is_given| *is_given).count() == 1;
    let is_plain = topic.is_none() && (issuer.is_none() || subject.is_some());
    let subject = subject.map(|sub| Denied::Subject(sub.into(), issuer.map(Into::into)));
    let key = key.map(|key| Denied::Key(key.into()));
    let session = session.map(|session| Denied::Session(session.into()));
    let denied = subject.or(key).or(session).or(address.map(Denied::address));
    denied.filter(|_| is_one && is_plain).ok_or_else(|| {
        let detail =
            "a denial is of one `sub` (and `iss`), one `key`, one `session-id` or one `address`";
        Problem::new(Code::InvalidQuery, detail)
    })
}

/// The subscribers with a denied identity.
pub(crate) fn of_denied(denied: Denied) -> Selection {
    let none = Selection::default();
    match denied {
        Denied::Subject(subject, issuer) => {
            Selection { subject: Some(subject.into()), issuer: issuer.map(Into::into), ..none }
        }
        Denied::Key(key) => Selection { key: Some(key.into()), ..none },
        Denied::Session(session) => Selection { session: Some(session.into()), ..none },
        Denied::Address(address) => Selection { address: Some(address), ..none },
    }
}

/// A selection as one hub says it to another.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SpokenSelection {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<std::net::IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
}

impl From<&Selection> for SpokenSelection {
    fn from(selection: &Selection) -> Self {
        let Selection { subject, issuer, key, session, address, topic } = selection.clone();
        let topic = topic.map(|topic| topic.to_string());
        Self { sub: subject, iss: issuer, key, session, address, topic }
    }
}

impl SpokenSelection {
    /// `None` if it means nobody, or is of a later version.
    pub(crate) fn heard(self) -> Option<Selection> {
        let Self { sub, iss, key, session, address, topic } = self;
        let topic = topic.map(|text| Matcher::parse(&text)).transpose().ok()?;
        let selection = Selection { subject: sub, issuer: iss, key, session, address, topic };
        (!selection.is_empty()).then_some(selection)
    }
}
