//! `tidings help`: a command's help, or a topic that belongs to none. The reference is made of the
//! same texts.

use std::fmt::Write as _;

use clap::CommandFactory as _;

use crate::args::{Cli, HelpArgs};
use crate::error::CliError;
use crate::exit_code::{self, ExitCode};
use crate::settings::{DROP_IN_VARIABLES, SETTINGS, settings, written_default_file};
use crate::{env, output};

pub(super) fn run(args: &HelpArgs) -> Result<ExitCode, CliError> {
    let text = match args.about.as_deref() {
        None => Cli::command().render_long_help().to_string(),
        Some("commands") => commands(),
        Some("environment") => environment(),
        // For `cargo xtask generate`; people use `tidings check --defaults`.
        Some("default-file") => written_default_file(SETTINGS),
        Some("exit-codes") => format!("{}\n", exit_code::TABLE),
        Some(name) => command(name)?,
    };
    output::print(text.as_bytes())?;
    Ok(ExitCode::Success)
}

/// The name of every command, one a line.
fn commands() -> String {
    Cli::command().get_subcommands().map(|command| format!("{}\n", command.get_name())).collect()
}

fn command(name: &str) -> Result<String, CliError> {
    let mut program = Cli::command();
    program.build();
    let found = program.find_subcommand_mut(name).map(clap::Command::render_long_help);
    found.map(|help| help.to_string()).ok_or_else(|| {
        let message = format!("there is no help for {name:?}");
        CliError::new(ExitCode::Usage, message)
            .hint("give a command, `commands`, `environment` or `exit-codes`")
    })
}

/// Every variable with what it does.
fn environment() -> String {
    let mut text = "Environment variables:\n".to_owned();
    let mut line = |name: &str, what: &str| {
        writeln!(text, "  {name:<26}  {what}").expect("a String takes every write");
    };
    for (name, what) in env::OTHERS {
        line(name, what);
    }
    for setting in settings() {
        line(&setting.variable(), &format!("the setting {}", setting.name));
    }
    for (name, what) in DROP_IN_VARIABLES {
        line(name, what);
    }
    text.push_str("\nWhat the settings mean: `tidings check --defaults`. Lists have commas.\n");
    text
}
