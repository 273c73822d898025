//! `tidings bench`: measure a hub, this one or another.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write};

use tidings_bench::{BenchArgs, PlanError, RunError};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;

pub(super) fn run(args: &BenchArgs) -> Result<ExitCode, CliError> {
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

fn unplanned(error: PlanError) -> CliError {
    CliError::new(ExitCode::Usage, error.to_string())
}

fn failed(error: RunError) -> CliError {
    let code = match error {
        RunError::NotConnected { connected: 0, .. } => ExitCode::Unreached,
        _ => ExitCode::Failure,
    };
    let cause = error.source().map(ToString::to_string);
    let failure = CliError::new(code, error.to_string());
    match cause {
        Some(cause) => failure.because(cause),
        None => failure,
    }
}
