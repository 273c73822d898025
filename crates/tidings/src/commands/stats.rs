//! `tidings stats`: the counters of a hub.

use std::fmt::Write as _;

use http::Method;
use serde_json::Value;
use tidings_client::Body;

use crate::args::StatsArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::output;
use crate::runtime::client_runtime;

pub(super) fn run(args: &StatsArgs) -> Result<ExitCode, CliError> {
    let hub = HubClient::new(&args.hub)?;
    let url = hub.at(["stats"]);
    let asked = hub.ask(Method::GET, &url, Body::empty(), ANSWER_BYTES_MAX);
    let stats = client_runtime()?.block_on(asked)?;
    match args.json {
        true => output::print_json(&format!("{stats}\n"))?,
        false => output::print_text(&describe(&stats))?,
    };
    Ok(ExitCode::Success)
}

/// Some counters, and one for each close reason.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A line for each counter, in the hub's words, and one for each reason that closed a subscriber.
fn describe(stats: &Value) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, value: &Value| {
        let name = name.replace('_', " ");
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        writeln!(lines, "{name:<24} {value}").expect("a String takes every write");
    };
    for (name, value) in stats.as_object().into_iter().flatten() {
        match value.as_object() {
            None => line(name, value),
            Some(counts) => {
                let group = if name == "closes" { "closed" } else { name };
                let happened = counts.iter().filter(|(_, count)| **count != 0);
                happened.for_each(|(name, count)| line(&format!("{group}: {name}"), count));
            }
        }
    }
    lines
}
