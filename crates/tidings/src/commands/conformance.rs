//! `tidings conformance`: whether a hub speaks the Mercure protocol.

use std::fmt::Write as _;

use tidings_client::ShownUrl;
use tidings_conformance::{Dialect, Finding, Plan};
use url::Url;

use crate::args::{ConformanceArgs, MercureVersion};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_url::completed;
use crate::runtime::client_runtime;
use crate::{keys, output};

pub(super) fn run(args: &ConformanceArgs) -> Result<ExitCode, CliError> {
    let plan = plan(args)?;
    let dialects: &[Dialect] = match args.mercure_version {
        None => &Dialect::ALL,
        Some(MercureVersion::Zero) => &[Dialect::Zero],
        Some(MercureVersion::One) => &[Dialect::One],
    };
    let seen = |finding: &Finding| {
        if !args.json {
            // Whether somebody reads it does not matter to the hub that is checked.
            let _ = output::print_text(&format!("{finding}\n"));
        }
    };
    let run = tidings_conformance::run(&plan, dialects, seen);
    let report = client_runtime()?.block_on(run).map_err(|error| {
        CliError::new(ExitCode::Unreached, "the hub cannot be checked").because(error)
    })?;
    let (passed, failed, skipped) = report.counts();
    let mut text = String::new();
    if args.json {
        text = report.to_json();
        text.push('\n');
    } else {
        writeln!(text, "\n{passed} passed, {failed} failed, {skipped} skipped")
            .expect("a String takes every write");
        for (reason, count) in report.skipped() {
            writeln!(text, "{count} skipped: {reason}").expect("a String takes every write");
        }
    }
    match args.json {
        true => output::print_json(&text)?,
        false => output::print_text(&text)?,
    };
    Ok(if failed == 0 { ExitCode::Success } else { ExitCode::Failure })
}

fn plan(args: &ConformanceArgs) -> Result<Plan, CliError> {
    let text = completed(&args.url);
    let url = Url::parse(&text).map_err(|error| {
        CliError::new(ExitCode::Usage, format!("--url: {:?} is not a URL", ShownUrl(&text)))
            .because(error)
    })?;
    let secret = keys::given(&args.secret)?.ok_or_else(|| {
        CliError::new(ExitCode::Usage, "the checks need a secret that the hub knows")
            .hint("give --secret-file FILE, or TIDINGS_JWT_SECRET")
    })?;
    let subscriber = args.subscriber_secret.as_ref().map(|secret| secret.as_bytes().to_vec());
    Ok(Plan {
        url,
        subscriber_secret: subscriber.unwrap_or_else(|| secret.clone()),
        publisher_secret: secret,
        issuer: args.issuer.clone(),
        audience: args.audience.clone(),
        tls: args.trust.tls_config()?,
    })
}
