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
            BackupError::NoLog { .. } => "give the folder of `tidings serve --data`",
            BackupError::Exists { .. } => "a backup never overwrites: give another name",
            _ => "check free space and permissions",
        };
        CliError::new(ExitCode::Failure, "the backup failed").because(error).hint(hint)
    })?;
    let text = format!("{bytes} bytes copied to {}\n", args.to.display());
    output::print(text.as_bytes())?;
    Ok(ExitCode::Success)
}
