//! `DELETE /events/{topic}`: the topic ends. Its streams get its last event and close. Later ones
//! are rejected with 204, after which a browser does not come back, until something is published to
//! the topic again. A publisher that is still sending a body of events to it is stopped.
//!
//! The last event is the body of the request, if it has one; otherwise the hub's own, of type
//! `end`.

use http::request::Parts;
use tidings_engine::{PublishError, Run};
use tidings_http::answer::{self, Answer};
use tidings_http::auth::Caller;
use tidings_http::body::RequestBody;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::Query;
use tidings_http::state::State;
use tidings_http::whole_body::WholeBody;
use tidings_hub::{Appended, Draft, EventType, Kind, Topic, TopicState};

use super::body_form::BodyForm;
use super::end_block::{END, end_data};
use super::fields::QueryFields;
use super::publish::acknowledgement;
use crate::store_problem;

pub(crate) async fn end(
    state: &State,
    parts: &Parts,
    raw_topic: &str,
    body: RequestBody,
) -> Result<Answer, Problem> {
    let mut query = Query::parse(parts.uri.query())?;
    let fields = QueryFields::take(&mut query)?;
    let token = query.take("token")?;
    query.finish(&["event", "id", "retry", "token"])?;
    let caller = super::writer(state, parts, token.as_deref()).await?;
    let topic = super::own_topic(&caller, raw_topic)?;
    let meter = super::meter(state, parts, &caller)?;

    let read = WholeBody::read(state.body_room(), body, state.config().event_bytes_max);
    let bytes = super::before_expiry(&caller, read).await?;
    let last = match (bytes.is_empty(), fields.any()) {
        (true, None) => own_last_event(&topic),
        (true, Some(name)) => return Err(no_data(name)),
        (false, _) => {
            check_media_type(parts)?;
            let draft = fields.draft(state.engine().epoch(), topic.clone(), &bytes)?;
            Draft { kind: Kind::LastEvent, ..draft }
        }
    };
    let drafts = vec![last];
    meter.charge(&drafts);
    let appended = append(state, &caller, &topic, drafts).await?;
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

/// The body is one event. What is many elsewhere must not become the text of one.
fn check_media_type(parts: &Parts) -> Result<(), Problem> {
    match BodyForm::of(&parts.headers) {
        BodyForm::One => Ok(()),
        BodyForm::Lines | BodyForm::Events => Err(Problem::new(
            Code::UnsupportedMediaType,
            "the body of a DELETE is the data of one event: post several to /events/{topic}?end",
        )),
    }
}

/// Ends `topic`, unless it has ended: then what was asked for is done already.
async fn append(
    state: &State,
    caller: &Caller,
    topic: &Topic,
    drafts: Vec<Draft>,
) -> Result<Appended, Problem> {
    match known(state, topic).await? {
        Some(known) if known.ended => return Ok(repeated(state, &known)),
        None if !state.engine().has_publisher(topic) => {
            let detail = "only a topic that has events, or a publisher, can be ended";
            return Err(Problem::new(Code::TopicUnknown, detail));
        }
        _ => {}
    }
    // From here on nobody ends the topic without our knowing.
    let run = Run { topic: Some(topic.clone()), begins: false };
    let stream = state.engine_for(caller.share()).publish_stream(run);
    if let Some(known) = known(state, topic).await?.filter(|known| known.ended) {
        return Ok(repeated(state, &known));
    }
    match state.publish_whole(&stream, drafts).await {
        Ok(mut appended) => Ok(appended.remove(0)),
        Err(error @ PublishError::TopicEnded { .. }) => match known(state, topic).await? {
            Some(known) => Ok(repeated(state, &known)),
            None => Err(store_problem::not_published(&error)),
        },
        Err(error) => Err(store_problem::not_published(&error)),
    }
}

async fn known(state: &State, topic: &Topic) -> Result<Option<TopicState>, Problem> {
    let known = state.engine().topic(topic.clone()).await;
    known.map_err(|error| store_problem::not_read(&error))
}

fn repeated(state: &State, known: &TopicState) -> Appended {
    let id = known.last.event_id(state.engine().epoch());
    Appended { position: known.last, id, duplicate: true }
}
