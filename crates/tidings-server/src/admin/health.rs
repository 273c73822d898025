//! `GET /healthz` and `GET /readyz`: probes of supervisors that restart the hub, and of load
//! balancers that send it traffic.

use http::StatusCode;
use serde_json::json;
use tidings_http::answer::{self, Answer};
use tidings_http::problem::Code;
use tidings_http::state::State;
use tidings_hub::AppendError;

/// `GET /healthz`: whether the hub works. If it does not, only a new process will: one of its
/// threads ended or does not respond. A failed store is not such a reason: the hub still serves the
/// events that it has.
pub(crate) async fn live(state: &State) -> Answer {
    answer("ok", "failing", state.engine().failures().await)
}

/// `GET /readyz`: whether the hub takes events and subscribers.
pub(crate) async fn ready(state: &State) -> Answer {
    let status = state.engine().status();
    let mut reasons = state.engine().failures().await;
    // The log has the cause, for the operator.
    reasons.extend(status.store.failure.as_ref().map(|failure| match failure {
        AppendError::Full { .. } => Code::StoreFull.name(),
        AppendError::Away { .. } | AppendError::Undecided { .. } => Code::StoreUnavailable.name(),
        _ => Code::StoreFailed.name(),
    }));
    if status.draining || state.is_leaving() {
        reasons.push("draining");
    }
    answer("ready", "not ready", reasons)
}

fn answer(good: &str, bad: &str, reasons: Vec<&str>) -> Answer {
    let body = if reasons.is_empty() {
        json!({ "status": good })
    } else {
        json!({ "status": bad, "reasons": reasons })
    };
    let mut response = answer::json(format!("{body}\n"));
    if !reasons.is_empty() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Answer::Response(response)
}
