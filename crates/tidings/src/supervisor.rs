//! Sockets from a supervisor, and reports to it: systemd's socket activation
//! (`sd_listen_fds(3)`) and notices (`sd_notify(3)`). On other systems this does nothing.

use std::net::TcpListener;

use crate::error::CliError;

/// Sockets that are bound already.
///
/// # Errors
///
/// One of them is not a TCP socket.
#[cfg(unix)]
pub(crate) fn listeners() -> Result<Vec<TcpListener>, CliError> {
    use crate::exit_code::ExitCode;
    let mut given = listenfd::ListenFd::from_env();
    let mut listeners = Vec::new();
    for place in 0..given.len() {
        let taken = given.take_tcp_listener(place).map_err(|error| {
            let message = "cannot use a socket from the supervisor";
            CliError::new(ExitCode::CannotStart, message).because(error)
        })?;
        listeners.extend(taken);
    }
    Ok(listeners)
}

#[cfg(not(unix))]
pub(crate) fn listeners() -> Result<Vec<TcpListener>, CliError> {
    Ok(Vec::new())
}

/// The log is open, and the hub serves.
pub(crate) fn say_ready() {
    #[cfg(unix)]
    say(sd_notify::NotifyState::Ready);
}

/// The hub is shutting down.
pub(crate) fn say_stopping() {
    #[cfg(unix)]
    say(sd_notify::NotifyState::Stopping);
}

#[cfg(unix)]
fn say(what: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[what]) {
        tracing::warn!(%error, "cannot notify the supervisor");
    }
}
