//! `GET /events` and `GET /events/{topic}` as JSON: pages of history, and long polls for clients
//! that cannot stream.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::RETRY_AFTER;
use serde::Serialize;
use serde_json::json;
use tidings_engine::{Engine, FirstPage, OpenError, Rejection};
use tidings_http::accept_encoding;
use tidings_http::answer::{self, Answer};
use tidings_http::auth::Caller;
use tidings_http::headers::TIDINGS_RESUME;
use tidings_http::key_share::KeyShare;
use tidings_http::problem::{Code, Problem};
use tidings_http::query;
use tidings_http::quota;
use tidings_http::stage::Stage;
use tidings_http::state::State;
use tidings_http::trace;
use tidings_hub::{
    Epoch, EventId, Interest, Kind, Outcome, Page, Position, ReadError, Record, Removed, Reset,
    Start,
};
use tokio::time::{Instant, timeout_at};

use super::gzip_page::Cuts;
use super::{interest, start};
use crate::limits::{PAGE_EVENTS, PAGE_EVENTS_MAX, WAIT_PAUSE};
use crate::request::RequestContext;
use crate::store_problem;

pub(super) async fn history(
    mut context: RequestContext<'_>,
    raw_topic: Option<&str>,
) -> Result<Answer, Problem> {
    let interest = interest::take(&mut context, raw_topic)?;
    let query = &mut context.query;
    let cursor = start::cursor(query, &context.parts.headers)?;
    let start = start::take(query)?;
    let wants_state = start::wants_state(query)?;
    let start = start::of(cursor, start, wants_state).unwrap_or(Start::Earliest);
    let limit = query.take("limit")?;
    let limit = limit.map(|text| query::number("limit", &text, 1, PAGE_EVENTS_MAX)).transpose()?;
    let wait = query.take("wait")?;
    let wait = wait.map(|text| wait_length(&text, context.config.wait_max)).transpose()?;
    context.finish_query(["topic", "from", "last", "since", "after", "reset", "limit", "wait"])?;

    let RequestContext { state, caller, parts, .. } = context;
    if state.is_leaving() {
        return Err(Problem::new(Code::Draining, "ask again in a moment"));
    }
    let engine = state.engine();
    let poll = Poll { engine, interest, limit: limit.unwrap_or(PAGE_EVENTS) };
    let first = engine.first_page(&poll.interest, start, poll.limit).await;
    let FirstPage { resolved, mut page, ends, is_state, is_complete } =
        first.map_err(|error| not_found(state, &error))?;
    let is_reset = matches!(resolved.outcome, Outcome::Reset { .. });
    let wait = wait.filter(|_| is_complete && ends.is_empty());
    if let (true, false, Some(wait)) = (page.records.is_empty(), is_reset, wait) {
        let place = KeyShare::connect(caller.share());
        let _place = place.map_err(|reason| too_many(state, reason))?;
        let deadline = Instant::now() + wait;
        tokio::select! {
            biased;
            // A caller gets no events from after the expiry of its token.
            problem = Caller::ended(caller.ends(poll.interest.wanted())) => {
                // One whose rights come from a backend asks again, and so does the hub.
                if caller.authorized().is_none() {
                    return Err(problem);
                }
            }
            waited = poll.wait(page.reached, resolved.told, deadline) => {
                page = waited.map_err(|error| store_problem::not_read(&error))?;
            }
            // An empty page is a valid answer, and its reader asks again, perhaps another hub.
            () = state.reached(Stage::Leaving) => {}
        }
    }
    let places = vec![page.reached, resolved.whole_from(engine.bounds().first)];
    let ids = engine.event_ids(places).await;
    let ids: [EventId; 2] = ids.try_into().expect("an id for each position");
    let mut cuts = Cuts::new(engine, &parts.headers);
    let state = is_state.then_some(OfState { ends: &ends, is_complete });
    let body = render(&page, &resolved.outcome, engine, &ids, state, cuts.as_mut());
    let compressed = cuts.and_then(|cuts| cuts.compress(&body));
    let is_compressed = compressed.is_some();
    let mut response = answer::json(compressed.unwrap_or(body));
    if is_compressed {
        accept_encoding::is_gzip(response.headers_mut());
    }
    if engine.compression().is_some() {
        accept_encoding::vary(response.headers_mut());
    }
    let outcome = HeaderValue::from_static(resolved.outcome.name());
    response.headers_mut().insert(TIDINGS_RESUME, outcome);
    Ok(Answer::Response(response))
}

/// The answer to a reader whose start was not found.
fn not_found(state: &State, error: &OpenError) -> Problem {
    match error {
        OpenError::Store(error) => store_problem::not_read(error),
        OpenError::Rejected(Rejection::Draining) => {
            Problem::new(Code::Draining, "ask again in a moment")
        }
        error => {
            let wait = quota::retry_after(state.config().retry_refused);
            Problem::new(Code::StoreUnavailable, format!("{error}; ask again in a moment"))
                .with_header(RETRY_AFTER, HeaderValue::from(wait))
        }
    }
}

/// The answer to a long poll beyond the share of its key.
fn too_many(state: &State, reason: Rejection) -> Problem {
    state.counts().rejected(reason);
    trace::rejected(reason.name());
    let wait = quota::retry_after(state.config().retry_refused);
    Problem::new(Code::TooManyConnections, format!("{}; try again later", reason.sentence()))
        .with_header(RETRY_AFTER, HeaderValue::from(wait))
}

struct Poll<'a> {
    engine: &'a Engine,
    interest: Interest,
    limit: usize,
}

impl Poll<'_> {
    /// Waits for events until `deadline`. Without any, the page is empty and ends where the search
    /// ended.
    async fn wait(
        &self,
        mut after: Position,
        told: Position,
        deadline: Instant,
    ) -> Result<Page, ReadError> {
        loop {
            let next = self.engine.next_page(&self.interest, after, told, self.limit);
            let Ok(page) = timeout_at(deadline, next).await else {
                return Ok(Page { records: Vec::new(), reached: after });
            };
            let page = page?;
            if !page.records.is_empty() {
                return Ok(page);
            }
            after = page.reached;
            tokio::time::sleep(WAIT_PAUSE).await;
        }
    }
}

#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    /// Where the id is the publisher's own: the id that the hub would have made.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<&'a str>,
    topic: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alternates: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// With a key: whether the data is all of its value from now on, or a piece that is added to
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<bool>,
    /// Of a piece: where in the data the text is.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
    event: &'a str,
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
    time: String,
}

/// What only a page of the state has.
struct OfState<'a> {
    ends: &'a [Arc<Record>],
    is_complete: bool,
}

/// `{"events": […], "next": "<id>"}`. All that is an event's comes before what repeats the request.
fn render(
    page: &Page,
    outcome: &Outcome,
    engine: &Engine,
    [next, first]: &[EventId; 2],
    state: Option<OfState<'_>>,
    mut cuts: Option<&mut Cuts>,
) -> Vec<u8> {
    let epoch = engine.epoch();
    let mut json = b"{".to_vec();
    let mut list = |json: &mut Vec<u8>, name: &str, records: &[Arc<Record>]| {
        json.extend_from_slice(format!("\"{name}\":[").as_bytes());
        for (place, record) in records.iter().enumerate() {
            json.extend_from_slice(if place == 0 { b"\n" } else { b",\n" });
            if let Some(cuts) = &mut cuts {
                cuts.note(record, json.len());
            }
            write_event(json, record, epoch);
        }
        json.extend_from_slice(b"],\n");
    };
    list(&mut json, "events", &page.records);
    if let Some(OfState { ends, .. }) = &state
        && !ends.is_empty()
    {
        list(&mut json, "ends", ends);
    }
    if let Some(cuts) = cuts {
        cuts.end(json.len());
    }
    json.extend_from_slice(b"\"next\":");
    write(&mut json, &next.as_str());
    if let Some(OfState { is_complete, .. }) = state {
        json.extend_from_slice(b",\n\"complete\":");
        write(&mut json, &is_complete);
    }
    if let Outcome::Reset { reason, requested } = outcome {
        json.extend_from_slice(b",\n\"reset\":");
        let first = first.as_str();
        write(
            &mut json,
            &json!({ "reason": reason.name(), "requested": requested, "first": first }),
        );
    }
    json.extend_from_slice(b"}\n");
    json
}

fn write_event(json: &mut Vec<u8>, record: &Arc<Record>, epoch: Epoch) {
    let id = record.event_id(epoch);
    let id = id.as_str();
    let position = record.id.is_some().then(|| record.position().event_id(epoch));
    let position = position.as_ref().map(EventId::as_str);
    let removed = Removed::of(record);
    let erased = (record.kind == Kind::Erasure).then(|| EventId::new(id).expect("it is one"));
    let erased = erased.as_ref().map(|id| Reset::of_erasure(&record.topic, id));
    let data = removed.map(|removed| removed.data()).or_else(|| erased.as_ref().map(Reset::data));
    let event = Event {
        id,
        position,
        topic: record.topic.as_str(),
        alternates: record.alternates.iter().map(tidings_hub::Topic::as_str).collect(),
        key: record.key.as_ref().map(tidings_hub::Key::as_str),
        whole: record.key.as_ref().filter(|_| removed.is_none()).map(|_| record.is_whole()),
        at: record
            .piece
            .as_ref()
            .and_then(|piece| piece.at.as_ref())
            .map(tidings_hub::Pointer::as_str),
        removed: removed.is_some(),
        event: match (removed, &erased) {
            (Some(_), _) => Removed::EVENT_TYPE,
            (_, Some(_)) => Reset::EVENT_TYPE,
            _ => record.event_type_or_default(),
        },
        data: data.as_deref().unwrap_or(&record.data),
        retry: record.retry_ms,
        time: record.time().rfc3339(),
    };
    write(json, &event);
}

fn write(json: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(json, value).expect("texts and numbers only, into a Vec");
}

fn wait_length(text: &str, max: Duration) -> Result<Duration, Problem> {
    query::duration(text).filter(|wait| *wait <= max).ok_or_else(|| {
        query::bad_value("wait", format!("`wait` is a duration such as 30s, at most {max:?}"))
    })
}
