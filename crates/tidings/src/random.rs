//! Random numbers: for secrets, and for what two hubs must not share.
//!
//! They come from the cryptography of TLS, which asks the kernel itself: a static program in an
//! empty file system has no `/dev/urandom`, and the usual crate looks for it there.

use aws_lc_rs::rand;

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Bytes that nobody can foretell.
///
/// # Errors
///
/// The system has none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    match rand::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(CliError::new(ExitCode::CannotStart, "the system has no random numbers")),
    }
}
