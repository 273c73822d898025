//! Random numbers of the operating system: for secrets, and for what two hubs must not share.

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Bytes that nobody can foretell.
///
/// # Errors
///
/// The system has none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => {
            let message = "the system has no random numbers";
            Err(CliError::new(ExitCode::CannotStart, message).because(error))
        }
    }
}
