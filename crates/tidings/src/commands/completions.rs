//! `tidings completions`: for shells.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;

pub(super) fn run(args: &CompletionsArgs) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tidings", &mut script);
    output::print(&script)?;
    Ok(ExitCode::Success)
}
