//! `GET /connections/{id}`: the state of a subscriber, what it skipped, and why it was closed; with
//! `?event=`, why it received that event, or did not.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use tidings_engine::{Connection, ConnectionId};
use tidings_http::answer::{self, Answer};
use tidings_http::problem::{Code, Problem};
use tidings_http::query;
use tidings_http::state::State;
use tidings_hub::{EventId, Matcher, StandingState, Timestamp};

use crate::hubs::question::{self, Question};
use crate::request::RequestContext;
use crate::store_problem;

#[derive(Serialize)]
struct Report {
    id: String,
    /// `live`, `blocked`, `catching_up` or `closed`.
    state: &'static str,
    /// Why it was closed: the name in the metrics, and a sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'static str>,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<String>,
    /// The writer of its bytes: `socket`, a worker; `body`, the HTTP library.
    sink: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    topics: Vec<String>,
    /// As in the `Tidings-Resume` header.
    resume: &'static str,
    /// It receives the events after this id.
    start_id: String,
    /// Everything up to this id was written to it.
    written_id: String,
    /// Id of the newest event.
    head_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<Skipped>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Event>,
}

#[derive(Serialize)]
struct Skipped {
    after_id: String,
    first_id: String,
}

#[derive(Serialize)]
struct Event {
    id: String,
    topics: Vec<String>,
    verdict: &'static str,
    because: &'static str,
}

/// Requires permission to look.
pub(crate) async fn connection(
    mut context: RequestContext<'_>,
    raw_id: &str,
) -> Result<Answer, Problem> {
    context.require_look()?;
    let event = context.query.take("event")?;
    context.finish_query(["event"])?;

    let state = context.state;
    let id = query::decode(raw_id, query::Plus::Itself)?.parse::<ConnectionId>();
    let id = id.map_err(|error| Problem::new(Code::ConnectionUnknown, error.to_string()))?;
    let event = event.map(Cow::into_owned);
    let described = match describe(state, id, event.clone()).await? {
        Some(here) => Some(here),
        None => {
            let asked = Question::Connection { id: id.to_string(), event };
            let others = question::ask_owner(state, id, &asked).await?;
            let mut answers = others.into_iter().flat_map(|others| others.by_hub.into_values());
            answers.find(|answer| !answer.is_null())
        }
    };
    let described = described.ok_or_else(|| {
        let detail =
            "it never existed, was closed too long ago, or was closed before the hub was restarted";
        Problem::new(Code::ConnectionUnknown, detail)
    })?;
    Ok(Answer::Response(answer::json(described.to_string().into_bytes())))
}

/// What this hub knows about the connection `id`, and why it received `event`, or did not.
pub(crate) async fn describe(
    state: &State,
    id: ConnectionId,
    event: Option<String>,
) -> Result<Option<Value>, Problem> {
    let Some(connection) = state.engine().connection(id).await else { return Ok(None) };
    let mut report = report(state, &connection).await;
    if let Some(id) = event {
        report.event = Some(judge(state, &connection, id).await?);
    }
    Ok(Some(serde_json::to_value(&report).expect("texts only")))
}

async fn report(state: &State, connection: &Connection) -> Report {
    let standing = &connection.standing;
    let mut places = vec![connection.started, standing.position, standing.head];
    places.extend(connection.skipped.iter().flat_map(|(after, first)| [*after, *first]));
    let ids = state.engine().event_ids(places).await;
    let mut ids = ids.iter().map(EventId::to_string);
    let mut id = || ids.next().expect("one for each place");
    let reason = match standing.state {
        StandingState::Closed(reason) => Some(reason),
        _ => None,
    };
    Report {
        id: connection.id.to_string(),
        state: standing.state.name(),
        reason: reason.map(|reason| reason.name()),
        because: reason.map(|reason| reason.sentence()),
        since: text(connection.since),
        closed: connection.closed.map(text),
        sink: if connection.direct { "socket" } else { "body" },
        peer: connection.peer.map(|peer| peer.to_string()),
        topics: standing.interest.wanted().iter().map(Matcher::to_string).collect(),
        resume: connection.began.name(),
        start_id: id(),
        written_id: id(),
        head_id: id(),
        skipped: connection.skipped.map(|_| Skipped { after_id: id(), first_id: id() }),
        event: None,
    }
}

async fn judge(state: &State, connection: &Connection, id: String) -> Result<Event, Problem> {
    let record = state.engine().record(id.clone()).await;
    let record = record.map_err(|error| store_problem::not_read(&error))?;
    Ok(match record {
        Some(record) => {
            let verdict = connection.verdict(&record);
            Event {
                id,
                topics: record.topics().map(|topic| topic.as_str().to_owned()).collect(),
                verdict: verdict.name(),
                because: verdict.sentence(),
            }
        }
        None => Event {
            id,
            topics: Vec::new(),
            verdict: "not_in_log",
            because: "no event in the log has this id: there was none, or retention dropped it",
        },
    })
}

fn text(moment: Timestamp) -> String {
    let millis = i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}
