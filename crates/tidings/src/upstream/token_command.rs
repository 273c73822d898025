//! `--token-command`: a command that prints a token.

use std::error::Error;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::shell;

/// Runs the command in a shell, and returns what it prints.
///
/// # Errors
///
/// It cannot be run, fails, prints nothing, or takes too long.
pub(super) async fn token_of(command: String) -> Result<String, Box<dyn Error + Send + Sync>> {
    let run = async {
        let mut shell = shell::command(&command);
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = shell.spawn()?;
        let mut token = String::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(TOKEN_BYTES_MAX).read_to_string(&mut token).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, token))
    };
    let ran = timeout(TOKEN_WAIT_MAX, run).await;
    let (status, token) =
        ran.map_err(|_| format!("{command:?} took longer than {} s", TOKEN_WAIT_MAX.as_secs()))??;
    match token.trim() {
        _ if !status.success() => Err(format!("{command:?} failed ({status})").into()),
        "" => Err(format!("{command:?} printed no token").into()),
        token => Ok(token.to_owned()),
    }
}

/// Longest time for a token. At the edge: the command is killed, and the attempt has failed.
const TOKEN_WAIT_MAX: Duration = Duration::from_secs(30);

/// Bytes of a token, and of the space around it. At the edge: the rest is not read.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
