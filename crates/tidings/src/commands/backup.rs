//! `tidings backup`: copy the log of a hub, which may be in use.

use tidings_store_disk::BackupError;

use crate::args::BackupArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;

pub(super) fn run(args: &BackupArgs) -> Result<ExitCode, CliError> {
    let copied = tidings_store_disk::backup(&args.data, &args.to);
    let bytes = copied.map_err(|error| {
        let hint = match &error {
            BackupError::NoLog { .. } => "give the folder that `tidings serve --data` has",
            BackupError::Exists { .. } => "a copy is never written over: give another name",
            _ => "is there room, and may it be read?",
        };
        CliError::new(ExitCode::Failure, "there is no backup").because(error).hint(hint)
    })?;
    let text = format!("{bytes} bytes copied to {}\n", args.to.display());
    output::print(text.as_bytes())?;
    Ok(ExitCode::Success)
}
