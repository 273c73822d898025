//! `tidings restore`: restore a log from a backup.

use tidings_store_disk::{OpenError, RestoreError};

use crate::args::RestoreArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;

pub(super) fn run(args: &RestoreArgs) -> Result<ExitCode, CliError> {
    let restored = tidings_store_disk::restore(&args.from, &args.data);
    let restored = restored.map_err(|error| {
        let hint = match &error {
            RestoreError::NoLog { .. } => "give the folder that `tidings backup` made",
            RestoreError::InUse { .. } => "`tidings backup` makes a copy of a log that is in use",
            RestoreError::NotEmpty { .. } => {
                "stop the hub and move its folder away, or give another: nothing is written over"
            }
            RestoreError::Copy(OpenError::Damaged { .. }) => "take another copy, or an older one",
            RestoreError::Copy(error) | RestoreError::Log(error) => error.hint(),
            _ => "",
        };
        CliError::new(ExitCode::Failure, "nothing was restored").because(error).hint(hint)
    })?;
    let events = restored.head.get() + 1 - restored.first.get();
    let (epoch, former) = (restored.epoch, restored.former);
    let text = format!(
        "{events} events restored to {}, the newest {}\n\
         the log was {former} and is {epoch}: a subscriber with a later id gets a reset\n",
        args.data.display(),
        restored.head.event_id(former),
    );
    output::print(text.as_bytes())?;
    Ok(ExitCode::Success)
}
