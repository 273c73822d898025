//! `GET` on `/.well-known/mercure/subscriptions` and below: who is subscribed to what.

use http::StatusCode;
use http::header::{self, HeaderValue};
use http::request::Parts;
use tidings_http::answer::{self, Answer};
use tidings_http::query::{Plus, decode};
use tidings_http::response_body::Response;
use tidings_http::state::State;
use tidings_hub::{Position, Topic};

use crate::access::{self, Caller, Role};
use crate::context::Context;
use crate::dialect::{Dialect, ONE, ZERO};
use crate::error_answer::{Challenge, ErrorAnswer};
use crate::form::Form;
use crate::paths::HUB;
use crate::presence::Session;
use crate::selector::MatchType;
use crate::subscription::{Kind, SubscriberName, Subscription, collection};

/// The subscriptions that a path names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// The words of the subscription, and in 1.0 how they are read.
    words: Option<String>,
    kind: Option<Kind>,
    subscriber: Option<String>,
}

pub(crate) async fn subscriptions(context: &Context<'_>) -> Result<Answer, ErrorAnswer> {
    let Context { mercure, state, parts, .. } = *context;
    let below = below(parts.uri.path()).unwrap_or_default();
    let query = Form::parse_leniently(parts.uri.query().unwrap_or("").as_bytes());
    let spoken = spoken(&below);
    let caller = access::identify(context, Role::Subscriber, spoken, &query, None).await?;
    let dialect = caller.dialect;
    let asked = Asked::of(&below, dialect);
    check_granted(state, parts, &caller, asked.as_ref().ok())?;
    let asked = asked?;

    // Read before the list: what happens in between comes after the cursor.
    let head = state.engine().head_mark();
    let (sessions, number) = mercure.presence.sessions();
    let cursor = match (head.position, number) {
        (Position::ZERO, 0) => super::subscribe::EARLIEST.to_owned(),
        (_, 0) => head.event_id(state.engine().epoch()).to_string(),
        (_, number) => {
            let tag = mercure.presence.tag(number);
            format!("{}+{tag}", head.event_id(state.engine().epoch()))
        }
    };
    let found = sessions.iter().flat_map(|session| asked.of_session(session));
    let id = parts.uri.path_and_query().map_or(parts.uri.path(), |target| target.as_str());
    let body = match asked.subscriber {
        None => Some(collection(dialect, id, &cursor, found)),
        Some(_) => {
            let mut found = found;
            found.find_map(|(subscriber, one)| one.alone(dialect, subscriber, &cursor))
        }
    };
    let body = body.ok_or_else(|| ErrorAnswer::new(StatusCode::NOT_FOUND, "Not Found"))?;
    Ok(Answer::Response(respond(parts, dialect, &cursor, body)))
}

/// Whether `path` is one of ours.
pub(crate) fn has(path: &str) -> bool {
    below(path).is_some_and(|segments| segments.len() <= 3)
}

/// The segments below the API's root, as they stand.
fn below(path: &str) -> Option<Vec<&str>> {
    let rest = path.strip_prefix(HUB)?.strip_prefix("/subscriptions")?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let segments: Vec<_> = rest.strip_prefix('/')?.split('/').collect();
    segments.iter().all(|segment| !segment.is_empty()).then_some(segments)
}

/// The dialect of a path, if it determines one: with a topic and a subscriber it could be either.
fn spoken(below: &[&str]) -> Option<&'static Dialect> {
    match below {
        [] => None,
        [_] => Some(&ZERO),
        [kind, words] => {
            let is_one = MatchType::named(kind).is_some() && !words.starts_with("urn");
            is_one.then_some(&ONE)
        }
        _ => Some(&ONE),
    }
}

/// Checks that the token grants the request. The right to receive public events does not include
/// the list.
fn check_granted(
    state: &State,
    parts: &Parts,
    caller: &Caller,
    asked: Option<&Asked>,
) -> Result<(), ErrorAnswer> {
    if caller.is_anonymous() && !state.auth().is_open() {
        let text = "a token is required: send `Authorization: Bearer <token>`";
        return Err(ErrorAnswer::token(StatusCode::UNAUTHORIZED, Challenge::Missing, text));
    }
    let path = parts.uri.path();
    let words = asked.and_then(|asked| asked.words.as_deref());
    match caller.access.may_know_subscribers(words) {
        Some(true) => return Ok(()),
        Some(false) => return Err(not_granted(caller, "presence", words.unwrap_or("**"))),
        None => {}
    }
    let with_query = parts.uri.path_and_query().map(|target| target.as_str());
    let with_query = with_query.filter(|_| !caller.dialect.is_one);
    let mut topics = [Some(path), with_query].into_iter().flatten();
    let is_granted = topics.any(|topic| {
        Topic::new(topic).is_ok_and(|topic| {
            caller.access.subscribe.iter().any(|matcher| matcher.matches(&topic))
        })
    });
    if is_granted {
        return Ok(());
    }
    Err(not_granted(caller, "subscribe", path))
}

fn not_granted(caller: &Caller, right: &str, topic: &str) -> ErrorAnswer {
    let text = format!("the token does not grant `{right}` on {topic:?}");
    ErrorAnswer::token(caller.dialect.not_granted, Challenge::InsufficientScope, text)
}

impl Asked {
    fn of(below: &[&str], dialect: &Dialect) -> Result<Self, ErrorAnswer> {
        let plus = if dialect.is_one { Plus::Itself } else { Plus::Space };
        let decoded = |segment: &str| {
            let text = decode(segment, plus);
            text.map(std::borrow::Cow::into_owned)
                .map_err(|_| ErrorAnswer::bad_request("the path is not percent-encoded UTF-8"))
        };
        let (kind, rest) = match below {
            [] => return Ok(Self::default()),
            [kind, rest @ ..] if dialect.is_one => {
                let kind = MatchType::named(kind);
                let kind = kind.ok_or_else(|| ErrorAnswer::bad_request("no such match type"))?;
                (Some(kind.into()), rest)
            }
            _ => (None, below),
        };
        let (words, subscriber) = match rest {
            [words] => (decoded(words)?, None),
            [words, subscriber] => (decoded(words)?, Some(decoded(subscriber)?)),
            _ => return Err(ErrorAnswer::new(StatusCode::NOT_FOUND, "404 page not found")),
        };
        Ok(Self { words: Some(words), kind, subscriber })
    }

    /// The subscriptions of `session` that are requested.
    fn of_session<'a>(
        &self,
        session: &'a Session,
    ) -> impl Iterator<Item = (SubscriberName, &'a Subscription)> + use<'a, '_> {
        let is_subscriber = match &self.subscriber {
            Some(name) => *name == session.subscriber.to_string(),
            None => true,
        };
        let all = session.subscriptions.iter().filter(move |_| is_subscriber);
        let is_meant = |one: &&Subscription| {
            self.words.as_deref().is_none_or(|words| *words == *one.words)
                && self.kind.is_none_or(|kind| kind == one.kind)
        };
        all.filter(is_meant).map(|one| (session.subscriber, one))
    }
}

fn respond(parts: &Parts, dialect: &Dialect, cursor: &str, body: String) -> Response {
    // 0.x clients expect a bare one.
    let tag = if dialect.is_one { format!("\"{cursor}\"") } else { cursor.to_owned() };
    let known = tidings_http::headers::joined(&parts.headers, header::IF_NONE_MATCH, ", ");
    let is_known = known.split(',').any(|tag| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        tag == cursor || tag == "*"
    });
    let mut response = if is_known {
        answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        answer::whole(StatusCode::OK, dialect.subscription_media_type, body)
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if dialect.is_one {
        let link = format!(
            "<{HUB}>; rel=\"mercure\"; last-event-id=\"{cursor}\"; type=\"mercure\"; \
             content-type=\"application/json\""
        );
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(header::LINK, link);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn asked(path: &str, dialect: &Dialect) -> Option<Asked> {
        Asked::of(&below(path)?, dialect).ok()
    }

    #[test]
    fn a_path_is_read_as_its_dialect_writes_it() {
        let root = "/.well-known/mercure/subscriptions";
        assert_eq!(asked(root, &ZERO), Some(Asked::default()));
        let zero = asked(&format!("{root}/https%3A%2F%2Fx%2Fa+b/urn%3Auuid%3A1"), &ZERO).unwrap();
        assert_eq!(zero.words.as_deref(), Some("https://x/a b"));
        assert_eq!(zero.subscriber.as_deref(), Some("urn:uuid:1"));
        let one = asked(&format!("{root}/urlpattern/%2Fa+b"), &ONE).unwrap();
        assert_eq!((one.words.as_deref(), one.kind), (Some("/a+b"), Some(Kind::UrlPattern)));
        assert_eq!(asked(&format!("{root}/template/x"), &ONE), None);
        assert_eq!(asked(&format!("{root}/exact/%zz"), &ONE), None);
        for path in [format!("{root}/"), format!("{root}x"), format!("{root}/a/b/c/d")] {
            assert!(!has(&path), "{path}");
        }
    }

    #[test]
    fn the_dialect_of_a_path_is_known_where_it_can_be() {
        let name = |below: &[&str]| spoken(below).map(|dialect| dialect.is_one);
        assert_eq!(name(&[]), None);
        assert_eq!(name(&["a"]), Some(false));
        assert_eq!(name(&["exact", "a"]), Some(true));
        assert_eq!(name(&["exact", "urn%3Auuid%3A1"]), None);
        assert_eq!(name(&["a", "b"]), None);
        assert_eq!(name(&["exact", "a", "b"]), Some(true));
    }
}
