//! The metadata of the hub as a protected resource (RFC 9728).

use serde_json::json;
use tidings_http::answer::{self, Answer};

use crate::claims::DETAIL_TYPE;
use crate::context::Context;
use crate::dialect::ONE;

pub(crate) fn metadata(context: &Context<'_>) -> Answer {
    let (config, site) = (context.mercure.config(), &context.site);
    let mut document = json!({
        "resource": site.resource,
        "bearer_methods_supported": ["header"],
        "authorization_details_types_supported": [DETAIL_TYPE],
        "mercure_cookie": ONE.cookie,
    });
    if config.subscriptions {
        document["mercure_subscriptions"] = json!(true);
    }
    let issuers: Vec<_> = config.issuers.iter().map(|one| &one.name).collect();
    if !issuers.is_empty() {
        document["authorization_servers"] = json!(issuers);
    }
    Answer::Response(answer::json(document.to_string()))
}
