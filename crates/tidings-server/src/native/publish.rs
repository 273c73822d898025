//! `POST /events/{topic}`: the body as one event.

use http::request::Parts;
use tidings_http::answer::{self, Answer};
use tidings_http::body::RequestBody;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_http::state::State;
use tidings_http::whole_body::WholeBody;
use tidings_hub::Appended;

use super::fields::Drafter;
use crate::store_problem;

pub(super) async fn publish(
    state: &State,
    parts: &Parts,
    raw_topic: &str,
    body: RequestBody,
) -> Result<Answer, Problem> {
    let mut query = Query::parse(parts.uri.query())?;
    let event_type = query.take("event")?;
    let id = query.take("id")?;
    let retry_ms = query.take("retry")?.map(|text| retry_ms(&text)).transpose()?;
    let token = query.take("token")?;
    query.finish(&["event", "id", "retry", "token"])?;

    let caller = super::writer(state, parts, token.as_deref()).await?;
    let topic = super::own_topic(&caller, raw_topic)?;
    let meter = super::meter(state, parts, &caller)?;

    let read = WholeBody::read(state.body_room(), body, state.config().event_bytes_max);
    let bytes = super::before_expiry(&caller, read).await?;
    let data = str::from_utf8(&bytes).map_err(|error| {
        Problem::new(Code::InvalidUtf8, "the body must be UTF-8 text; encode other bytes as text")
            .with("at", error.valid_up_to())
    })?;
    let mut drafter = Drafter::new(state.engine().epoch());
    let draft =
        drafter.draft(topic, event_type.as_deref(), id.as_deref(), retry_ms, data.into())?;

    let drafts = vec![draft];
    meter.charge(&drafts);
    let appended = state.publish(caller.share(), drafts).await;
    let appended = appended.map_err(|error| store_problem::not_published(&error))?;
    Ok(Answer::Response(answer::json(acknowledgement(&appended))))
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

fn retry_ms(text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| {
        query::bad_value("retry", "`retry` is a whole number of milliseconds".into())
    })
}
