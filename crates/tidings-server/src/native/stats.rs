//! `GET /stats`: counters of the hub as JSON, for the console and for `curl`.
//!
//! `published` counts from the beginning of the log; `deliveries`, `writes`, `bytes_written` and
//! `closes` count from the start of the process. Ask twice to get a rate.

use serde::Serialize;
use serde_json::{Map, Value};
use tidings_http::answer::{self, Answer};
use tidings_http::problem::Problem;

use crate::hubs::question::{self, HubCount, Question};
use crate::request::RequestContext;

#[derive(Serialize)]
struct Stats {
    /// Subscribers connected now.
    subscribers: usize,
    /// Events ever published to this log.
    published: u64,
    /// Ids of the oldest event in the log, and of the newest.
    first_id: String,
    last_id: String,
    /// Bytes that the log occupies.
    store_bytes: u64,
    /// Events given to subscribers.
    deliveries: u64,
    /// Writes to subscribers, and their bytes. Under load one write carries many events.
    writes: u64,
    bytes_written: u64,
    /// Closed subscriptions by reason.
    closes: Map<String, Value>,
    draining: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_log: Option<SharedLog>,
    /// All hubs of a shared log together. Everything else is of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    hubs: Option<AllHubs>,
}

/// How a hub follows a shared log.
#[derive(Serialize)]
struct SharedLog {
    /// Seconds for which its copy has not reached the end of the log.
    behind_s: f64,
    /// Blocks that the copy, which is being fetched, lacks; absent once it had everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind_blocks: Option<u64>,
    /// Seconds for which the log has taken no events.
    away_s: f64,
    /// Blocks of the log that do not fit it.
    void_blocks: u64,
    /// Blocks that were made anew because another hub was faster.
    conflicts: u64,
    /// Erasures of the log that are to be carried out in its copy.
    erasures_pending: u64,
}

#[derive(Serialize)]
struct AllHubs {
    #[serde(flatten)]
    count: HubCount,
    /// Subscribers of those that have answered.
    subscribers: u64,
}

/// Requires permission to look.
pub(crate) async fn stats(context: &RequestContext<'_>) -> Result<Answer, Problem> {
    context.require_look()?;
    context.finish_query([])?;

    let engine = context.state.engine();
    let status = engine.status();
    let ends = vec![status.bounds.first, status.bounds.head];
    let ids = engine.event_ids(ends).await;
    let closes =
        status.closes.iter().map(|(reason, count)| (reason.name().into(), (*count).into()));
    let hubs = question::ask(context.state, &Question::Subscribers).await.map(|answers| {
        let elsewhere = answers.by_hub.values().filter_map(Value::as_u64);
        let subscribers = status.subscribers as u64 + elsewhere.sum::<u64>();
        AllHubs { count: answers.hubs, subscribers }
    });
    let stats = Stats {
        subscribers: status.subscribers,
        published: status.bounds.head.get(),
        first_id: ids[0].to_string(),
        last_id: ids[1].to_string(),
        store_bytes: status.store.bytes,
        deliveries: status.deliveries,
        writes: status.writes,
        bytes_written: status.bytes_written,
        closes: closes.collect(),
        draining: status.draining,
        shared_log: status.following.map(|following| SharedLog {
            behind_s: following.behind.as_secs_f64(),
            behind_blocks: following.fetching,
            away_s: status.store.away.map_or(0.0, |away| away.as_secs_f64()),
            void_blocks: following.void,
            conflicts: following.conflicts,
            erasures_pending: following.erasures,
        }),
        hubs,
    };
    let body = serde_json::to_vec(&stats).expect("texts and numbers only");
    Ok(Answer::Response(answer::json(body)))
}
