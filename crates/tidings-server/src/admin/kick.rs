//! `GET` and `DELETE /connections`, `DELETE /connections/{id}`, `GET` and `DELETE /denials`: the
//! list of subscribers, closing their streams, and denying them access.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value, json};
use tidings_engine::ConnectionId;
use tidings_http::answer::{self, Answer};
use tidings_http::clock;
use tidings_http::denials::{Denied, DenyError};
use tidings_http::present::{Identity, Selection, Subscriber};
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Plus};
use tidings_http::state::State;
use tidings_hub::{CloseReason, Matcher, Timestamp};

use crate::limits::{DENY_MAX, LISTED_CONNECTIONS, LISTED_CONNECTIONS_MAX};
use crate::request::RequestContext;

const SELECTIONS: [&str; 5] = ["sub", "iss", "key", "address", "topic"];

/// `GET /connections`. Requires permission to look.
pub(crate) async fn list(mut context: RequestContext<'_>) -> Result<Answer, Problem> {
    context.require_look()?;
    let selection = selection(&mut context)?;
    let limit = context.query.take("limit")?;
    let limit =
        limit.map(|text| query::number("limit", &text, 1, LISTED_CONNECTIONS_MAX)).transpose()?;
    let limit = limit.unwrap_or(LISTED_CONNECTIONS);
    let after = context.query.take("after")?;
    let after = after.map(|text| connection_id("after", &text)).transpose()?;
    context.finish_query(SELECTIONS.into_iter().chain(["limit", "after"]))?;

    let found = context.state.present().select(selection, after, limit).await;
    let next = found.last().filter(|_| found.len() == limit).map(|(id, _)| id.to_string());
    let entry = |(id, subscriber): &(ConnectionId, Subscriber)| {
        let topics: Vec<_> = subscriber.interest.wanted().iter().map(Matcher::to_string).collect();
        let mut entry = Map::new();
        entry.insert("id".into(), id.to_string().into());
        let Identity { who, address } = &subscriber.identity;
        for (name, value) in [("sub", &who.subject), ("iss", &who.issuer), ("key", &who.key)] {
            entry.extend(value.as_deref().map(|value| (name.to_owned(), value.into())));
        }
        let address = address.map(|address| address.to_string());
        entry.extend(address.map(|address| ("address".to_owned(), address.into())));
        entry.insert("topics".into(), topics.into());
        entry.insert("since".into(), subscriber.since.rfc3339().into());
        Value::Object(entry)
    };
    let mut body = json!({ "connections": found.iter().map(entry).collect::<Vec<_>>() });
    if let Some(next) = next {
        body["next"] = next.into();
    }
    Ok(json_answer(&body))
}

/// `DELETE /connections`. Requires permission to kick. With `deny`, the identity is kept away.
pub(crate) async fn kick(mut context: RequestContext<'_>) -> Result<Answer, Problem> {
    context.caller.check_kick()?;
    let selection = selection(&mut context)?;
    let deny = context.query.take("deny")?.map(|text| deny_length(&text)).transpose()?;
    context.finish_query(SELECTIONS.into_iter().chain(["deny"]))?;
    let denied = match deny {
        None => None,
        Some(length) => {
            let now = clock::now().as_millis();
            let until = now.saturating_add(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
            Some((denied(&selection)?, Timestamp::from_millis(until)))
        }
    };
    let until = denied.as_ref().map(|(_, until)| *until);
    let state = context.state;
    if let Some((denied, until)) = denied {
        record(state, move |denials| denials.deny(denied, until)).await?;
    }
    let found = state.present().select(selection, None, usize::MAX).await;
    let ids: Vec<_> = found.into_iter().map(|(id, _)| id).collect();
    let mut body = json!({ "closed": ids.len() });
    if let Some(until) = until {
        body["denied_until"] = until.rfc3339().into();
    }
    close(state, ids).await;
    Ok(json_answer(&body))
}

/// `DELETE /connections/{id}`. Requires permission to kick.
pub(crate) async fn kick_one(context: RequestContext<'_>, raw_id: &str) -> Result<Answer, Problem> {
    context.caller.check_kick()?;
    context.finish_query([])?;
    let id = query::decode(raw_id, Plus::Itself)?.parse::<ConnectionId>();
    let id = id.map_err(|error| Problem::new(Code::ConnectionUnknown, error.to_string()))?;
    if !context.state.present().has(id).await {
        let detail = "it never existed, or is closed";
        return Err(Problem::new(Code::ConnectionUnknown, detail));
    }
    close(context.state, vec![id]).await;
    Ok(json_answer(&json!({ "closed": 1 })))
}

/// `GET /denials`. Requires permission to look.
pub(crate) fn denials(context: &RequestContext<'_>) -> Result<Answer, Problem> {
    context.require_look()?;
    context.finish_query([])?;
    let mut denials = context.state.config().denials.list();
    denials.sort_by_key(|(_, until)| *until);
    let entry = |(denied, until): &(Denied, Timestamp)| {
        let mut entry = match denied {
            Denied::Subject(subject, None) => json!({ "sub": subject }),
            Denied::Subject(subject, Some(issuer)) => json!({ "sub": subject, "iss": issuer }),
            Denied::Key(key) => json!({ "key": key }),
            Denied::Address(address) => json!({ "address": address.to_string() }),
        };
        entry["until"] = until.rfc3339().into();
        entry
    };
    let denials: Vec<_> = denials.iter().map(entry).collect();
    Ok(json_answer(&json!({ "denials": denials })))
}

/// `DELETE /denials`. Requires permission to kick.
pub(crate) async fn lift(mut context: RequestContext<'_>) -> Result<Answer, Problem> {
    context.caller.check_kick()?;
    let selection = selection(&mut context)?;
    context.finish_query(SELECTIONS)?;
    let denied = denied(&selection)?;
    let lifted = record(context.state, move |denials| denials.lift(&denied)).await?;
    Ok(json_answer(&json!({ "lifted": usize::from(lifted) })))
}

/// Closes connections in a task of its own, so that it happens whether or not the operator waits.
async fn close(state: &State, ids: Vec<ConnectionId>) {
    let engine = state.engine().clone();
    let closing = tokio::spawn(async move { engine.close(&ids, CloseReason::Kicked).await });
    let _ = closing.await;
}

/// Changes the denials, on a thread that may wait for the disk.
async fn record<T: Send + 'static>(
    state: &State,
    change: impl FnOnce(&tidings_http::denials::Denials) -> Result<T, DenyError> + Send + 'static,
) -> Result<T, Problem> {
    let denials = state.config().denials.clone();
    let changed = tokio::task::spawn_blocking(move || change(&denials)).await;
    match changed {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(DenyError::Full)) => {
            let detail = "lift one, or wait until one ends: see /denials";
            Err(Problem::new(Code::DenialsFull, detail))
        }
        Ok(Err(DenyError::Unwritten(error))) => {
            tracing::error!(%error, "cannot write the denials");
            let problem =
                Problem::new(Code::StoreFailed, "the denial is not recorded; see the log");
            Err(problem.with_header(RETRY_AFTER, HeaderValue::from_static("10")))
        }
        Err(_) => Err(Problem::new(Code::StoreFailed, "the denial is not recorded; see the log")),
    }
}

/// Takes out of the query which subscribers are meant.
fn selection(context: &mut RequestContext<'_>) -> Result<Selection, Problem> {
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
        address: address.transpose()?,
        topic: topic.transpose()?,
    };
    if selection.is_empty() {
        let detail = "say which: one of sub, iss, key, address, topic; several must all apply";
        return Err(Problem::new(Code::InvalidQuery, detail));
    }
    Ok(selection)
}

/// The identity of a selection that names one.
fn denied(selection: &Selection) -> Result<Denied, Problem> {
    match selection.clone() {
        Selection { subject: Some(subject), issuer, key: None, address: None, topic: None } => {
            Ok(Denied::Subject(subject.into(), issuer.map(Into::into)))
        }
        Selection { subject: None, issuer: None, key: Some(key), address: None, topic: None } => {
            Ok(Denied::Key(key.into()))
        }
        Selection { subject: None, issuer: None, key: None, address: Some(a), topic: None } => {
            Ok(Denied::address(a))
        }
        _ => {
            let detail = "a denial is of one `sub` (and `iss`), one `key` or one `address`";
            Err(Problem::new(Code::InvalidQuery, detail))
        }
    }
}

fn deny_length(text: &str) -> Result<Duration, Problem> {
    let length = query::duration(text);
    let length = length.filter(|length| (Duration::from_secs(1)..=DENY_MAX).contains(length));
    length.ok_or_else(|| {
        query::bad_value("deny", "`deny` is a duration from 1s to 30d, such as 1h".into())
    })
}

fn connection_id(name: &str, text: &str) -> Result<ConnectionId, Problem> {
    text.parse::<ConnectionId>().map_err(|error| query::bad_value(name, error.to_string()))
}

fn json_answer(body: &Value) -> Answer {
    Answer::Response(answer::json(body.to_string().into_bytes()))
}
