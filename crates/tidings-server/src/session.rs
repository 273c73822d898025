//! `POST`, `GET` and `DELETE /session`: a page exchanges its token for a cookie, asks about it, and
//! ends its session.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use http::request::Parts;
use serde_json::{Value, json};
use tidings_http::answer::{self, Answer};
use tidings_http::auth::session::SessionId;
use tidings_http::auth::session::cookie::SessionName;
use tidings_http::auth::session::revoked::{EndedSession, RevokeError};
use tidings_http::auth::session::start::Session;
use tidings_http::auth::session::told::RenewedSession;
use tidings_http::foreign_page::{self, Ambient};
use tidings_http::present::Selection;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_http::state::State;
use tidings_hub::{CloseReason, Interest};

use crate::hubs::question::{self, Question};
use crate::to_end::to_end;

/// `POST /session`.
pub(crate) async fn start(state: &Arc<State>, parts: &Parts) -> Result<Answer, Problem> {
    let (name, age) = name_and_age(state, parts)?;
    let started = state.auth().start_session(state.config(), parts, &name, age).await?;
    let session = started.session.clone();
    let is_told = started.is_renewed && started.cookie.is_some();
    let (on, old, may_cut) = (Arc::clone(state), started.replaced, started.may_cut);
    let changing = async move {
        if let Some(old) = old {
            end(&on, &old).await?;
        }
        if may_cut {
            let is_cut = |interest: &Interest| !session.covers(interest, on.auth().everybody());
            close(&on, &[session.id()], CloseReason::GrantNarrowed, is_cut).await;
        }
        if is_told {
            question::ask(&on, &Question::RenewSession(session.renewed())).await;
        }
        Ok(())
    };
    to_end(state, changing).await?;
    let mut body = describe(&started.session);
    body["renewed"] = started.is_renewed.into();
    let mut response = answer::json(body.to_string());
    response.headers_mut().extend(started.cookie.map(|cookie| (SET_COOKIE, cookie)));
    Ok(Answer::Response(response))
}

/// `GET /session`. A hub without sessions has none of this browser.
pub(crate) fn read(state: &State, parts: &Parts) -> Result<Answer, Problem> {
    let name = name(parts)?;
    let mut answer = match state.auth().session(parts, &name) {
        Some((session, caller)) => {
            caller.check_page(state.config(), parts)?;
            state.auth().check_denied(caller.who(), parts)?;
            answer::json(describe(&session).to_string())
        }
        None => answer::empty(StatusCode::NO_CONTENT),
    };
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(sessions) = state.auth().sessions() {
        for cookie in sessions.removals(parts, &name, true) {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    Ok(Answer::Response(answer))
}

/// `DELETE /session`. Every cookie of the name is removed, whatever it says.
pub(crate) async fn finish(state: &Arc<State>, parts: &Parts) -> Result<Answer, Problem> {
    let name = name(parts)?;
    let sessions = state.auth().sessions()?;
    if let Some(session) = sessions.session(parts, &name) {
        foreign_page::check_change(state.config(), parts, Ambient::Cookie)?;
        foreign_page::check_session(state.config(), parts, session.origin())?;
        let on = Arc::clone(state);
        to_end(state, async move { end(&on, &session).await }).await?;
    }
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in sessions.removals(parts, &name, false) {
        headers.append(SET_COOKIE, cookie);
    }
    Ok(Answer::Response(response))
}

/// Adds to an answer that the cookies of the request that are good no more are to be removed: no
/// page can do that.
pub(crate) fn remove_stale(state: &State, parts: &Parts, answer: &mut Answer) {
    let Ok(sessions) = state.auth().sessions() else { return };
    let name = Query::parse(parts.uri.query()).and_then(|mut query| query.take("session"));
    let name = name.and_then(|name| SessionName::parse("session", name.as_deref()));
    let Ok(name) = name else { return };
    for cookie in sessions.removals(parts, &name, true) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Ends a session for good, and its streams: on this hub, and then on the others. One that does not
/// hear it hears it with a beat of this one.
async fn end(state: &State, session: &Session) -> Result<(), Problem> {
    let ended = EndedSession { session: session.id(), until: session.expires() };
    end_here(state, vec![ended]).await?;
    question::ask(state, &Question::EndSession(ended)).await;
    Ok(())
}

/// Ends sessions on this hub, for good, and then their streams.
///
/// # Errors
///
/// They cannot be recorded; then none of them has ended.
pub(crate) async fn end_here(state: &State, ended: Vec<EndedSession>) -> Result<(), Problem> {
    let revoked = state.auth().sessions()?.revoked().clone();
    // On a thread that may wait for the disk.
    let revoked = tokio::task::spawn_blocking(move || revoked.revoke_all(&ended)).await;
    let new = match revoked {
        Ok(Ok(new)) => new,
        Ok(Err(RevokeError::Full)) => {
            let detail = "too many sessions were ended before their time; try again later";
            return Err(Problem::new(Code::DenialsFull, detail));
        }
        Ok(Err(RevokeError::Unwritten(error))) => {
            tracing::error!(%error, "cannot write the sessions that were ended");
            return Err(Problem::new(Code::StoreFailed, "the session is not ended; see the log"));
        }
        Err(_) => {
            return Err(Problem::new(Code::StoreFailed, "the session is not ended; see the log"));
        }
    };
    close(state, &new, CloseReason::SessionEnded, |_| true).await;
    Ok(())
}

/// Gives the streams of this hub the grant of a session that was renewed at another.
pub(crate) async fn renew_here(state: &State, told: &RenewedSession) {
    let Ok(sessions) = state.auth().sessions() else { return };
    let renewed = sessions.renew_told(told, state.config().expiring_before);
    let Some(renewed) = renewed else { return };
    let is_cut = |interest: &Interest| !renewed.covers(interest, state.auth().everybody());
    close(state, &[renewed.id], CloseReason::GrantNarrowed, is_cut).await;
}

/// Closes those streams of sessions that are meant.
async fn close(
    state: &State,
    sessions: &[SessionId],
    reason: CloseReason,
    is_meant: impl Fn(&Interest) -> bool,
) {
    let session = match sessions {
        [] => return,
        [one] => Some(one.public()),
        _ => None,
    };
    let selection = Selection { session, ..Selection::default() };
    let found = state.present().select(selection, None, usize::MAX).await;
    // What operators know it by is short, so that another session may have the same.
    let of_it = found.into_iter().filter(|(_, subscriber)| {
        let owner = subscriber.identity.who.session.as_ref();
        owner.is_some_and(|owner| sessions.contains(&owner.id())) && is_meant(&subscriber.interest)
    });
    let ids: Vec<_> = of_it.map(|(id, _)| id).collect();
    if !ids.is_empty() {
        state.engine().close(&ids, reason).await;
    }
}

fn describe(session: &Session) -> Value {
    let [publish, subscribe] = session.topics();
    json!({
        "session_id": session.id().public(),
        "sub": session.subject(),
        "key": session.key(),
        "expires": session.expires().rfc3339(),
        "publish": publish,
        "subscribe": subscribe,
        "operate": session.operates(),
    })
}

/// The name in the query, which has nothing else.
fn name(parts: &Parts) -> Result<SessionName, Problem> {
    let mut query = Query::parse(parts.uri.query())?;
    let name = query.take("name")?;
    query.finish(["name"])?;
    SessionName::parse("name", name.as_deref())
}

/// The name in the query, and how long the session may last if nothing ends it earlier.
fn name_and_age(state: &State, parts: &Parts) -> Result<(SessionName, Option<Duration>), Problem> {
    state.auth().sessions()?;
    let mut query = Query::parse(parts.uri.query())?;
    let (name, age) = (query.take("name")?, query.take("for")?);
    query.finish(["name", "for"])?;
    let age = age.map(|text| {
        let age = query::duration(&text).filter(|age| *age >= Duration::from_secs(1));
        age.ok_or_else(|| {
            query::bad_value("for", "`for` says for how long, such as 1h; 1s at least".into())
        })
    });
    Ok((SessionName::parse("name", name.as_deref())?, age.transpose()?))
}
