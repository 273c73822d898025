//! `tidings backup`: copy the log of a hub, or the folder of one of several hubs, which may be in
//! use.

use tidings_store_disk::BackupError;

use crate::args::BackupArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;

pub(super) fn run(args: &BackupArgs) -> Result<ExitCode, CliError> {
    let bytes = copy(args)?;
    let text = format!("{bytes} bytes copied to {}\n", args.to.display());
    output::print(text.as_bytes())?;
    Ok(ExitCode::Success)
}

fn copy(args: &BackupArgs) -> Result<u64, CliError> {
    let BackupArgs { data, to } = args;
    let failed = || CliError::new(ExitCode::Failure, "the backup failed");
    #[cfg(feature = "nats")]
    if tidings_store_shared::is_of_hub(data) {
        return tidings_store_shared::backup(data, to).map_err(|error| {
            let hint = error.hint();
            failed().because(error).hint(hint)
        });
    }
    tidings_store_disk::backup(data, to).map_err(|error| {
        let hint = match &error {
            BackupError::NoLog { .. } => "give the folder of `tidings serve --data`",
            BackupError::Exists { .. } => "a backup never overwrites: give another name",
            BackupError::Changing { .. } => "wait until the hub runs, and begin again",
            _ => "check free space and permissions",
        };
        failed().because(error).hint(hint)
    })
}
