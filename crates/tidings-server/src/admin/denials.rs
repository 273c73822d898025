//! `GET` and `DELETE /denials`: identities that are kept away.

use std::sync::Arc;

use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value, json};
use tidings_http::answer::Answer;
use tidings_http::denials::{Denials, Denied, DenyError};
use tidings_http::problem::{Code, Problem};
use tidings_http::state::State;
use tidings_hub::Timestamp;

use crate::admin::selection::{self, SELECTIONS};
use crate::hubs::question::{self, Question};
use crate::request::RequestContext;
use crate::to_end::to_end;

/// `GET /denials`. Requires permission to look.
pub(crate) fn denials(context: &RequestContext<'_>) -> Result<Answer, Problem> {
    context.require_look()?;
    context.finish_query([])?;
    let mut denials = context.state.config().denials.list();
    denials.sort_by_key(|(_, until)| *until);
    let entry = |(denied, until): &(Denied, Timestamp)| {
        let mut entry = match denied {
            Denied::Subject(subject, None) => json!({ "sub": subject }),
            Denied::Subject(subject, Some(issuer)) => json!({ "sub": subject, "iss": issuer }),
            Denied::Key(key) => json!({ "key": key }),
            Denied::Session(session) => json!({ "session_id": session }),
            Denied::Address(address) => json!({ "address": address.to_string() }),
        };
        entry["until"] = until.rfc3339().into();
        entry
    };
    let denials: Vec<_> = denials.iter().map(entry).collect();
    let mut body = Map::new();
    body.insert("denials".into(), denials.into());
    Ok(question::json_answer(body))
}

/// `DELETE /denials`. Requires permission to kick.
pub(crate) async fn lift(mut context: RequestContext<'_>) -> Result<Answer, Problem> {
    context.caller.check_kick()?;
    let selection = selection::take(&mut context)?;
    context.finish_query(SELECTIONS)?;
    let denied = selection::denied(&selection)?;
    let asked = Question::Lift { selection: (&selection).into() };
    let state = Arc::clone(context.state);
    let lifting = async move {
        let here = record(&state, move |denials| denials.lift(&denied)).await?;
        Ok((here, question::ask(&state, &asked).await))
    };
    let (here, others) = to_end(context.state, lifting).await?;
    let mut elsewhere = others.iter().flat_map(|others| others.by_hub.values());
    let lifted = here.is_some() || elsewhere.any(|lifted| lifted == &Value::Bool(true));
    let mut body = Map::new();
    body.insert("lifted".into(), usize::from(lifted).into());
    question::count_in(&mut body, others.as_ref());
    Ok(question::json_answer(body))
}

/// Changes the denials, on a thread that may wait for the disk.
pub(crate) async fn record<T: Send + 'static>(
    state: &State,
    change: impl FnOnce(&Denials) -> Result<T, DenyError> + Send + 'static,
) -> Result<T, Problem> {
    let denials = state.config().denials.clone();
    let changed = tokio::task::spawn_blocking(move || change(&denials)).await;
    match changed {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(DenyError::Full)) => {
            let detail = "lift one, or wait until one ends: see /denials";
            Err(Problem::new(Code::DenialsFull, detail))
        }
        Ok(Err(DenyError::Unwritten(error))) => {
            tracing::error!(%error, "cannot write the denials");
            let problem =
                Problem::new(Code::StoreFailed, "the denial is not recorded; see the log");
            Err(problem.with_header(RETRY_AFTER, HeaderValue::from_static("10")))
        }
        Err(_) => Err(Problem::new(Code::StoreFailed, "the denial is not recorded; see the log")),
    }
}
