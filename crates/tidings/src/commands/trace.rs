//! `tidings trace`: the state of a subscriber, why it was closed, and what became of an event
//! there.

use std::fmt::Write as _;

use http::Method;
use serde_json::Value;
use tidings_client::Body;
use url::Url;

use crate::args::TraceArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::output;
use crate::runtime::client_runtime;

pub(super) fn run(args: &TraceArgs) -> Result<ExitCode, CliError> {
    let hub = HubClient::new(&args.hub)?;
    let url = url(&hub, args);
    let asked = hub.ask(Method::GET, &url, Body::empty(), ANSWER_BYTES_MAX);
    let answer = client_runtime()?.block_on(asked)?;
    let text = if args.json { format!("{answer}\n") } else { describe(&answer) };
    match args.json {
        true => output::print_json(&text)?,
        false => output::print_text(&text)?,
    };
    Ok(ExitCode::Success)
}

/// A hundred topics of four kilobytes each, as JSON may write them, and some words.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// `{hub}/connections/{id}?event=…`.
fn url(hub: &HubClient, args: &TraceArgs) -> Url {
    let mut url = hub.at(["connections", &args.id]);
    if let Some(event) = &args.event {
        url.query_pairs_mut().append_pair("event", event);
    }
    url
}

/// A few lines for people.
fn describe(told: &Value) -> String {
    let text = |name: &str| told[name].as_str().unwrap_or("?");
    let mut lines = String::new();
    let mut line = |name: &str, words: String| {
        writeln!(lines, "{name:12} {words}").expect("a String takes every write");
    };
    let state = match told["reason"].as_str() {
        Some(reason) => format!("closed: {} ({reason})", text("because")),
        None => text("state").replace('_', " "),
    };
    line(text("id"), state);
    let topics: Vec<_> = told["topics"].as_array().into_iter().flatten().collect();
    let topics: Vec<_> = topics.iter().filter_map(|topic| topic.as_str()).collect();
    line("topics", topics.join(" "));
    let began = format!("{}, {} after {}", text("since"), text("resume"), text("start_id"));
    line("since", began);
    if let Some(closed) = told["closed"].as_str() {
        line("closed", closed.to_owned());
    }
    if let Some(peer) = told["peer"].as_str() {
        line("peer", peer.to_owned());
    }
    let head = text("head_id");
    line("written", format!("up to {}; the newest event is {head}", text("written_id")));
    if let Some(skipped) = told["skipped"].as_object() {
        let id = |name: &str| skipped.get(name).and_then(Value::as_str).unwrap_or("?");
        let (after, first) = (id("after_id"), id("first_id"));
        line("skipped", format!("what lay between {after} and {first}: retention was faster"));
    }
    if let Some(event) = told["event"].as_object() {
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("?");
        line(text("id"), format!("{}: {}", text("verdict"), text("because")));
    }
    lines
}
