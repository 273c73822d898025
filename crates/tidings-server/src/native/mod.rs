//! The simple API: `/events`, `/events/{topic}` and `/topics`.
//!
//! # Its contract
//!
//! *Reading* is one URL with two faces, chosen by `Accept`: an event stream ([`subscribe`]), or
//! pages of history and long polls as JSON ([`history`]). Both understand the same parameters for
//! where to start ([`start`]).
//!
//! *Writing* has three, chosen by `Content-Type`: one event ([`publish`]), a batch of JSON lines
//! ([`batch`]), an event stream ([`event_stream`]). An event is stored before it is acknowledged,
//! and what is refused leaves nothing behind, except in a stream of events, whose answer says how
//! far it came.
//!
//! A caller needs a grant for each topic it writes to and for each matcher it reads.

mod accept;
mod batch;
mod body_form;
mod bounds;
mod end;
mod end_block;
mod event_stream;
mod fields;
mod history;
mod ingest;
mod publish;
mod run_terms;
mod start;
mod stats;
mod stream_options;
mod stream_query;
mod subscribe;
mod topics;

use http::Method;
use http::header;
use http::request::Parts;
use tidings_http::answer::Answer;
use tidings_http::auth::Caller;
use tidings_http::body::RequestBody;
use tidings_http::meter::Meter;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Plus, Query};
use tidings_http::quota;
use tidings_http::state::State;
use tidings_hub::{Interest, Matcher, Topic};

use accept::Face;
use body_form::BodyForm;

/// `GET /events` and `GET /events/{topic}`.
pub(crate) async fn read(
    state: &State,
    bounds: &Bounds,
    parts: &Parts,
    topic: Option<&str>,
) -> Result<Answer, Problem> {
    match face(parts)? {
        Face::EventStream => subscribe::subscribe(state, bounds, parts, topic).await,
        Face::Json => history::history(state, bounds, parts, topic).await,
    }
}

/// What a read is one of. Clients that read streams with a library for JSON ask for JSON whatever
/// they expect; what only streams have is in their URL.
fn face(parts: &Parts) -> Result<Face, Problem> {
    match accept::face(&parts.headers)? {
        Face::Json if stream_query::is_of_stream(parts.uri.query()) => Ok(Face::EventStream),
        face => Ok(face),
    }
}

/// Whether a read is one of an event stream.
pub(crate) fn wants_stream(parts: &Parts) -> bool {
    let is_stream = matches!(face(parts), Ok(Face::EventStream));
    parts.method == Method::GET && is_stream
}

/// `POST /events` and `POST /events/{topic}`.
pub(crate) async fn write(
    state: &State,
    bounds: &Bounds,
    parts: &Parts,
    topic: Option<&str>,
    body: RequestBody,
) -> Result<Answer, Problem> {
    match (BodyForm::of(&parts.headers), topic) {
        (BodyForm::Lines, topic) => batch::publish(state, bounds, parts, topic, body).await,
        (BodyForm::Events, Some(topic)) => {
            event_stream::publish(state, bounds, parts, topic, body).await
        }
        (BodyForm::One, Some(topic)) => publish::publish(state, parts, topic, body).await,
        (BodyForm::One | BodyForm::Events, None) => Err(Problem::new(
            Code::UnsupportedMediaType,
            "post one event to /events/{topic}, or a batch as `application/x-ndjson`",
        )),
    }
}

/// Headers that say what a reader wants.
#[cfg(fuzzing)]
pub fn fuzz_headers(headers: &header::HeaderMap) {
    let _ = accept::face(headers);
    if let Ok(mut query) = Query::parse(None) {
        let _ = start::cursor(&mut query, headers);
    }
}

#[cfg(fuzzing)]
pub use batch::fuzz_ndjson;
pub(crate) use bounds::Bounds;
pub(crate) use end::end;
use run_terms::RunTerms;
pub(crate) use stats::stats;
pub(crate) use topics::topics;

/// What `work` gives, unless the caller's token expires before.
async fn before_expiry<T>(
    caller: &Caller,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    tokio::select! {
        biased;
        done = work => done,
        problem = caller.expired() => Err(problem),
    }
}

/// The topic of a path or a batch, to publish to.
fn publish_topic(text: &str) -> Result<Topic, Problem> {
    let topic =
        Topic::new(text).map_err(|error| Problem::new(Code::InvalidTopic, error.to_string()))?;
    if topic.has_wildcard() {
        let detail = "publish to one topic: `*` is for subscribers, and cannot be part of a name";
        return Err(Problem::new(Code::InvalidTopic, detail));
    }
    Ok(topic)
}

/// The topic of a path, percent-decoded, if the caller may publish to it.
fn own_topic(caller: &Caller, raw: &str) -> Result<Topic, Problem> {
    let topic = publish_topic(&query::decode(raw, Plus::Itself)?)?;
    caller.check_publish(&topic)?;
    Ok(topic)
}

/// The caller of a write. Without a token it may not be a page of a foreign origin.
async fn writer(
    state: &State,
    parts: &Parts,
    query_token: Option<&str>,
) -> Result<Caller, Problem> {
    let caller = state.auth().identify(parts, query_token).await?;
    if caller.is_anonymous() {
        state.config().cors.check_change(parts)?;
    }
    Ok(caller)
}

/// The same for a body of many events, whose query holds only the terms of a run and a token.
async fn stream_writer<'a>(
    state: &State,
    parts: &'a Parts,
) -> Result<(Caller, RunTerms<'a>), Problem> {
    let mut query = Query::parse(parts.uri.query())?;
    let terms = RunTerms::take(&mut query, &parts.headers)?;
    let token = query.take("token")?;
    query.finish(&[&run_terms::PARAMETERS[..], &["token"]].concat())?;
    Ok((writer(state, parts, token.as_deref()).await?, terms))
}

/// The caller's allowance of events and bytes.
///
/// # Errors
///
/// A 429 if it is used up.
fn meter<'a>(state: &'a State, parts: &Parts, caller: &'a Caller) -> Result<Meter<'a>, Problem> {
    state.quotas().publisher(parts, caller.token(), caller.share()).map_err(|wait| {
        let seconds = quota::retry_after(wait);
        let detail = format!("publish again in {seconds} s, and less per second");
        Problem::new(Code::TooManyPublishes, detail)
            .with("retry_after_ms", u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
            .with_header(header::RETRY_AFTER, seconds.into())
    })
}

/// What every reader's request begins with: what is left of its query, who asks, and for what.
async fn reader<'a>(
    state: &State,
    bounds: &Bounds,
    parts: &'a Parts,
    raw_topic: Option<&str>,
) -> Result<(Query<'a>, Caller, Interest), Problem> {
    let mut query = Query::parse(parts.uri.query())?;
    let token = query.take("token")?;
    let caller = state.auth().identify(parts, token.as_deref()).await?;
    let interest = interest(raw_topic, &mut query, &caller, bounds.matchers_max)?;
    Ok((query, caller, interest))
}

/// What a reader asks for, by the path or by `?topic=`, checked against what it may read.
fn interest(
    raw_topic: Option<&str>,
    query: &mut Query<'_>,
    caller: &Caller,
    matchers_max: usize,
) -> Result<Interest, Problem> {
    let mut asked = Vec::new();
    if let Some(raw) = raw_topic {
        asked.push(query::decode(raw, Plus::Itself)?);
    }
    asked.extend(query.take_all("topic"));
    if asked.len() > matchers_max {
        return Err(query::bad_value(
            "topic",
            format!("ask for at most {matchers_max} topics, or for a pattern that covers them"),
        )
        .with("matchers_max", matchers_max));
    }
    let granted = &caller.grant().subscribe;
    if asked.is_empty() {
        if granted.is_empty() {
            return Err(tidings_http::auth::forbidden(
                "the token allows no topic to be read".into(),
            ));
        }
        return Ok(Interest::new(granted.clone(), granted.clone()));
    }
    let mut wanted = Vec::with_capacity(asked.len());
    for text in asked {
        let matcher = Matcher::parse(&text)
            .map_err(|error| Problem::new(Code::InvalidMatcher, error.to_string()))?;
        caller.check_subscribe(&matcher)?;
        wanted.push(matcher);
    }
    Ok(Interest::new(wanted, granted.clone()))
}
