//! `tidings topics`: the topics that have events, page by page.

use http::Method;
use serde_json::Value;
use tidings_client::Body;

use crate::args::TopicsArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::output;
use crate::runtime::client_runtime;

pub(super) fn run(args: &TopicsArgs) -> Result<ExitCode, CliError> {
    let hub = HubClient::new(&args.hub)?;
    client_runtime()?.block_on(list(&hub, args))?;
    Ok(ExitCode::Success)
}

async fn list(hub: &HubClient, args: &TopicsArgs) -> Result<(), CliError> {
    let mut left = args.count.unwrap_or(usize::MAX);
    let mut after: Option<String> = None;
    let mut is_first = true;
    while left > 0 {
        let mut url = hub.at(["topics"]);
        let limit = left.min(PAGE_TOPICS).to_string();
        url.query_pairs_mut().append_pair("prefix", &args.prefix).append_pair("limit", &limit);
        if let Some(after) = &after {
            url.query_pairs_mut().append_pair("after", after);
        }
        let page = hub.ask(Method::GET, &url, Body::empty(), PAGE_BYTES_MAX).await?;
        let topics = page["topics"].as_array().map_or(&[][..], Vec::as_slice);
        left = left.saturating_sub(topics.len());
        let is_read = match args.json {
            true => output::print_json(&lines(topics))?,
            false => output::print_text(&table(topics, is_first))?,
        };
        is_first = false;
        let next = page["next"].as_str();
        // A page without an end would be asked for without an end, too.
        if !is_read || next.is_none() || next == after.as_deref() {
            break;
        }
        after = next.map(str::to_owned);
    }
    Ok(())
}

/// The most that a hub gives at once.
const PAGE_TOPICS: usize = 1000;

/// A thousand topics of four kilobytes each, as JSON may write them.
const PAGE_BYTES_MAX: usize = 32 << 20;

fn lines(topics: &[Value]) -> String {
    topics.iter().map(|topic| format!("{topic}\n")).collect()
}

/// A line for each; the names come last, since they have any length.
fn table(topics: &[Value], with_head: bool) -> String {
    let row = |[events, bytes, keys, subscribers]: [&str; 4], id: &str, topic: &str| {
        format!("{events:>10}  {bytes:>12}  {keys:>8}  {subscribers:>11}  {id:<20}  {topic}\n")
    };
    let head = with_head && !topics.is_empty();
    let names = ["events", "bytes", "keys", "subscribers"];
    let head = head.then(|| row(names, "last id", "topic"));
    let rows = topics.iter().map(|topic| {
        let text = |name: &str| topic[name].as_str().unwrap_or("?");
        let numbers = names.map(|name| topic[name].as_u64().unwrap_or_default().to_string());
        let ended = if topic["ended"] == true { " (ended)" } else { "" };
        let name = format!("{}{ended}", text("topic"));
        row(numbers.each_ref().map(String::as_str), text("last_id"), &name)
    });
    head.into_iter().chain(rows).collect()
}
