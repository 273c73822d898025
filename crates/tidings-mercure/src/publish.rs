//! `POST` to the hub: publishes a form as an event.

use std::borrow::Cow;

use http::StatusCode;
use http::header;
use http::request::Parts;
use tidings_engine::PublishError;
use tidings_http::answer::{self, Answer};
use tidings_http::body::{self, RequestBody};
use tidings_http::event_retry;
use tidings_http::foreign_page::{self, Ambient};
use tidings_http::headers;
use tidings_http::limits::FIELD_BYTES_MAX;
use tidings_http::problem::Code;
use tidings_http::sendable_id;
use tidings_http::state::State;
use tidings_http::whole_body::WholeBody;
use tidings_hub::{AppendError, Draft, EventId, EventIdForm, EventType, Topic, Visibility};

use crate::access::{self, Caller, Role};
use crate::context::Context;
use crate::dialect::{Dialect, TOPICS_MAX};
use crate::error_answer::{Challenge, ErrorAnswer, PLAIN};
use crate::form::Form;
use crate::paths::HUB;
use crate::site::Site;
use crate::text;

pub(crate) async fn publish(
    context: &Context<'_>,
    body: RequestBody,
) -> Result<Answer, ErrorAnswer> {
    let Context { state, parts, ref site, .. } = *context;
    let query = Form::parse_leniently(parts.uri.query().unwrap_or("").as_bytes());
    // Its topics are in the body, which is not read for somebody who is not known.
    let topics = || Some(Vec::new());
    let caller = access::identify(context, Role::Publisher, None, &query, Some(&topics)).await?;
    let dialect = caller.dialect;
    check_origin(context, &caller)?;
    let everybody = state.auth().everybody();
    if caller.access.publish.is_none() && everybody.publish.is_empty() {
        let text = "the token has no `publish` in its mercure claim";
        return Err(not_granted(dialect, text.into()));
    }
    let allowance =
        state.quotas().publisher(parts, caller.token, caller.share()).map_err(|wait| {
            let text = "the limit for publishing is reached; publish less per second";
            ErrorAnswer::too_many(text, wait)
        })?;
    // The body keeps its room until the event is handed over.
    let (form, _body) = tokio::select! {
        biased;
        read = form(state, parts, dialect, body) => read,
        expired = caller.expired() => Err(expired),
    }?;
    let drafts = vec![draft(state, site, &caller, &form)?];
    allowance.charge(&drafts);

    let appended = state.publish(caller.share(), drafts).await.map_err(|error| match error {
        PublishError::Stopping => {
            ErrorAnswer::unavailable("the hub is shutting down; publish again in a moment")
        }
        PublishError::TooManyTopics { topics_max } => {
            let text = format!("the maximum of {topics_max} topics is reached");
            ErrorAnswer::new(StatusCode::INSUFFICIENT_STORAGE, text)
        }
        PublishError::TopicShareFull { topics_max } => {
            let text = format!("the maximum of {topics_max} topics begun with this key is reached");
            ErrorAnswer::new(StatusCode::INSUFFICIENT_STORAGE, text)
        }
        PublishError::RuleFull { rule } => {
            let text = format!("the rule {rule} of retention has no room for another topic");
            ErrorAnswer::new(StatusCode::INSUFFICIENT_STORAGE, text)
        }
        PublishError::Store(AppendError::Full { .. }) => {
            let text = "the event is not stored: the hub has no room; publish again later";
            ErrorAnswer::new(StatusCode::INSUFFICIENT_STORAGE, text)
        }
        PublishError::Store(AppendError::Away { .. }) => {
            ErrorAnswer::unavailable("the event is not stored; publish again in a moment")
        }
        PublishError::Store(AppendError::Undecided { .. }) => {
            let text = "it is not known whether the event is stored; publish it again with its id";
            ErrorAnswer::unavailable(text)
        }
        // The store has logged the cause.
        _ => ErrorAnswer::unavailable("the event is not stored; the operator must look at the log"),
    })?;
    let id = appended.first().map_or(String::new(), |appended| appended.id.to_string());
    Ok(Answer::Response(answer::whole(StatusCode::OK, PLAIN, id)))
}

/// Keeps pages of foreign origins from publishing with the cookie of a visitor, or without a token
/// where only the visitor's browser can reach the hub.
fn check_origin(context: &Context<'_>, caller: &Caller) -> Result<(), ErrorAnswer> {
    let Context { mercure, state, parts, .. } = *context;
    let status = caller.dialect.foreign_origin;
    let config = state.config();
    if caller.needs_origin() {
        if foreign_page::check_change(config, parts, Ambient::Cookie).is_ok() {
            return Ok(());
        }
        let origin = origin(parts).ok_or_else(|| {
            let text = "a token in a cookie needs an Origin or a Referer header beside it";
            ErrorAnswer::token(status, Challenge::InvalidRequest, text)
        })?;
        let is_own = foreign_page::is_silent(parts) && foreign_page::is_own(config, &origin, parts);
        if !(is_own || mercure.config().publish_origins.contains(&origin)) {
            let text = "pages of this origin may not publish with a cookie (publish origins)";
            return Err(ErrorAnswer::token(status, Challenge::InvalidRequest, text));
        }
    } else if caller.is_ambient()
        && foreign_page::check_change(config, parts, Ambient::Reach).is_err()
    {
        return Err(ErrorAnswer::new(
            StatusCode::FORBIDDEN,
            "pages of this origin may not publish",
        ));
    }
    Ok(())
}

/// The origin of the page that sent a request: `Origin`, or the origin part of `Referer`.
fn origin(parts: &Parts) -> Option<String> {
    if let Some(origin) = headers::first(&parts.headers, header::ORIGIN) {
        return Some(origin.into_owned());
    }
    let referer = url::Url::parse(&headers::first(&parts.headers, header::REFERER)?).ok()?;
    Some(referer.origin().ascii_serialization())
}

/// The body as a form, and its bytes, which hold their room. A body of another type has no fields.
async fn form(
    state: &State,
    parts: &Parts,
    dialect: &Dialect,
    body: RequestBody,
) -> Result<(Form, WholeBody), ErrorAnswer> {
    let config = state.config();
    // Percent-encoding makes three bytes of one, and the names of fields take room too.
    let event_max = config.event_bytes_max.saturating_mul(3).saturating_add(64 << 10);
    let bytes_max = dialect.body_bytes_max.min(event_max);
    let bytes = WholeBody::read(state.body_room(), body, bytes_max).await;
    let bytes = bytes.map_err(|problem| match problem.code() {
        Code::EventTooLarge => too_large(dialect, bytes_max),
        Code::TooManyBodies => ErrorAnswer::unavailable(problem.code().title()),
        code => ErrorAnswer::new(code.status(), problem.detail().to_owned()),
    })?;
    if body::media_type(&parts.headers) != FORM {
        return Ok((Form::default(), bytes));
    }
    let form = Form::parse(&bytes).map_err(|_| ErrorAnswer::bad_request("Bad Request"))?;
    Ok((form, bytes))
}

/// The event that a form describes. Errors are reported in the order that clients expect.
fn draft(state: &State, site: &Site, caller: &Caller, form: &Form) -> Result<Draft, ErrorAnswer> {
    let dialect = caller.dialect;
    let topics = form.all("topic").count();
    if topics == 0 {
        return Err(ErrorAnswer::bad_request("Missing \"topic\" parameter"));
    }
    if topics > TOPICS_MAX {
        return Err(ErrorAnswer::bad_request(format!(
            "more than {TOPICS_MAX} \"topic\" parameters"
        )));
    }
    let retry_ms = form.text("retry").filter(|text| !text.is_empty());
    let retry_ms = retry_ms.map(|text| retry(&text)).transpose()?;
    let mut names = Vec::with_capacity(topics);
    for bytes in form.all("topic") {
        let text = value(dialect, "topic", bytes)?;
        let topic = Topic::new(&*text);
        names.push(topic.map_err(|error| ErrorAnswer::bad_request(format!("topic: {error}")))?);
    }
    if let Some(topic) = names.iter().find(|topic| {
        !(caller.access.may_publish(topic) || state.auth().everybody().may_publish(topic))
    }) {
        if caller.is_anonymous() {
            let text = "a token is required: send `Authorization: Bearer <token>`";
            return Err(ErrorAnswer::token(StatusCode::UNAUTHORIZED, Challenge::Missing, text));
        }
        let text = format!("the token does not cover the topic {:?}", topic.as_str());
        return Err(not_granted(dialect, text));
    }
    check_names(dialect, site, &names)?;

    let mut names = names.into_iter();
    let Some(canonical) = names.next() else {
        return Err(ErrorAnswer::bad_request("Missing \"topic\" parameter"));
    };
    let data = value(dialect, "data", form.first("data").unwrap_or_default())?;
    if data.contains('\0') {
        return Err(ErrorAnswer::bad_request(
            "\"data\" holds NUL, which an event cannot: encode it",
        ));
    }
    if data.len() > state.config().event_bytes_max {
        return Err(too_large(dialect, state.config().event_bytes_max));
    }
    Ok(Draft {
        alternates: names.collect(),
        event_type: event_type(dialect, form)?,
        id: event_id(state, dialect, form)?,
        retry_ms: retry_ms.filter(|ms| *ms > 0).map(event_retry::bounded),
        visibility: match form.first("private") {
            Some(_) => Visibility::Private,
            None => Visibility::Public,
        },
        ..Draft::new(canonical, data)
    })
}

/// Rejects topics in the hub's own namespace.
fn check_names(dialect: &Dialect, site: &Site, names: &[Topic]) -> Result<(), ErrorAnswer> {
    for topic in names {
        let name = topic.as_str();
        let reserved = if dialect.is_one { site.is_reserved(name) } else { name.contains(HUB) };
        if reserved {
            let text = format!("the topic {name:?} is in the hub's own namespace");
            return Err(ErrorAnswer::new(dialect.reserved_namespace, text));
        }
        if dialect.is_one && name == "*" {
            return Err(ErrorAnswer::bad_request("`*` is not a topic"));
        }
        check_seen(dialect, "topic", name)?;
    }
    Ok(())
}

fn event_type(dialect: &Dialect, form: &Form) -> Result<Option<EventType>, ErrorAnswer> {
    let Some(text) = short(dialect, form, "type")? else { return Ok(None) };
    if dialect.is_one && text == "mercure" || text.starts_with("tidings.") {
        return Err(ErrorAnswer::bad_request("this \"type\" is one of the hub's own"));
    }
    let event_type = EventType::new(&*text);
    event_type.map(Some).map_err(|error| ErrorAnswer::bad_request(format!("type: {error}")))
}

fn event_id(state: &State, dialect: &Dialect, form: &Form) -> Result<Option<EventId>, ErrorAnswer> {
    let Some(text) = short(dialect, form, "id")? else { return Ok(None) };
    if dialect.is_one && (text.starts_with('#') || text == "earliest") {
        let text = "an \"id\" cannot be `earliest` or begin with `#`";
        return Err(ErrorAnswer::bad_request(text));
    }
    if let Some(problem) = sendable_id::problem(&text) {
        return Err(ErrorAnswer::bad_request(format!("id: {problem}")));
    }
    if matches!(EventIdForm::of(&text, state.engine().epoch()), EventIdForm::Ours(_)) {
        return Err(ErrorAnswer::bad_request("this \"id\" has the form of the hub's own ids"));
    }
    EventId::new(&*text).map(Some).map_err(|error| ErrorAnswer::bad_request(format!("id: {error}")))
}

/// A field that every delivery carries. An empty one counts as absent.
fn short<'a>(
    dialect: &Dialect,
    form: &'a Form,
    name: &str,
) -> Result<Option<Cow<'a, str>>, ErrorAnswer> {
    let Some(bytes) = form.first(name).filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    if bytes.len() > FIELD_BYTES_MAX {
        let text = format!("\"{name}\" has more than {FIELD_BYTES_MAX} bytes");
        return Err(ErrorAnswer::bad_request(text));
    }
    let text = value(dialect, name, bytes)?;
    check_seen(dialect, name, &text)?;
    Ok(Some(text))
}

/// A value as text. In the dialect that accepts any bytes, invalid UTF-8 is replaced as every
/// reader of an event stream would replace it (HTML §9.2.6).
fn value<'a>(dialect: &Dialect, name: &str, bytes: &'a [u8]) -> Result<Cow<'a, str>, ErrorAnswer> {
    let text = String::from_utf8_lossy(bytes);
    if dialect.strict_text && matches!(text, Cow::Owned(_)) {
        return Err(ErrorAnswer::bad_request(format!("\"{name}\" is not UTF-8")));
    }
    Ok(text)
}

fn check_seen(dialect: &Dialect, name: &str, text: &str) -> Result<(), ErrorAnswer> {
    match text::unseen(text) {
        Some(c) if dialect.strict_text => {
            Err(ErrorAnswer::bad_request(format!("\"{name}\" holds the invisible character {c:?}")))
        }
        _ => Ok(()),
    }
}

fn retry(text: &str) -> Result<u64, ErrorAnswer> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| ErrorAnswer::bad_request("Invalid \"retry\" parameter"))
}

fn not_granted(dialect: &Dialect, text: String) -> ErrorAnswer {
    ErrorAnswer::token(dialect.not_granted, Challenge::InsufficientScope, text)
}

fn too_large(dialect: &Dialect, bytes_max: usize) -> ErrorAnswer {
    let text = format!("the hub takes at most {bytes_max} bytes");
    ErrorAnswer::new(dialect.body_too_large, text)
}

/// The only media type that is parsed.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
