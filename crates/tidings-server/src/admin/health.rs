//! `GET /healthz` and `GET /readyz`: probes of supervisors that restart the hub, and of load
//! balancers that send it traffic.

use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};
use tidings_http::answer::{self, Answer};
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_http::state::State;
use tidings_hub::{AppendError, Following};

/// `GET /healthz`: whether the hub works. If it does not, only a new process will: one of its
/// threads ended or does not respond. A failed store is not such a reason: the hub still serves the
/// events that it has.
pub(crate) async fn live(state: &State) -> Answer {
    answer("ok", "failing", state.engine().failures().await)
}

/// `GET /readyz`: whether the hub takes events and subscribers.
///
/// While the engine of a shared log is away, every hub on it still serves subscribers. So it stays
/// ready, or a load balancer would take all of them away at once; `?for=publish` asks about
/// publishing. A hub that was just started and is fetching its copy is not ready, and says how much
/// is left.
pub(crate) async fn ready(state: &State, parts: &Parts) -> Result<Answer, Problem> {
    let mut query = Query::parse(parts.uri.query())?;
    let for_publish = match query.take("for")?.as_deref() {
        None | Some("subscribe") => false,
        Some("publish") => true,
        Some(_) => {
            return Err(query::bad_value("for", "`for` is `publish` or `subscribe`".to_owned()));
        }
    };
    let status = state.engine().status();
    let mut reasons = state.engine().failures().await;
    // The log has the cause, for the operator.
    let failure = status.store.failure.as_ref().map(code);
    let publishing_only = status.store.away.and(failure).filter(|_| !for_publish);
    reasons.extend(failure.filter(|_| publishing_only.is_none()));
    if status.draining || state.is_leaving() {
        reasons.push("draining");
    }
    if let Some(following @ Following { fetching: Some(left), .. }) = status.following {
        reasons.push("catching_up");
        let behind_s = following.behind.as_secs();
        let body = json!({
            "status": "not ready", "reasons": reasons, "behind_blocks": left, "behind_s": behind_s
        });
        return Ok(unavailable(&body));
    }
    if state.config().tls.as_ref().is_some_and(|tls| !tls.has_certificate()) {
        reasons.push("no_certificate");
    }
    if let (Some(publishing), true) = (publishing_only, reasons.is_empty()) {
        let away_s = status.store.away.map_or(0, |away| away.as_secs());
        let behind_s = status.following.map_or(0, |following| following.behind.as_secs());
        let body = json!({
            "status": "ready", "publishing": publishing, "away_s": away_s, "behind_s": behind_s
        });
        return Ok(Answer::Response(answer::json(format!("{body}\n"))));
    }
    Ok(answer("ready", "not ready", reasons))
}

fn code(failure: &AppendError) -> &'static str {
    match failure {
        AppendError::Full { .. } => Code::StoreFull.name(),
        AppendError::Away { .. } | AppendError::Undecided { .. } => Code::StoreUnavailable.name(),
        _ => Code::StoreFailed.name(),
    }
}

fn answer(good: &str, bad: &str, reasons: Vec<&str>) -> Answer {
    if reasons.is_empty() {
        let body = json!({ "status": good });
        return Answer::Response(answer::json(format!("{body}\n")));
    }
    unavailable(&json!({ "status": bad, "reasons": reasons }))
}

fn unavailable(body: &Value) -> Answer {
    let mut response = answer::json(format!("{body}\n"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    Answer::Response(response)
}
