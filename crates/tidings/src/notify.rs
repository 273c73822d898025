//! The receivers of what happens to connections, for the server's configuration.

use std::fs;

use tidings_server::{NotifyReceiver, NotifySecrets};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::NotifyTable;

/// A receiver, with its secrets. Reads their files.
///
/// # Errors
///
/// A part of the table is wrong, or a file cannot be read.
pub(crate) fn receiver(table: &NotifyTable) -> Result<NotifyReceiver, CliError> {
    let wrong = |error| {
        let message = format!("{}: the receiver is wrong", table.origin);
        CliError::new(ExitCode::Configuration, message).because(error)
    };
    let secrets = NotifySecrets::new(&secrets(table)?).map_err(wrong)?;
    let mut receiver = NotifyReceiver::new(&table.url, secrets).map_err(wrong)?;
    receiver.addresses = table.addresses.unwrap_or(false);
    Ok(receiver)
}

/// Reads the secrets of running receivers again. What is wrong changes nothing.
pub(crate) fn reload(tables: &[NotifyTable], receivers: &[NotifyReceiver]) {
    for (table, receiver) in tables.iter().zip(receivers) {
        if table.secret_files.is_empty() {
            continue;
        }
        let place = receiver.place();
        let replaced = secrets(table).and_then(|secrets| {
            receiver
                .secrets()
                .replace(&secrets)
                .map_err(|error| CliError::new(ExitCode::Configuration, error.to_string()))
        });
        match replaced {
            Ok(()) => tracing::info!(receiver = place, "the secrets of the receiver are reloaded"),
            Err(error) => tracing::error!(
                receiver = place,
                %error,
                "the secrets of the receiver stay as they are"
            ),
        }
    }
}

fn secrets(table: &NotifyTable) -> Result<Vec<String>, CliError> {
    let mut secrets = table.secrets.clone();
    for file in &table.secret_files {
        let text = fs::read_to_string(file).map_err(|error| {
            let message = format!("the secret in {} cannot be read", file.display());
            CliError::new(ExitCode::Configuration, message).because(error)
        })?;
        secrets.push(text.trim_end().to_owned());
    }
    Ok(secrets)
}
