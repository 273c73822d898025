//! Commands that people give in one text, for a shell.

use tokio::process::Command;

/// The system's shell, told to run `text`.
pub(crate) fn command(text: &str) -> Command {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(shell);
    command.arg(flag).arg(text);
    command
}
