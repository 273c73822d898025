//! `tidings subscribe`: print events as they arrive.

mod format;

use std::error::Error;
use std::io::{self, IsTerminal};

use http::StatusCode;
use tidings_client::{
    Backoff, EventId, EventSource, Item, MessageEvent, OpenError, ReadError, Reconnecting, Refusal,
};
use url::Url;

use self::format::Format;
use super::client_runtime;
use super::publish::{TOKEN_HINT, cannot_open};
use crate::args::{HubUrl, SubscribeArgs};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;

pub(super) fn run(args: SubscribeArgs) -> Result<ExitCode, CliError> {
    let source = open(&args)?;
    client_runtime()?.block_on(print_events(source, &args))
}

fn open(args: &SubscribeArgs) -> Result<EventSource, CliError> {
    let url = events_url(&args.hub.url, args).ok_or_else(|| {
        CliError::new(ExitCode::Usage, format!("{:?} is not the URL of a hub", args.hub.url))
            .hint("such as http://127.0.0.1:3000")
    })?;
    // What a hub, or a proxy before it, says while it restarts.
    let backoff = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ]
    .into_iter()
    .fold(Backoff::new(), Backoff::temporary);
    let mut builder = EventSource::builder(&url).retry_policy(backoff);
    if let Some(token) = &args.hub.token {
        builder = builder.bearer_token(token);
    }
    if let Some(after) = &args.after {
        let id = EventId::new(after.clone()).map_err(|error| {
            CliError::new(ExitCode::Usage, "--after is no event id").because(error)
        })?;
        builder = builder.last_event_id(id);
    }
    builder.open().map_err(|error: OpenError| cannot_open(error, &args.hub))
}

/// `{hub}/events?topic=…`.
fn events_url(hub: &str, args: &SubscribeArgs) -> Option<String> {
    let mut url = Url::parse(hub).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().push("events");
    url.set_query(None);
    let mut query = url.query_pairs_mut();
    for topic in &args.topics {
        query.append_pair("topic", topic);
    }
    if let Some(last) = args.last {
        query.append_pair("last", &last.to_string());
    }
    if let Some(since) = &args.since {
        query.append_pair("since", since);
    }
    drop(query);
    Some(url.into())
}

async fn print_events(mut source: EventSource, args: &SubscribeArgs) -> Result<ExitCode, CliError> {
    let format = Format::new(args.raw, args.json);
    let remark = |text: &str| {
        if !args.quiet {
            output::remark(text);
        }
    };
    let mut out = Vec::new();
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut was_lost = false;
    while left > 0 {
        // What has come is shown as soon as there is nothing more to be had at once.
        let item = tokio::select! {
            biased;
            item = source.next() => item,
            () = std::future::ready(()), if !out.is_empty() => {
                if !output::print(&out)? {
                    return Ok(ExitCode::Success);
                }
                out.clear();
                continue;
            }
        };
        match item {
            Some(Ok(Item::Event(event))) => {
                left -= 1;
                note_reset(&event, remark);
                format.write(&mut out, event);
            }
            Some(Ok(Item::Open(_))) => {
                if was_lost {
                    remark("connected again");
                } else if io::stderr().is_terminal() {
                    remark("connected");
                }
                was_lost = false;
            }
            Some(Ok(Item::Reconnecting(lost))) => {
                was_lost = true;
                remark(&lost_sentence(&lost));
            }
            Some(Ok(Item::Skipped(error))) => remark(&format!("an event was left out: {error}")),
            Some(Ok(_)) => {}
            Some(Err(error)) if error.is_no_content() => {
                remark("the topic has ended");
                break;
            }
            Some(Err(error)) => {
                output::print(&out)?;
                return Err(refused(error, &args.hub));
            }
            None => break,
        }
        if out.len() >= UNSHOWN_BYTES_MAX {
            if !output::print(&out)? {
                return Ok(ExitCode::Success);
            }
            out.clear();
        }
    }
    output::print(&out)?;
    Ok(ExitCode::Success)
}

/// In a flood of events, so much is shown at a time.
const UNSHOWN_BYTES_MAX: usize = 64 << 10;

/// The hub's word that events may be missing is printed like any event, and said in plain words
/// too.
fn note_reset(event: &MessageEvent, remark: impl Fn(&str)) {
    if event.event_type() != format::RESET {
        return;
    }
    #[derive(serde::Deserialize)]
    struct Reset {
        reason: String,
        requested: String,
    }
    if let Ok(Reset { reason, requested }) = event.json() {
        let why = match reason.as_str() {
            "expired" => "they are no longer kept",
            "replaced" => "the hub has another history now",
            "unknown" => "the hub does not know that id",
            other => other,
        };
        remark(&format!("events after {requested:?} may be missing: {why}"));
    }
}

fn lost_sentence(lost: &Reconnecting) -> String {
    let mut text = format!("no connection ({}", lost.cause);
    let mut cause = lost.cause.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.push_str(&format!("); again in {:.1} s", lost.wait.as_secs_f64()));
    text
}

fn refused(error: ReadError, hub: &HubUrl) -> CliError {
    let detail = error.refusal().and_then(problem_sentence);
    let status = error.status();
    let message = match detail {
        Some(detail) => format!("the hub refused: {detail}"),
        None => format!("there is no event stream at {}", hub.url),
    };
    let cli = CliError::new(ExitCode::Refused, message).because(error);
    match status {
        Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => cli.hint(TOKEN_HINT),
        Some(StatusCode::NOT_FOUND) => cli.hint("is a hub there? give its address with --url"),
        _ => cli,
    }
}

/// What problem details (RFC 9457) say in words.
fn problem_sentence(refusal: &Refusal) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(&refusal.body).ok()?;
    let part = |name| problem.get(name).and_then(serde_json::Value::as_str);
    match (part("title"), part("detail")) {
        (Some(title), Some(detail)) => Some(format!("{}: {detail}", title.trim_end_matches('.'))),
        (title, detail) => title.or(detail).map(str::to_owned),
    }
}
