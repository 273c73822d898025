//! `tidings doctor`: what is wrong with an event stream, from where its subscribers are.
//!
//! `tidings-doctor` looks and judges; here stand the arguments, and what is printed.

mod print;

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, IsTerminal as _};

use tidings_client::ShownUrl;
use tidings_doctor::{Asked, NoAnswer, Provoke, Severity, diagnose, observe};
use tokio::time::Instant;
use url::Url;

use crate::args::DoctorArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;
use crate::runtime::client_runtime;
use crate::settings::{format_duration, parse_duration};
use crate::upstream::given_headers;

pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode, CliError> {
    let url = url(&args.url)?;
    let duration = parse_duration(&args.duration)
        .map_err(|why| CliError::new(ExitCode::Usage, format!("--for: {why}")))?;
    let headers = given_headers(&args.header)?;
    let provoke = match &args.publish {
        Some(publish) => Some(Provoke {
            url: self::url(publish)?,
            headers: given_headers(&args.publish_header)?,
            body: args.publish_data.clone(),
            mark: format!("tidings-doctor-{:x}", RandomState::new().hash_one(0)),
        }),
        None => None,
    };
    if args.publish.is_some() && !args.publish_data.contains("{}") {
        return Err(CliError::new(ExitCode::Usage, "--publish-data has no {} in it")
            .hint("it stands for the text that is looked for in the stream"));
    }
    if io::stderr().is_terminal() {
        output::remark(&format!("listening for {} …", format_duration(duration)));
    }
    let (observed, diagnosis) = client_runtime()?.block_on(async {
        let asked = Asked { url, headers, started: Instant::now() };
        let observed = observe(&asked, duration, args.origin.as_deref(), provoke.as_ref()).await;
        let diagnosis = diagnose(&observed);
        (observed, diagnosis)
    });
    let text = match args.json {
        true => format!("{:#}\n", print::json(&observed, &diagnosis)),
        false => print::text(&observed, &diagnosis),
    };
    match args.json {
        true => output::print_json(&text)?,
        false => output::print_text(&text)?,
    };
    let problem = observed.published.iter().find_map(|published| published.problem.as_ref());
    if let Some(problem) = problem {
        output::remark(&format!("an event could not be published: {problem}"));
    }
    Ok(match (diagnosis.worst(), &observed.first) {
        (_, Err(NoAnswer::Failed(_))) => ExitCode::Unreached,
        (Some(Severity::Error), _) => ExitCode::Errors,
        (Some(Severity::Warning), _) => ExitCode::Warnings,
        _ => ExitCode::Success,
    })
}

fn url(text: &str) -> Result<Url, CliError> {
    let wrong = || {
        CliError::new(ExitCode::Usage, format!("{:?} is not an http or https URL", ShownUrl(text)))
    };
    let url = Url::parse(text).map_err(|error| wrong().because(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong());
    }
    Ok(url)
}
