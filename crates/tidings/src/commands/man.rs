//! `tidings man`: manual pages, made of the help.

use clap::CommandFactory as _;

use crate::args::{Cli, ManArgs};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;

pub(super) fn run(args: &ManArgs) -> Result<ExitCode, CliError> {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).cloned();
            let unknown = || {
                let message = format!("there is no command {name:?}");
                CliError::new(ExitCode::Usage, message).hint("`tidings --help` lists them")
            };
            found.ok_or_else(unknown)?
        }
    };
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|error| {
        CliError::new(ExitCode::Failure, "the page cannot be made").because(error)
    })?;
    output::print(&page)?;
    Ok(ExitCode::Success)
}
