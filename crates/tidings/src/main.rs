//! The Tidings program: its commands are in [`args::Command`].

mod args;
mod certificate;
mod commands;
mod demos;
mod env;
mod error;
mod exit_code;
mod foreign_text;
mod keys;
mod output;
mod settings;
mod stores;
mod supervisor;
mod telemetry;

use std::process;

use clap::Parser as _;

fn main() -> process::ExitCode {
    let cli = args::Cli::parse();
    match commands::run(cli.command) {
        Ok(code) => code.into(),
        Err(error) => {
            output::complain(&error);
            error.code().into()
        }
    }
}
