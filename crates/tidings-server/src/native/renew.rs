//! `PUT /connections/{id}/token`: another token for a stream that runs.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::request::Parts;
use serde::Deserialize;
use serde_json::json;
use tidings_engine::ConnectionId;
use tidings_http::answer::{self, Answer};
use tidings_http::auth::session::live::covers;
use tidings_http::body::RequestBody;
use tidings_http::clock;
use tidings_http::lease;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Plus, Query};
use tidings_http::state::State;
use tidings_http::whole_body::WholeBody;
use tidings_hub::Grant;

use crate::limits::HANDLE_BODY_BYTES_MAX;

#[derive(Deserialize)]
struct Body {
    handle: String,
}

/// The handle is checked first: without it, a token says nothing about who else is connected.
pub(crate) async fn renew(
    state: &State,
    parts: &Parts,
    body: RequestBody,
    raw_id: &str,
) -> Result<Answer, Problem> {
    Query::parse(parts.uri.query())?.finish([])?;
    let bearer = state.auth().renewing(parts).await?;
    let id = query::decode(raw_id, Plus::Itself)?.parse::<ConnectionId>();
    let id = id.map_err(|error| Problem::new(Code::ConnectionUnknown, error.to_string()))?;
    let body = WholeBody::read(state.body_room(), body, HANDLE_BODY_BYTES_MAX).await?;
    let shown = serde_json::from_slice::<Body>(&body);
    if !shown.is_ok_and(|body| lease::is_handle(id, &body.handle)) {
        let detail = "send {\"handle\":\"…\"} with what the stream has in `tidings.expiring`, or \
                      in the header `Tidings-Renew`";
        return Err(Problem::new(Code::HandleInvalid, detail));
    }
    if let Some(wait) = state.auth().charge_renewal(id) {
        let detail = "a stream is renewed once for each token, not more often than once a second";
        let seconds = wait.max(Duration::from_secs(1)).as_secs();
        let problem = Problem::new(Code::TooManyRenewals, detail);
        return Err(problem.with_header(RETRY_AFTER, seconds.into()));
    }
    let found = state.present().find(id).await.ok_or_else(|| {
        Problem::new(Code::ConnectionUnknown, "it is closed: open the stream again by its last id")
    })?;
    let Some(lease) = &found.identity.lease else {
        let detail = "only streams that were opened with a token that ends can be renewed";
        return Err(Problem::new(Code::NotRenewable, detail));
    };
    let who = &found.identity.who;
    if (&who.subject, &who.issuer) != (&bearer.who.subject, &bearer.who.issuer) {
        let detail = "renew with a token of the same `sub` and `iss`, or open another stream";
        return Err(Problem::new(Code::SubjectDiffers, detail));
    }
    if !covers(&bearer.grant, state.auth().everybody(), &found.interest) {
        let detail = "the token does not cover what the stream reads; it keeps the end that it has";
        return Err(Problem::new(Code::NotGranted, detail));
    }
    prolong(state, lease, &bearer.grant);
    let body = json!({ "expires": lease.ends().rfc3339() });
    Ok(Answer::Response(answer::json(body.to_string())))
}

/// Never to an earlier end: the token before is as good as it was.
fn prolong(state: &State, lease: &lease::Lease, grant: &Grant) {
    let end = grant.expires.unwrap_or(tidings_hub::Timestamp::from_millis(u64::MAX));
    if end > lease.ends() {
        lease.renew(clock::now(), end, state.config().expiring_before);
    }
}
