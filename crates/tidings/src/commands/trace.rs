//! `tidings trace`: the state of a subscriber, why it was closed, and what became of an event
//! there.

use std::fmt::Write as _;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tidings_client::{Body, HttpTransport, Transport};
use url::Url;

use crate::args::{HubUrl, TraceArgs};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;
use crate::runtime::client_runtime;
use crate::upstream::TOKEN_HINT;

pub(super) fn run(args: &TraceArgs) -> Result<ExitCode, CliError> {
    let answer = client_runtime()?.block_on(async {
        let asked = tokio::time::timeout(PATIENCE, ask(args)).await;
        asked.unwrap_or_else(|late| Err(unreached(&args.hub, late)))
    })?;
    let text = if args.json { format!("{answer}\n") } else { describe(&answer) };
    match args.json {
        true => output::print_json(&text)?,
        false => output::print_text(&text)?,
    };
    Ok(ExitCode::Success)
}

/// A healthy hub answers at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A hundred topics of four kilobytes each, as JSON may write them, and some words.
const ANSWER_BYTES_MAX: usize = 4 << 20;

async fn ask(args: &TraceArgs) -> Result<Value, CliError> {
    let url = url(args).ok_or_else(|| {
        CliError::new(ExitCode::Usage, format!("{:?} is not the URL of a hub", args.hub.shown()))
            .hint("such as http://127.0.0.1:3000")
    })?;
    let mut request = Request::get(url.as_str()).header("accept", "application/json");
    if let Some(token) = &args.hub.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).map_err(|error| {
        let message = format!("{:?} and the token make no request", args.hub.shown());
        CliError::new(ExitCode::Usage, message).because(error)
    })?;
    let answer = HttpTransport::new().send(request).await;
    let (head, body) = answer.map_err(|error| unreached(&args.hub, error))?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| unreached(&args.hub, error))?.to_bytes();
    let json = serde_json::from_slice::<Value>(&body);
    if !head.status.is_success() {
        let text = |name: &str| {
            let json = json.as_ref().ok();
            json.and_then(|json| json[name].as_str()).unwrap_or_default().to_owned()
        };
        let message = format!("the hub refused ({}): {}", head.status, text("detail"));
        let error = CliError::new(ExitCode::Refused, message);
        let wants_token = matches!(head.status.as_u16(), 401 | 403);
        return Err(if wants_token { error.hint(TOKEN_HINT) } else { error });
    }
    json.map_err(|error| {
        let message = format!("what answers at {} is no hub", args.hub.shown());
        CliError::new(ExitCode::Failure, message).because(error)
    })
}

/// `{hub}/connections/{id}?event=…`.
fn url(args: &TraceArgs) -> Option<Url> {
    let mut url = Url::parse(&args.hub.url).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(["connections", &args.id]);
    url.set_query(None);
    if let Some(event) = &args.event {
        url.query_pairs_mut().append_pair("event", event);
    }
    Some(url)
}

fn unreached(hub: &HubUrl, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CliError {
    CliError::new(ExitCode::Unreached, format!("cannot ask {}", hub.shown()))
        .because(error)
        .hint("is a hub running there? give its --url")
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
