//! `GET /events` and `GET /events/{topic}` as an event stream.

use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};
use http::request::Parts;
use tidings_engine::{Engine, OpenError, PendingSubscription, Rejection, SubscribeOptions};
use tidings_http::answer::{self, Answer};
use tidings_http::clock::jittered_ms;
use tidings_http::headers::TIDINGS_RESUME;
use tidings_http::open_stream::{self, StreamFace, StreamRequest, open_stream};
use tidings_http::problem::{Code, Problem};
use tidings_http::query::Query;
use tidings_http::response_body::Response;
use tidings_http::state::State;
use tidings_http::stream;
use tidings_hub::{
    Interest, OPENING_TYPE, Outcome, ReadError, Reset, Start, Timestamp, Topic, opening_block,
};

use super::stream_options::StreamOptions;
use super::{interest, start, stream_query};
use crate::request::RequestContext;
use crate::store_problem;

pub(super) async fn subscribe(
    mut context: RequestContext<'_>,
    raw_topic: Option<&str>,
) -> Result<Answer, Problem> {
    let interest = interest::take(&mut context, raw_topic)?;
    let RequestContext { state, parts, mut query, caller, .. } = context;
    let cursor = start::cursor(&mut query, &parts.headers)?;
    let start = start::take(&mut query)?;
    let wants_state = start::wants_state(&mut query)?;
    let options = StreamOptions::take(&mut query)?;
    stream_query::finish(&query)?;

    let is_htmx = parts.headers.contains_key("hx-request") && !options.is_plain;
    let face = NativeStream {
        options,
        ended_topic: is_htmx.then(|| first_topic(&interest)).flatten(),
        expires: caller.ends(interest.wanted()),
    };
    // A client that resumes still gets the end that it has missed.
    if options.if_open && cursor.is_none() {
        let topics = interest.exact_topics().ok_or_else(|| {
            let detail = "`if=open` is about topics: leave out patterns, or `if`";
            Problem::new(Code::InvalidQuery, detail)
        })?;
        let open = is_any_open(state.engine(), topics).await;
        if !open.map_err(|error| store_problem::not_read(&error))? {
            return Ok(Answer::Response(face.ended(state)));
        }
    }
    let lease = caller.lease(interest.wanted(), state.config());
    let request = StreamRequest {
        start: start::of(cursor, start, wants_state).unwrap_or(Start::Live),
        interest,
        token: caller.token(),
        share: caller.share(),
        who: std::sync::Arc::clone(caller.who()),
        lease,
        authorized: caller.authorized(),
        face,
    };
    open_stream(state, parts, request).await.map_err(|error| match error {
        OpenError::Store(error) => store_problem::not_read(&error),
        error => {
            tracing::error!(%error, "cannot open a subscription");
            Problem::new(Code::StoreFailed, "try again later")
        }
    })
}

/// The rejection of a request for a stream whose sender is not known.
///
/// # Errors
///
/// A 400 for a query that cannot be read.
pub(super) fn reject(state: &State, parts: &Parts, reason: Rejection) -> Result<Answer, Problem> {
    let options = StreamOptions::take(&mut Query::parse(parts.uri.query())?)?;
    let face = NativeStream { options, ended_topic: None, expires: None };
    Ok(open_stream::reject(state, parts.version, &face, reason))
}

/// Whether one of `topics` has begun, or has a publisher, and has not ended.
async fn is_any_open(engine: &Engine, topics: Vec<&Topic>) -> Result<bool, ReadError> {
    for topic in topics {
        let known = engine.topic(topic.clone()).await?;
        if known.is_some_and(|known| !known.ended) || engine.has_publisher(topic) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn first_topic(interest: &Interest) -> Option<Topic> {
    interest.exact_topics()?.first().map(|topic| Topic::clone(topic))
}

/// The form of native streams.
struct NativeStream {
    options: StreamOptions,
    /// The ended topic for which a client that ignores 204 gets an `end` block instead.
    ended_topic: Option<Topic>,
    expires: Option<Timestamp>,
}

impl StreamFace for NativeStream {
    fn headers(&self) -> HeaderMap {
        stream::stream_headers()
    }

    fn begin(
        self,
        state: &State,
        pending: &PendingSubscription,
        headers: &mut HeaderMap,
    ) -> Result<SubscribeOptions, Box<Response>> {
        let name = HeaderValue::from_static(pending.outcome.name());
        let preface = preface(state, pending, self.options).map_err(|problem| {
            let mut response = problem.into_response();
            response.headers_mut().insert(TIDINGS_RESUME, name.clone());
            Box::new(response)
        })?;
        headers.insert(TIDINGS_RESUME, name);
        Ok(SubscribeOptions {
            control_style: self.options.control_style(),
            event_form: self.options.event_form(),
            preface,
            expires: self.expires,
            audience: None,
            hook: None,
        })
    }

    fn reject(&self, reason: Rejection, retry_ms: u64, _: &mut HeaderMap) -> Vec<u8> {
        if self.options.is_plain {
            return retry_line(retry_ms);
        }
        let why = reason.sentence();
        format!("event: {OPENING_TYPE}\n: {why}\nretry: {retry_ms}\n\n").into_bytes()
    }

    fn ended(&self, state: &State) -> Response {
        let Some(topic) = &self.ended_topic else {
            return answer::empty(StatusCode::NO_CONTENT);
        };
        let id = state.engine().head_mark().event_id(state.engine().epoch());
        let block = super::end_block::last_block(&id, topic);
        let mut response = answer::whole(StatusCode::OK, stream::EVENT_STREAM, block);
        response.headers_mut().extend(stream::stream_headers());
        response
    }
}

/// The first bytes of a stream: its place in the log as the last event id, so that a stream that
/// breaks before its first event resumes, and the reconnection time.
///
/// # Errors
///
/// A 410 if events are lost for a plain stream, which cannot say so.
fn preface(
    state: &State,
    pending: &PendingSubscription,
    options: StreamOptions,
) -> Result<Vec<u8>, Problem> {
    let retry_ms = jittered_ms(state.config().retry);
    let reset = match &pending.outcome {
        Outcome::Reset { reason, requested } => Some((*reason, requested)),
        Outcome::Live | Outcome::Resumed | Outcome::State { .. } => None,
    };
    if options.is_plain {
        return match reset {
            None => Ok(retry_line(retry_ms)),
            Some((reason, requested)) => Err(Problem::new(
                Code::CursorLost,
                "start again: `from=start` for all that is kept, or `from=now` for new events",
            )
            .with("reason", reason.name())
            .with("requested", requested.as_str())
            .with("first", pending.first_id.as_str())),
        };
    }
    let mut preface = Vec::with_capacity(256);
    let id = &pending.id;
    // Before a reset it sets no id, so that a client that is cut between the two asks for the same
    // place again and still learns of the loss.
    opening_block(&mut preface, reset.is_none().then_some(id), retry_ms);
    if let Some((reason, requested)) = reset {
        Reset { reason, requested, first: &pending.first_id, id, topic: None }.encode(&mut preface);
    }
    Ok(preface)
}

/// The reconnection time as a line of the first event's block.
fn retry_line(retry_ms: u64) -> Vec<u8> {
    format!("retry: {retry_ms}\n").into_bytes()
}
