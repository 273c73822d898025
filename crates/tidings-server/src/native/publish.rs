//! `POST /events/{topic}`: the body as one event.

use http::request::Parts;
use tidings_engine::{OpenWill, Run};
use tidings_http::answer::{self, Answer};
use tidings_http::body::RequestBody;
use tidings_http::problem::Problem;
use tidings_http::query::Query;
use tidings_http::state::State;
use tidings_http::whole_body::WholeBody;
use tidings_hub::{Appended, Kind};

use super::fields::QueryFields;
use super::run_terms::{self, RunTerms};
use crate::store_problem;

pub(super) async fn publish(
    state: &State,
    parts: &Parts,
    raw_topic: &str,
    body: RequestBody,
) -> Result<Answer, Problem> {
    let mut query = Query::parse(parts.uri.query())?;
    let fields = QueryFields::take(&mut query)?;
    let terms = RunTerms::take(&mut query, &parts.headers)?;
    let token = query.take("token")?;
    let known = [&["event", "id", "retry"], &run_terms::PARAMETERS[..], &["token"]];
    query.finish(&known.concat())?;

    let caller = super::writer(state, parts, token.as_deref()).await?;
    let topic = super::own_topic(&caller, raw_topic)?;
    terms.check_begins(state, &topic).await?;
    let meter = super::meter(state, parts, &caller)?;
    let will = terms.leave_will(state, &caller, meter, &topic).await?;

    let read = WholeBody::read(state.body_room(), body, state.config().event_bytes_max);
    let bytes = super::before_expiry(&caller, read).await?;
    let mut draft = fields.draft(state.engine().epoch(), topic, &bytes)?;
    if terms.ends {
        draft.kind = Kind::LastEvent;
    }

    let mut drafts = vec![draft];
    meter.charge(&drafts);
    drafts.extend(will.as_ref().map(OpenWill::crossed_out));
    let appended = match terms.begins {
        false => state.publish(caller.share(), drafts).await,
        true => {
            let run = Run { topic: None, begins: true };
            let first = state.engine_for(caller.share()).publish_stream(run);
            state.publish_whole(&first, drafts).await
        }
    };
    let appended = appended.map_err(|error| store_problem::not_published(&error));
    run_terms::settle(will, appended.as_ref().err());
    Ok(Answer::Response(answer::json(acknowledgement(&appended?))))
}

/// `{"id":"k7q2ma:42"}`, and whether the event was there before.
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
