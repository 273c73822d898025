//! The start of a relay: after the last event of the topic that came from the upstream.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use tidings_client::{Body, EventId, Transport as _};

use super::names;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::{HubClient, TOKEN_HINT};

/// A page of history.
#[derive(Deserialize)]
struct Page {
    events: Vec<Stored>,
    /// An id of the hub's own making.
    next: String,
}

#[derive(Deserialize)]
struct Stored {
    id: String,
}

/// The id of the upstream's last event that the hub has; `None` if it has none.
///
/// # Errors
///
/// The hub cannot be asked. To begin just anywhere would be to lose events or to repeat them.
pub(super) async fn last_relayed(
    hub: &HubClient,
    topic: &str,
    prefix: &str,
) -> Result<Option<EventId>, CliError> {
    // Usually the last one is ours. If not, others publish to the topic, too.
    for count in [1, LOOK_BACK] {
        let page = page(hub, topic, count).await?;
        // The hub's own ids begin with the name of its log.
        let log = page.next.split_once(':').map_or("", |(log, _)| log);
        let is_the_hubs = |id: &str| id.split_once(':').is_some_and(|(name, _)| name == log);
        let ours = page.events.iter().rev().filter(|stored| !is_the_hubs(&stored.id));
        if let Some(id) = ours.filter_map(|stored| names::upstream_id(&stored.id, prefix)).next() {
            return Ok(Some(id));
        }
        if page.events.len() < count {
            break;
        }
    }
    Ok(None)
}

async fn page(hub: &HubClient, topic: &str, count: usize) -> Result<Page, CliError> {
    let unreached = || {
        CliError::new(ExitCode::Unreached, format!("cannot ask {} for its last event", hub.shown()))
    };
    let mut url = hub.at(["events"]);
    let count = count.to_string();
    let query = [("topic", topic), ("last", &count), ("limit", &count)];
    url.query_pairs_mut().extend_pairs(query);
    let mut request = Request::get(url.as_str()).header(header::ACCEPT, "application/json");
    if let Some(token) = hub.token() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Body::from(Bytes::new())).map_err(|error| {
        CliError::new(
            ExitCode::Usage,
            format!("{:?} and the token are not a valid request", hub.shown()),
        )
        .because(error)
    })?;
    let answer = hub.transport().send(request).await.map_err(|error| {
        unreached()
            .because(error)
            .hint("is a hub running there? start one with `tidings serve`, or give its --url")
    })?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), PAGE_BYTES_MAX).collect().await;
    let body = body.map_err(|error| unreached().because(error))?.to_bytes();
    match status {
        // The topic has been ended, and may be begun anew.
        StatusCode::NO_CONTENT => Ok(Page { events: Vec::new(), next: String::new() }),
        StatusCode::OK => serde_json::from_slice(&body).map_err(|error| {
            let message = format!("the server at {} is not a hub", hub.shown());
            CliError::new(ExitCode::Refused, message).because(error)
        }),
        status => {
            let message = format!("cannot read the last event of {topic:?}: {status}");
            let error = CliError::new(ExitCode::Refused, message);
            Err(match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => error.hint(format!(
                    "{TOKEN_HINT}; a relay wants to read its topic, or a --since-file"
                )),
                _ => error,
            })
        }
    }
}

/// How many events are looked through for one that is the upstream's.
const LOOK_BACK: usize = 100;

/// The most that is read of an answer: a hundred events as large as hubs take them.
const PAGE_BYTES_MAX: usize = 128 << 20;
