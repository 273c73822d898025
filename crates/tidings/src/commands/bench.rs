//! `tidings bench`: measure a hub, this one or another.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidings_bench::{BenchArgs, PlanError, RunError};
use tidings_client::ShownUrl;

use crate::env;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::output;
use crate::upstream::{given_headers, take_last_event_id};

pub(super) fn run(args: &BenchArgs) -> Result<ExitCode, CliError> {
    let mut args = args.clone();
    let mut headers = given_headers(&args.headers)?;
    let mut publish_headers = given_headers(&args.publish_headers)?;
    // The hub of the environment, unless another server is named. Its token goes nowhere else.
    if args.url.is_none() {
        let hub = HubClient::new(&env::hub())?;
        args.url = Some(format!("{}/events/{{topic}}", hub.url()));
        if let Some(token) = hub.token() {
            let token = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| {
                CliError::new(ExitCode::Usage, "TIDINGS_TOKEN cannot be sent").because(error)
            })?;
            if args.publish_url.is_none() {
                publish_headers.entry(AUTHORIZATION).or_insert_with(|| token.clone());
            }
            headers.entry(AUTHORIZATION).or_insert(token);
        }
    }
    // From then on the ids that come in take its place.
    let start = take_last_event_id(&mut headers)?.map(|id| id.as_str().to_owned());
    args.last_event_id = args.last_event_id.or(start);
    args.headers = header_texts(&headers);
    args.publish_headers = header_texts(&publish_headers);
    let plan = args.plan().map_err(unplanned)?;
    let mut stderr = io::stderr();
    let progress = stderr.is_terminal().then_some(&mut stderr as &mut dyn Write);
    let report = tidings_bench::run(plan, progress).map_err(failed)?;
    let text = if args.json { report.to_json() + "\n" } else { report.to_string() };
    output::print(text.as_bytes())?;
    if args.verify && !report.is_clean() {
        return Err(CliError::new(ExitCode::Failure, "not every event arrived once and in order"));
    }
    Ok(ExitCode::Success)
}

/// The headers, each as it is sent.
fn header_texts(map: &HeaderMap) -> Vec<String> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    map.iter().map(text).collect()
}

fn unplanned(error: PlanError) -> CliError {
    let message = match &error {
        PlanError::Url { url, why } => format!("cannot use the URL {}: {why}", ShownUrl(url)),
        other => other.to_string(),
    };
    CliError::new(ExitCode::Usage, message)
}

fn failed(error: RunError) -> CliError {
    let code = match error {
        RunError::NotConnected { connected: 0, .. } | RunError::Unreached { .. } => {
            ExitCode::Unreached
        }
        RunError::Rejected { .. } => ExitCode::Refused,
        _ => ExitCode::Failure,
    };
    let cause = error.source().map(ToString::to_string);
    let failure = CliError::new(code, error.to_string());
    match cause {
        Some(cause) => failure.because(cause),
        None => failure,
    }
}
