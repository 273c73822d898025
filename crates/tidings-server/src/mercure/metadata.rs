//! The metadata of the hub as a protected resource (RFC 9728).

use serde_json::json;

use super::claims::DETAIL_TYPE;
use super::dialect::ONE;
use super::site::Site;
use crate::answer::{self, Answer};
use crate::state::State;

pub(super) fn metadata(state: &State, site: &Site) -> Answer {
    let mut document = json!({
        "resource": site.resource,
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": [DETAIL_TYPE],
        "mercure_cookie": ONE.cookie,
    });
    if state.config.mercure.subscriptions {
        document["mercure_subscriptions"] = json!(true);
    }
    let issuers: Vec<_> = state.config.mercure.issuers.iter().map(|one| &one.name).collect();
    if !issuers.is_empty() {
        document["authorization_servers"] = json!(issuers);
    }
    Answer::Response(answer::json(document.to_string()))
}
