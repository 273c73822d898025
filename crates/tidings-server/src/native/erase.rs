//! `DELETE /events/{topic}?erase`: erases all events of the topic; with an id, one of them; with
//! `key`, those of the key. It is answered once the bytes are gone, or with 202 if that takes
//! longer than [`ERASE_PATIENCE`]: the same request, sent again, waits for it.

use http::StatusCode;
use http::header::{self, HeaderValue};
use tidings_engine::{EraseFailure, EraseTarget};
use tidings_http::answer::{self, Answer};
use tidings_http::body::RequestBody;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Plus};
use tidings_hub::{AppendError, EraseError, EventId, Key, Topic};

use super::publish_request::PublishRequest;
use crate::limits::ERASE_PATIENCE;
use crate::request::RequestContext;
use crate::store_problem;

/// What the answer says where hubs share a log.
const LEFT_IN_SHARED_LOG: &str = ",\"note\":\"the other hubs erase it from their copies when they \
    follow the log; the servers of the log keep the events until retention drops them\"";

/// Whether the request erases.
pub(super) fn asks(context: &RequestContext<'_>) -> bool {
    context.query.names().any(|name| name == "erase")
}

pub(super) async fn erase(
    mut context: RequestContext<'_>,
    raw_topic: &str,
    body: RequestBody,
) -> Result<Answer, Problem> {
    let name = query::decode(raw_topic, Plus::Itself)?;
    let topic =
        Topic::new(&*name).map_err(|error| Problem::new(Code::InvalidTopic, error.to_string()))?;
    if topic.has_wildcard() {
        let detail = "erase one topic at a time: `*` is for subscribers";
        return Err(Problem::new(Code::InvalidTopic, detail));
    }
    context.caller.check_erase(&topic)?;
    let target = target(&mut context)?;
    let request = PublishRequest::new(context, None)?;
    if !request.read_body(body, 1).await?.is_empty() {
        let detail = "leave the body out: events are erased, and none is published";
        return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", "erase"));
    }
    let what = match &target {
        EraseTarget::Topic => "topic",
        EraseTarget::Id(_) => "event",
        EraseTarget::Key(_) => "key",
    };
    let started = request.engine().erase(topic.clone(), target).map_err(|error| refused(&error))?;
    let outcome = started.wait(ERASE_PATIENCE).await;
    // Neither an id nor a key, which may be about a person.
    let who = request.context.caller.who();
    let (key, subject) = (who.key.as_deref(), who.subject.as_deref());
    match outcome {
        Some(Ok(events)) => {
            tracing::info!(%topic, what, events, key, subject, "events were erased");
            let left = if request.engine().has_shared_log() { LEFT_IN_SHARED_LOG } else { "" };
            Ok(Answer::Response(answer::json(format!("{{\"erased\":{events}{left}}}\n"))))
        }
        Some(Err(failure)) => {
            let reason = format!("{failure:?}");
            if !matches!(*failure, EraseFailure::Unknown | EraseFailure::OnlyWithKey) {
                tracing::warn!(%topic, what, key, subject, reason, "events were not erased");
            }
            Err(refused(&failure))
        }
        None => {
            tracing::info!(%topic, what, key, subject, "events are still being erased");
            let mut response = answer::json("{\"erased\":null}\n");
            *response.status_mut() = StatusCode::ACCEPTED;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            Ok(Answer::Response(response))
        }
    }
}

/// What the query asks for.
fn target(context: &mut RequestContext<'_>) -> Result<EraseTarget, Problem> {
    // `?erase=` is what a program sends that has lost the id.
    let raw = context.parts.uri.query().unwrap_or_default();
    let is_erase = |name: &str| query::decode(name, Plus::Space).is_ok_and(|name| name == "erase");
    let with_value = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| is_erase(name));
    let has_value = raw.split('&').any(with_value);
    let id = context.query.take("erase")?.unwrap_or_default().into_owned();
    let key = context.query.take("key")?.map(|text| {
        Key::new(&text).map_err(|error| query::bad_value("key", format!("`key` {error}")))
    });
    let key = key.transpose()?;
    context.finish_query(["erase", "key"])?;
    match (has_value, key) {
        (false, None) => Ok(EraseTarget::Topic),
        (false, Some(key)) => Ok(EraseTarget::Key(key)),
        (true, Some(_)) => {
            let detail = "give an id or a key: `?erase=<id>` erases one event, `?key=<key>&erase` \
                          all events of a key";
            Err(query::bad_value("erase", detail.to_owned()))
        }
        (true, None) => EventId::new(&id).ok().filter(|_| !id.is_empty()).map_or_else(
            || {
                let detail = "give the id of an event; to erase all of the topic, leave the `=` \
                              out: `?erase`";
                Err(query::bad_value("erase", detail.to_owned()))
            },
            |id| Ok(EraseTarget::Id(id)),
        ),
    }
}

fn refused(failure: &EraseFailure) -> Problem {
    match failure {
        EraseFailure::Unknown => Problem::new(
            Code::EventUnknown,
            "nothing is to be erased: the log has no such event, and has not erased one that it \
             still knows of",
        ),
        EraseFailure::OnlyWithKey => Problem::new(
            Code::InvalidQuery,
            "this event removed a key, or is of a value that grew by pieces, and the others would \
             be wrong without it: erase all events of the key with `?key=<key>&erase`",
        )
        .with("parameter", "erase"),
        EraseFailure::TooMany => {
            Problem::new(Code::TooManyErasures, "send it again when an earlier one is answered")
                .with_header(header::RETRY_AFTER, 1.into())
        }
        EraseFailure::Publish(error) => store_problem::not_published(error),
        EraseFailure::Unsupported => Problem::new(
            Code::EraseUnsupported,
            "the store of this hub keeps what is written; let retention drop the events",
        ),
        EraseFailure::Store(EraseError::Read(error)) => store_problem::not_read(error),
        EraseFailure::Store(EraseError::Store(AppendError::Full { .. })) => Problem::new(
            Code::StoreFull,
            "make room on the disk and ask again: erasing writes before it overwrites",
        ),
        _ => Problem::new(
            Code::StoreUnavailable,
            "ask again in a moment: what was erased stays erased",
        ),
    }
}
