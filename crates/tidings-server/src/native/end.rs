//! `DELETE /events/{topic}`: ends the topic. Its streams get its last event and close. Later ones
//! get 204, after which a browser does not reconnect, until something is published to the topic
//! again. A publisher that is still sending a body of events to it is stopped.
//!
//! The last event is the body of the request, if it has one; otherwise the hub makes one, of type
//! `end`.

use http::request::Parts;
use tidings_engine::{PublishError, Run};
use tidings_http::answer::{self, Answer};
use tidings_http::body::RequestBody;
use tidings_http::problem::{Code, Problem};
use tidings_http::state::State;
use tidings_hub::{Appended, Draft, EventType, Kind, Topic, TopicState};

use super::body_form::BodyForm;
use super::end_block::{END, end_data};
use super::erase;
use super::fields::QueryFields;
use super::publish::acknowledgement;
use super::publish_request::PublishRequest;
use super::publish_topic::path_topic;
use super::remove::remove;
use super::state_key::StateKey;
use crate::request::RequestContext;
use crate::store_problem;

pub(crate) async fn end(
    context: RequestContext<'_>,
    raw_topic: &str,
    body: RequestBody,
) -> Result<Answer, Problem> {
    if erase::asks(&context) {
        return Box::pin(erase::erase(context, raw_topic, body)).await;
    }
    let state = context.state;
    let topic = path_topic(&context.caller, raw_topic)?;
    let mut request = PublishRequest::new(context, Some(topic.clone()))?;
    let fields = QueryFields::take(&mut request.context.query)?;
    let key = StateKey::take(&mut request.context.query)?;
    if key.is_piece() {
        let detail = "give `key` to remove a key, and its whole value; `append` publishes";
        return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", "append"));
    }
    if key.key.is_some() {
        return remove(request, topic, key, fields, body).await;
    }
    request.context.finish_query(["event", "id", "retry", "key", "erase"])?;

    let bytes = request.read_body(body, state.config().event_bytes_max).await?;
    let last = match (bytes.is_empty(), fields.any()) {
        (true, None) => own_last_event(&topic),
        (true, Some(name)) => return Err(no_data(name)),
        (false, _) => {
            check_media_type(request.context.parts)?;
            let draft = fields.draft(state.engine().epoch(), topic.clone(), &bytes)?;
            Draft { kind: Kind::LastEvent, ..draft }
        }
    };
    let drafts = vec![last];
    request.allowance.charge(&drafts);
    let appended = append(&request, &topic, drafts).await?;
    Ok(Answer::Response(answer::json(acknowledgement(&[appended]))))
}

fn own_last_event(topic: &Topic) -> Draft {
    Draft {
        event_type: Some(EventType::new(END).expect("a word")),
        kind: Kind::End,
        ..Draft::new(topic.clone(), end_data(topic))
    }
}

fn no_data(name: &str) -> Problem {
    let detail = format!("send the data of the last event as the body, or leave `{name}` out");
    Problem::new(Code::InvalidQuery, detail).with("parameter", name)
}

/// Rejects a body that would be several events elsewhere: it must not become the text of one.
fn check_media_type(parts: &Parts) -> Result<(), Problem> {
    match BodyForm::of(&parts.headers) {
        BodyForm::One => Ok(()),
        BodyForm::Lines | BodyForm::Events => Err(Problem::new(
            Code::UnsupportedMediaType,
            "the body of a DELETE is the data of one event: post several to /events/{topic}?end",
        )),
    }
}

/// Ends `topic`. If it has ended already, there is nothing to do.
async fn append(
    request: &PublishRequest<'_>,
    topic: &Topic,
    drafts: Vec<Draft>,
) -> Result<Appended, Problem> {
    let state = request.context.state;
    match known(state, topic).await? {
        Some(known) if known.ended => return Ok(repeated(state, &known).await),
        None if !state.engine().has_publisher(topic) => {
            let detail = "only a topic that has events, or a publisher, can be ended";
            return Err(Problem::new(Code::TopicUnknown, detail));
        }
        _ => {}
    }
    // From here on the engine tells this run if another request ends the topic, so look again.
    let run = Run { topic: Some(topic.clone()), begins: false };
    let stream = request.engine().publish_stream(run);
    if let Some(known) = known(state, topic).await?.filter(|known| known.ended) {
        return Ok(repeated(state, &known).await);
    }
    match state.publish_whole(&stream, drafts).await {
        Ok(mut appended) => Ok(appended.remove(0)),
        Err(error @ PublishError::TopicEnded { .. }) => match known(state, topic).await? {
            Some(known) => Ok(repeated(state, &known).await),
            None => Err(store_problem::not_published(&error)),
        },
        Err(error) => Err(store_problem::not_published(&error)),
    }
}

async fn known(state: &State, topic: &Topic) -> Result<Option<TopicState>, Problem> {
    let known = state.engine().topic(topic.clone()).await;
    known.map_err(|error| store_problem::not_read(&error))
}

async fn repeated(state: &State, known: &TopicState) -> Appended {
    let id = state.engine().event_id(known.last).await;
    Appended { position: known.last, id, duplicate: true }
}
