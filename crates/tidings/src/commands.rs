//! One file for each command.

mod backup;
mod bench;
mod check;
mod completions;
mod conformance;
mod demo;
mod doctor;
mod end;
mod erase;
mod health;
mod help;
mod man;
mod publish;
mod relay;
mod remove;
mod restore;
mod serve;
mod sign;
mod stats;
mod subscribe;
mod token;
mod topics;
mod trace;

use crate::args::Command;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Runs one command to its end.
///
/// # Errors
///
/// Why it did not come to a good one.
pub(crate) fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Publish(args) => publish::run(args),
        Command::Subscribe(args) => subscribe::run(args),
        Command::Relay(args) => relay::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Topics(args) => topics::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::End(args) => end::run(&args),
        Command::Remove(args) => remove::run(&args),
        Command::Erase(args) => erase::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Sign(args) => sign::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Help(args) => help::run(&args),
    }
}
