//! `GET /events` and `GET /events/{topic}` as an event stream.

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use tidings_codec::encode;
use tidings_engine::{Attachment, OpenError, Opening, Rejection};
use tidings_http::answer::{self, Answer};
use tidings_http::clock::jittered_ms;
use tidings_http::problem::{Code, Problem};
use tidings_http::state::State;
use tidings_http::stream::{self, EVENT_STREAM, Stream};
use tidings_http::trace;
use tidings_hub::{ControlStyle, EventForm, Outcome, Reset, Start};

use super::bounds::Bounds;
use super::start;
use crate::store_problem;

/// Says which of three a stream is: `live`, `resumed` or `reset`.
pub(super) const TIDINGS_RESUME: HeaderName = HeaderName::from_static("tidings-resume");

pub(super) async fn subscribe(
    state: &State,
    bounds: &Bounds,
    parts: &Parts,
    raw_topic: Option<&str>,
) -> Result<Answer, Problem> {
    let (mut query, caller, interest) = super::reader(state, bounds, parts, raw_topic).await?;
    let start = start::take(&mut query, &parts.headers)?.unwrap_or(Start::Live);
    query.finish(&["topic", "last", "since", "after", "token"])?;

    if parts.method == Method::HEAD {
        let mut response = answer::empty(StatusCode::OK);
        *response.headers_mut() = stream::stream_headers();
        return Ok(Answer::Response(response));
    }
    if state.is_leaving() {
        return Ok(come_back(state, parts.version, Rejection::Draining));
    }
    let place = match state.quotas().subscribe(parts, caller.token(), caller.share()) {
        Ok(place) => place,
        Err(reason) => return Ok(come_back(state, parts.version, reason)),
    };
    let mut opening = match state.engine().open(interest, start).await {
        Ok(opening) => opening,
        Err(OpenError::Rejected(reason)) => {
            return Ok(come_back(state, parts.version, reason));
        }
        // The only answer that keeps a browser from coming back (HTML §9.2.3).
        Err(OpenError::Ended) => {
            return Ok(Answer::Response(answer::empty(StatusCode::NO_CONTENT)));
        }
        Err(OpenError::Store(error)) => return Err(store_problem::not_read(&error)),
        Err(error) => {
            tracing::error!(%error, "a subscription was not opened");
            return Err(Problem::new(Code::StoreFailed, "try again later"));
        }
    };
    opening.hold(place);
    let mut headers = stream::stream_headers();
    headers.insert(TIDINGS_RESUME, HeaderValue::from_static(opening.outcome.name()));
    let attachment = Attachment {
        control_style: ControlStyle::Native,
        event_form: EventForm::AsPublished,
        preface: preface(state, &opening),
        expires: caller.grant().expires,
        audience: None,
        hook: None,
    };
    Ok(Answer::Stream(Box::new(Stream { opening, attachment, headers })))
}

/// What a stream begins with: a comment, so that there are bytes at once; how long to wait before
/// reconnecting; and the place in the log as the last event id, so that a stream that breaks before
/// its first event resumes.
fn preface(state: &State, opening: &Opening) -> Vec<u8> {
    let mut preface = Vec::with_capacity(256);
    encode::comment(&mut preface, "tidings");
    encode::retry(&mut preface, jittered_ms(state.config().retry));
    let id = opening.position.event_id(state.engine().epoch());
    match &opening.outcome {
        Outcome::Reset { reason, requested } => {
            let first = &opening.first_id;
            Reset { reason: *reason, requested, first, id: &id }.encode(&mut preface);
        }
        Outcome::Live | Outcome::Resumed => encode::id_only(&mut preface, &id),
    }
    preface
}

/// The answer when there is no room. Any status but 200 would end a browser's `EventSource` for
/// good, so this is a stream that says when to come back, and ends.
fn come_back(state: &State, version: Version, reason: Rejection) -> Answer {
    state.counts().rejected(reason);
    trace::rejected(reason.name());
    let mut body = Vec::with_capacity(128);
    encode::comment(&mut body, reason.sentence());
    encode::retry(&mut body, jittered_ms(state.config().retry_refused));
    let mut response = answer::whole(StatusCode::OK, EVENT_STREAM, body);
    let headers = response.headers_mut();
    headers.extend(stream::stream_headers());
    if version <= Version::HTTP_11 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Answer::Response(response)
}
