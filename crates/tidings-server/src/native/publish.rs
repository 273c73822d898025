//! `POST /events/{topic}`: publishes the body as one event.

use tidings_engine::{OpenWill, Run};
use tidings_http::answer::{self, Answer};
use tidings_http::body::RequestBody;
use tidings_http::problem::{Code, Problem};
use tidings_hub::{Appended, Kind, Topic};

use super::fields::{QueryFields, take_ttl};
use super::publish_request::PublishRequest;
use super::run_terms::{self, RunTerms};
use super::state_key::{self, StateKey};
use crate::store_problem;

/// `request` is borrowed, because a future has room for its arguments twice.
pub(super) async fn publish(
    request: &mut PublishRequest<'_>,
    topic: Topic,
    body: RequestBody,
) -> Result<Answer, Problem> {
    let context = &mut request.context;
    let fields = QueryFields::take(&mut context.query)?;
    let ttl_s = take_ttl(&mut context.query)?;
    let key = StateKey::take(&mut context.query)?;
    let terms = RunTerms::take(&mut context.query, &context.parts.headers)?;
    let parameters = ["event", "id", "retry", "ttl"].into_iter().chain(state_key::PARAMETERS);
    context.finish_query(parameters.chain(run_terms::PARAMETERS))?;

    if terms.ends && ttl_s.is_some() {
        return Err(ends_topic());
    }
    let state = context.state;
    terms.check_begins(state, &topic).await?;
    let will = terms.leave_will(request, &topic).await?;

    let bytes = request.read_body(body, state.config().event_bytes_max).await?;
    let mut draft = fields.draft(state.engine().epoch(), topic, &bytes)?;
    draft.ttl_s = ttl_s;
    if terms.ends {
        draft.kind = Kind::LastEvent;
    }

    let mut drafts = vec![key.of(draft)?];
    request.allowance.charge(&drafts);
    drafts.extend(will.as_ref().map(OpenWill::crossed_out));
    let appended = match terms.begins {
        false => state.publish(request.context.caller.share(), drafts).await,
        true => {
            let run = Run { topic: None, begins: true };
            let first = request.engine().publish_stream(run);
            Box::pin(state.publish_whole(&first, drafts)).await
        }
    };
    let appended = appended.map_err(|error| store_problem::not_published(&error));
    run_terms::settle(will, appended.as_ref().err());
    Ok(Answer::Response(answer::json(acknowledgement(&appended?))))
}

/// The last event of a topic tells late subscribers that it has ended, as long as the log has it.
fn ends_topic() -> Problem {
    let detail = "leave `ttl` out: the last event of a topic is kept as long as any other";
    Problem::new(Code::InvalidQuery, detail).with("parameter", "ttl")
}

/// `{"id":"k7q2ma:42"}`, with `"duplicate":true` if the event was in the log before.
pub(super) fn acknowledgement(appended: &[Appended]) -> Vec<u8> {
    let mut json = Vec::with_capacity(64);
    if let Some(appended) = appended.first() {
        json.extend_from_slice(b"{\"id\":");
        serde_json::to_writer(&mut json, appended.id.as_str()).expect("a Vec takes every write");
        if appended.duplicate {
            json.extend_from_slice(b",\"duplicate\":true");
        }
        json.extend_from_slice(b"}\n");
    }
    json
}
