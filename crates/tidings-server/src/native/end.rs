//! `DELETE /events/{topic}`: the topic ends. Its streams get a last event and close; later ones are
//! turned away with 204, which is how a browser is told not to come back, until something is
//! published to it again.

use http::request::Parts;
use tidings_http::answer::{self, Answer};
use tidings_http::problem::{Code, Problem};
use tidings_http::state::State;
use tidings_hub::{Appended, Draft, EventType, Kind};

use super::end_block::{END, end_data};
use super::publish::acknowledgement;
use crate::store_problem;

pub(crate) async fn end(state: &State, parts: &Parts, raw_topic: &str) -> Result<Answer, Problem> {
    let caller = super::plain_writer(state, parts).await?;
    let topic = super::own_topic(&caller, raw_topic)?;

    let meter = super::meter(state, parts, &caller)?;

    let states = state.engine().topics(topic.as_str().to_owned(), None, 1).await;
    let states = states.map_err(|error| store_problem::not_read(&error))?;
    let known = states.into_iter().find(|known| known.topic == topic).ok_or_else(|| {
        Problem::new(Code::TopicUnknown, "only a topic that has events can be ended")
    })?;
    let appended = if known.ended {
        // It is what was asked for.
        let id = known.last.event_id(state.engine().epoch());
        vec![Appended { position: known.last, id, duplicate: true }]
    } else {
        let data = end_data(&topic);
        let draft = Draft {
            event_type: Some(EventType::new(END).expect("a word")),
            kind: Kind::End,
            ..Draft::new(topic, data)
        };
        let drafts = vec![draft];
        meter.charge(&drafts);
        let appended = state.publish(caller.share(), drafts).await;
        appended.map_err(|error| store_problem::not_published(&error))?
    };
    Ok(Answer::Response(answer::json(acknowledgement(&appended))))
}
