//! The signals by which people and supervisors stop a program.

use std::process;

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// SIGHUP, which asks a program to read its files again. It never comes on systems without signals.
pub(crate) struct Hangup {
    #[cfg(unix)]
    signal: tokio::sync::Mutex<tokio::signal::unix::Signal>,
}

impl Hangup {
    /// Begins to listen: from here on the signal does not end the process.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    #[cfg(unix)]
    pub(crate) fn new() -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let signal = signal(SignalKind::hangup()).map_err(|error| {
            CliError::new(ExitCode::Failure, "cannot listen for signals").because(error)
        })?;
        Ok(Self { signal: signal.into() })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> Result<Self, CliError> {
        Ok(Self {})
    }

    /// Ready at the next signal.
    #[cfg(unix)]
    pub(crate) async fn next(&self) {
        if self.signal.lock().await.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    #[cfg(not(unix))]
    pub(crate) async fn next(&self) {
        std::future::pending::<()>().await;
    }
}

/// Makes a write beyond the largest size of a file fail like one to a full disk. By default the
/// signal that goes with it ends the process.
#[cfg(unix)]
pub(crate) fn survive_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    /// `SIGXFSZ`, where it is not 31 as on MIPS.
    const FILE_SIZE: i32 = 25;
    // Listening to a signal removes its default action for the life of the process.
    if let Err(error) = signal(SignalKind::from_raw(FILE_SIZE)) {
        tracing::debug!(%error, "a limit on the size of files would end the hub");
    }
}

#[cfg(not(unix))]
pub(crate) fn survive_file_size_limit() {}

/// SIGTERM and SIGINT; where there are none, Ctrl-C.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen: from here on these signals do not end the process by themselves.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    #[cfg(unix)]
    pub(crate) fn new() -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| {
                CliError::new(ExitCode::Failure, "cannot listen for signals").because(error)
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn new() -> Result<Self, CliError> {
        Ok(Self {})
    }

    /// Ready at the first signal. From then on, the next one ends the process at once.
    pub(crate) async fn first(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            process::exit(ExitCode::CutShort.number().into());
        });
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        // An error means that no signal can ever come.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
