//! The Tidings program: its commands are in [`args::Command`].

mod acme;
#[cfg(all(feature = "jemalloc", target_os = "linux"))]
mod allocator;
mod args;
mod authorize;
mod certificate;
mod commands;
mod demos;
mod env;
mod error;
mod exit_code;
mod foreign_text;
mod hub_client;
mod hub_config;
mod hub_url;
mod keys;
mod limits;
mod notify;
mod open_files;
mod output;
mod private_file;
mod random;
mod reviewed;
mod runtime;
mod server_config;
mod settings;
mod shell;
mod signals;
mod store_kind;
mod stores;
mod supervisor;
mod telemetry;
mod threads;
mod ticket_keys;
mod tls_hint;
mod trust;
mod upstream;

use std::process;

use clap::Parser as _;

fn main() -> process::ExitCode {
    #[cfg(all(feature = "jemalloc", target_os = "linux"))]
    allocator::return_memory_soon();
    let cli = args::Cli::parse();
    match commands::run(cli.command) {
        Ok(code) => code.into(),
        Err(error) => {
            output::complain(&error, cli.verbose);
            error.code().into()
        }
    }
}
