//! The asynchronous runtime of a command.

use tokio::runtime::{Builder, Runtime};

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// A runtime for a command that is a client: one thread will do.
pub(crate) fn client_runtime() -> Result<Runtime, CliError> {
    Builder::new_current_thread().enable_all().build().map_err(no_runtime)
}

pub(crate) fn no_runtime(error: std::io::Error) -> CliError {
    CliError::new(ExitCode::Failure, "the runtime cannot be started").because(error)
}
