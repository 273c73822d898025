//! `DELETE /events/{topic}?key=…`: removes a key from the state of the topic. Subscribers get
//! `event: tidings.removed`. The topic goes on, and if it has ended, it stays ended.

use tidings_http::answer::{self, Answer};
use tidings_http::body::RequestBody;
use tidings_http::problem::{Code, Problem};
use tidings_hub::{Draft, Kind, Topic};

use super::fields::QueryFields;
use super::publish::acknowledgement;
use super::publish_request::PublishRequest;
use super::state_key::StateKey;
use crate::store_problem;

pub(super) async fn remove(
    request: PublishRequest<'_>,
    topic: Topic,
    key: StateKey,
    fields: QueryFields<'_>,
    body: RequestBody,
) -> Result<Answer, Problem> {
    request.context.finish_query(["key", "if-version"])?;
    if let Some(name) = fields.any() {
        return Err(not_of_a_removal(name));
    }
    let bytes_max = request.context.state.config().event_bytes_max;
    if !request.read_body(body, bytes_max).await?.is_empty() {
        let detail =
            "leave the body out: with `key`, the key is removed, and the topic does not end";
        return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", "key"));
    }
    let draft = removal(topic, key)?;
    let drafts = vec![draft];
    request.allowance.charge(&drafts);
    let appended = request.context.state.publish(request.context.caller.share(), drafts).await;
    let appended = appended.map_err(|error| store_problem::not_published(&error))?;
    Ok(Answer::Response(answer::json(acknowledgement(&appended))))
}

/// The line of a batch that removes `key`, and has the member `other`, too.
///
/// # Errors
///
/// A 400 if the line names no key, or has another member.
pub(super) fn of_line(topic: Topic, key: StateKey, other: Option<&str>) -> Result<Draft, Problem> {
    match other {
        Some(name) => Err(not_of_a_removal(name)),
        None if key.key.is_none() => {
            let detail = "`remove` is about a key: give a `key`";
            Err(Problem::new(Code::InvalidField, detail).with("field", "remove"))
        }
        None => removal(topic, key),
    }
}

fn removal(topic: Topic, key: StateKey) -> Result<Draft, Problem> {
    Ok(Draft { kind: Kind::Removal, ..key.of(Draft::new(topic, ""))? })
}

fn not_of_a_removal(name: &str) -> Problem {
    let detail =
        format!("leave `{name}` out: a key is removed without an event of the publisher's");
    Problem::new(Code::InvalidQuery, detail).with("parameter", name)
}
