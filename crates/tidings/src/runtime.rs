//! The asynchronous runtime of a command.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// A runtime for a command that is a client: one thread will do.
pub(crate) fn client_runtime() -> Result<Runtime, CliError> {
    Builder::new_current_thread().enable_all().build().map_err(no_runtime)
}

/// Ends the runtime of a hub. What blocks a thread of it for longer than `patience` is left behind.
pub(crate) fn end(runtime: Runtime, patience: Duration) {
    let began = Instant::now();
    runtime.shutdown_timeout(patience);
    if began.elapsed() >= patience {
        tracing::warn!("calls that block, such as reads from a disk, are left behind");
    }
}

pub(crate) fn no_runtime(error: std::io::Error) -> CliError {
    CliError::new(ExitCode::Failure, "the runtime cannot be started").because(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_call_that_hangs_does_not_hold_up_the_end() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (return_it, returned) = channel::<()>();
        runtime.spawn_blocking(move || returned.recv());
        end(runtime, Duration::from_millis(10));
        drop(return_it);
    }
}
