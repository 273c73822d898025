//! `GET /events` and `GET /events/{topic}`, in the representation that the client wants.

use http::Method;
use http::request::Parts;
use tidings_engine::Rejection;
use tidings_http::answer::Answer;
use tidings_http::problem::{Code, Problem};
use tidings_http::state::State;

use super::accept::{self, Representation};
use super::{history, stream_query, subscribe};
use crate::request::RequestContext;

pub(crate) async fn read(
    context: RequestContext<'_>,
    raw_topic: Option<&str>,
) -> Result<Answer, Problem> {
    match representation(context.parts)? {
        Representation::EventStream => subscribe::subscribe(context, raw_topic).await,
        Representation::Json => history::history(context, raw_topic).await,
    }
}

/// The answer to a reader that is not known. Where only the backend that knows it gives no answer,
/// a stream is rejected softly: another status would end a browser's `EventSource` for good.
///
/// # Errors
///
/// The problem, where it is not that.
pub(crate) fn rejected(state: &State, parts: &Parts, problem: Problem) -> Result<Answer, Problem> {
    if problem.code() != Code::AuthorizeUnavailable || !wants_stream(parts) {
        return Err(problem);
    }
    subscribe::reject(state, parts, Rejection::AuthorizeUnavailable)
}

/// Whether a read is one of an event stream.
pub(crate) fn wants_stream(parts: &Parts) -> bool {
    parts.method == Method::GET && matches!(representation(parts), Ok(Representation::EventStream))
}

/// Clients that read streams with a library for JSON ask for JSON even where they expect a stream,
/// so a parameter that only streams have outweighs `Accept`.
fn representation(parts: &Parts) -> Result<Representation, Problem> {
    match accept::representation(&parts.headers)? {
        Representation::Json if stream_query::is_of_stream(parts.uri.query()) => {
            Ok(Representation::EventStream)
        }
        representation => Ok(representation),
    }
}

/// Headers that say what a reader wants.
#[cfg(fuzzing)]
pub fn fuzz_headers(headers: &http::HeaderMap) {
    let _ = accept::representation(headers);
    if let Ok(mut query) = tidings_http::query::Query::parse(None) {
        let _ = super::start::cursor(&mut query, headers);
    }
}
