//! `tidings doctor`: what is wrong with an event stream, from where its subscribers are.
//!
//! `tidings-doctor` looks and judges; here stand the arguments, and what is printed.

mod certificate;
mod print;

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tidings_client::{HttpTransport, ShownUrl};
use tidings_doctor::{Asked, NoAnswer, Provoke, Severity, diagnose, observe};
use tokio::time::Instant;
use url::Url;

use crate::args::DoctorArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_url::completed;
use crate::output;
use crate::runtime::client_runtime;
use crate::settings::parse_duration;
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
            .hint("{} stands for the text to expect in the stream"));
    }
    let tls = args.trust.tls_config()?;
    let new_transport =
        move || tls.clone().map_or_else(HttpTransport::new, HttpTransport::with_tls);
    let new_transport = Arc::new(new_transport);
    let origin = args.origin.as_deref().map(origin).transpose()?;
    let observed = client_runtime()?.block_on(async {
        let asked = Asked { url, headers, new_transport, started: Instant::now() };
        let observing = observe(&asked, duration, origin.as_deref(), provoke.as_ref());
        let mut observed = countdown(observing, asked.started + duration).await;
        let url = observed.first.as_ref().map_or(&observed.url, |head| &head.url).clone();
        observed.certificate = certificate::look(&url, &args.trust).await;
        observed
    });
    let diagnosis = diagnose(&observed);
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

/// Waits for `work`, and on a terminal says meanwhile how long it listens until `end`.
async fn countdown<T>(work: impl Future<Output = T>, end: Instant) -> T {
    let is_watched = io::stderr().is_terminal();
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            now = ticks.tick(), if is_watched => {
                let left = end.saturating_duration_since(now).as_secs_f64().ceil();
                let text = match left {
                    0.0 => "trying to resume …".to_owned(),
                    left => format!("listening, {left} s left …"),
                };
                // Whether it can be drawn matters to nobody.
                let _ = write!(io::stderr(), "\r\x1b[K{text}");
            }
        }
    };
    if is_watched {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    done
}

/// The origin as browsers send it.
fn origin(text: &str) -> Result<String, CliError> {
    // What pages from files and sandboxed frames send.
    if text == "null" {
        return Ok(text.to_owned());
    }
    let wrong = |hint: String| {
        let message = format!("--origin: {:?} is no origin", ShownUrl(text));
        CliError::new(ExitCode::Usage, message).hint(hint)
    };
    let usual = || wrong("it is scheme, host and port, such as https://app.example".to_owned());
    let url = Url::parse(text).map_err(|_| usual())?;
    let origin = url.origin();
    if !origin.is_tuple() {
        return Err(usual());
    }
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(format!("give {}", origin.ascii_serialization())));
    }
    Ok(origin.ascii_serialization())
}

fn url(text: &str) -> Result<Url, CliError> {
    let text = completed(text);
    let wrong = || {
        CliError::new(ExitCode::Usage, format!("{:?} is not an http or https URL", ShownUrl(&text)))
    };
    let url = Url::parse(&text).map_err(|error| wrong().because(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong());
    }
    Ok(url)
}
