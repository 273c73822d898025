//! `--exec`: a command for each event.

use std::io::ErrorKind;
use std::process::{ExitStatus, Stdio};

use tidings_client::MessageEvent;
use tokio::io::AsyncWriteExt as _;

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::shell;

/// Runs a command in a shell, once for each event, one after the other.
pub(super) struct Exec {
    command: String,
}

impl Exec {
    pub(super) fn new(command: &str) -> Self {
        Self { command: command.to_owned() }
    }

    /// Runs the command for `event` and waits until it ends.
    ///
    /// # Errors
    ///
    /// The command could not be run, or failed; the event then counts as not processed.
    pub(super) async fn run(&self, event: &MessageEvent) -> Result<(), CliError> {
        let mut command = shell::command(&self.command);
        command.env("TIDINGS_EVENT_TYPE", variable(event.event_type()));
        match event.last_event_id() {
            Some(id) => command.env("TIDINGS_EVENT_ID", variable(id.as_str())),
            None => command.env_remove("TIDINGS_EVENT_ID"),
        };
        let failed = |error| {
            let message = format!("{:?} cannot be run", self.command);
            CliError::new(ExitCode::Failure, message).because(error)
        };
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(failed)?;
        let mut stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin.take() {
                stdin.write_all(event.data().as_bytes()).await?;
                stdin.shutdown().await?;
            }
            Ok::<(), std::io::Error>(())
        };
        // A command may end without reading its input, and processes that it leaves behind may hold
        // the pipe open.
        let fed = tokio::select! {
            fed = feed => fed,
            status = child.wait() => return self.judge(status.map_err(failed)?, event),
        };
        match fed {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(failed(error)),
            _ => {}
        }
        self.judge(child.wait().await.map_err(failed)?, event)
    }

    fn judge(&self, status: ExitStatus, event: &MessageEvent) -> Result<(), CliError> {
        if status.success() {
            return Ok(());
        }
        let which = match event.last_event_id() {
            Some(id) => format!("the event {:?}", id.as_str()),
            None => "an event without an id".to_owned(),
        };
        let message = format!("{:?} failed ({status}) with {which}", self.command);
        Err(CliError::new(ExitCode::Failure, message)
            .hint("the event counts as not processed; `CMD || true` ignores failures"))
    }
}

/// A value for the environment: without U+0000, and short enough for the system. At the edge: cut.
fn variable(text: &str) -> String {
    let mut end = text.len().min(VARIABLE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace('\0', "\u{fffd}")
}

/// Half of what Linux allows for one variable with its name.
const VARIABLE_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_no_nul_and_is_cut_between_characters() {
        assert_eq!(variable("a\0b"), "a\u{fffd}b");
        let long = format!("x{}", "é".repeat(VARIABLE_BYTES_MAX));
        assert_eq!(variable(&long).len(), VARIABLE_BYTES_MAX - 1);
    }
}
