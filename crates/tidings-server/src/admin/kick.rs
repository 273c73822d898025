//! `DELETE /connections` and `DELETE /connections/{id}`: closing streams, wherever they are, and
//! denying access.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tidings_engine::ConnectionId;
use tidings_http::answer::Answer;
use tidings_http::clock;
use tidings_http::present::Selection;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Plus};
use tidings_http::state::State;
use tidings_hub::{CloseReason, Timestamp};

use crate::admin::denials::record;
use crate::admin::selection::{self, SELECTIONS};
use crate::hubs::question::{self, Question};
use crate::limits::DENY_MAX;
use crate::request::RequestContext;
use crate::to_end::to_end;

/// `DELETE /connections`. Requires permission to kick. With `deny`, the identity is kept away.
pub(crate) async fn kick(mut context: RequestContext<'_>) -> Result<Answer, Problem> {
    context.caller.check_kick()?;
    let selection = selection::take(&mut context)?;
    let deny = context.query.take("deny")?.map(|text| deny_length(&text)).transpose()?;
    context.finish_query(SELECTIONS.into_iter().chain(["deny"]))?;
    let denied = match deny {
        None => None,
        Some(length) => {
            let now = clock::now().as_millis();
            let until = now.saturating_add(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
            Some((selection::denied(&selection)?, Timestamp::from_millis(until)))
        }
    };
    let until = denied.as_ref().map(|(_, until)| *until);
    let state = Arc::clone(context.state);
    let closing = async move {
        let denial = match denied {
            Some((denied, until)) => {
                Some(record(&state, move |denials| denials.deny(denied, until)).await?)
            }
            None => None,
        };
        let asked = Question::Close { selection: (&selection).into(), denial };
        Ok(tokio::join!(close(&state, selection), question::ask(&state, &asked)))
    };
    let (here, others) = to_end(context.state, closing).await?;
    let elsewhere = others.iter().flat_map(|others| others.by_hub.values());
    let closed = here + elsewhere.filter_map(Value::as_u64).sum::<u64>();
    let mut body = Map::new();
    body.insert("closed".into(), closed.into());
    body.extend(until.map(|until| ("denied_until".to_owned(), until.rfc3339().into())));
    question::count_in(&mut body, others.as_ref());
    Ok(question::json_answer(body))
}

/// `DELETE /connections/{id}`. Requires permission to kick.
pub(crate) async fn kick_one(context: RequestContext<'_>, raw_id: &str) -> Result<Answer, Problem> {
    context.caller.check_kick()?;
    context.finish_query([])?;
    let id = query::decode(raw_id, Plus::Itself)?.parse::<ConnectionId>();
    let id = id.map_err(|error| Problem::new(Code::ConnectionUnknown, error.to_string()))?;
    let mut others = None;
    let state = Arc::clone(context.state);
    let closing = async move { Ok(close_one(&state, id).await) };
    if !to_end(context.state, closing).await? {
        let asked = Question::CloseOne { id: id.to_string() };
        let answers = question::ask_owner(context.state, id, &asked).await?;
        let is_closed = |asked: &question::Answers| {
            asked.by_hub.values().any(|closed| *closed == Value::Bool(true))
        };
        others = Some(answers.filter(is_closed).ok_or_else(|| {
            Problem::new(Code::ConnectionUnknown, "no open connection has this id")
        })?);
    }
    let mut body = Map::new();
    body.insert("closed".into(), 1.into());
    question::count_in(&mut body, others.as_ref());
    Ok(question::json_answer(body))
}

/// Closes the subscribers of this hub that are meant. Returns how many.
pub(crate) async fn close(state: &State, selection: Selection) -> u64 {
    let found = state.present().select(selection, None, usize::MAX).await;
    let ids: Vec<_> = found.into_iter().map(|(id, _)| id).collect();
    let closed = ids.len() as u64;
    state.engine().close(&ids, CloseReason::Kicked).await;
    closed
}

/// Closes a subscriber of this hub. Returns whether it was there.
pub(crate) async fn close_one(state: &State, id: ConnectionId) -> bool {
    let is_here = state.present().has(id).await;
    if is_here {
        state.engine().close(&[id], CloseReason::Kicked).await;
    }
    is_here
}

fn deny_length(text: &str) -> Result<Duration, Problem> {
    let length = query::duration(text);
    let length = length.filter(|length| (Duration::from_secs(1)..=DENY_MAX).contains(length));
    length.ok_or_else(|| {
        query::bad_value("deny", "`deny` is a duration from 1s to 30d, such as 1h".into())
    })
}
