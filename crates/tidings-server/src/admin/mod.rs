//! What the hub says about itself.

mod console;

use http::StatusCode;
use serde_json::json;

use crate::answer::{self, Answer};
use crate::state::State;

pub(crate) use console::Pages;

/// The description of the HTTP API (OpenAPI 3.2). Tests hold it to the routes and the problem
/// codes.
pub(crate) const OPENAPI: &str = include_str!("../../openapi.json");

/// `GET /healthz`: the process lives and answers. Whoever restarts it on failure must ask nothing
/// more.
pub(crate) fn live() -> Answer {
    Answer::Response(answer::json("{\"status\":\"ok\"}\n"))
}

/// `GET /readyz`: whether the hub takes events and subscribers, and if not, why not.
pub(crate) fn ready(state: &State) -> Answer {
    let status = state.engine.status();
    let mut reasons = Vec::new();
    if status.store_failure.is_some() {
        // What exactly failed is for the operator, who has the log.
        reasons.push("store_failed");
    }
    if status.draining || state.is_leaving() {
        reasons.push("draining");
    }
    let body = if reasons.is_empty() {
        json!({ "status": "ready" })
    } else {
        json!({ "status": "not ready", "reasons": reasons })
    };
    let mut response = answer::json(format!("{body}\n"));
    if !reasons.is_empty() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Answer::Response(response)
}

/// `GET /openapi.json`.
pub(crate) fn openapi() -> Answer {
    Answer::Response(answer::whole(StatusCode::OK, "application/json", OPENAPI))
}
