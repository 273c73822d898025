//! `tidings restore`: restore a log from a backup, into a folder or into a stream.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tidings_store_disk::{DiskConfig, DiskStore, OpenError, RestoreError, Restored};

use crate::args::RestoreArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_config::StoreConfig;
use crate::settings::Settings;
use crate::store_kind::StoreKind;
use crate::{env, output, stores};

pub(super) fn run(args: &RestoreArgs) -> Result<ExitCode, CliError> {
    let layers = vec![env::layer(), args.store.layer()];
    let StoreConfig { kind, shared, .. } =
        &Settings::resolve(layers).map_err(CliError::settings)?.hub.store;
    let is_shared = *kind == StoreKind::Nats;
    if is_shared {
        // Before anything is copied.
        stores::check_shared(shared)?;
    }
    let restored = restore(args)?;
    let place = if is_shared {
        let filled = into_stream(shared, &args.data);
        // What is left there would be in the way of the hub.
        empty(&args.data)?;
        filled?;
        format!("the stream {}", shared.stream)
    } else {
        args.data.display().to_string()
    };
    let Restored { epoch, former, first, head } = restored;
    let text = format!(
        "{} events restored to {place}, the newest {}\n\
         the log was {former} and is {epoch}: a subscriber with a later id gets a reset\n",
        head.get() + 1 - first.get(),
        head.event_id(former),
    );
    output::print(text.as_bytes())?;
    Ok(ExitCode::Success)
}

fn restore(args: &RestoreArgs) -> Result<Restored, CliError> {
    #[cfg(feature = "nats")]
    let restored = match tidings_store_shared::is_of_hub(&args.from) {
        true => tidings_store_shared::restore(&args.from, &args.data),
        false => tidings_store_disk::restore(&args.from, &args.data),
    };
    #[cfg(not(feature = "nats"))]
    let restored = tidings_store_disk::restore(&args.from, &args.data);
    restored.map_err(|error| {
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
    })
}

/// Puts the log in `data` into the stream.
fn into_stream(shared: &crate::hub_config::SharedLogConfig, data: &Path) -> Result<(), CliError> {
    // All of it: what is too old, a hub drops.
    let config = DiskConfig {
        retention_bytes: u64::MAX,
        retention_age: Duration::MAX,
        ..DiskConfig::new(data)
    };
    let log = DiskStore::open(config).map_err(|error| {
        let hint = error.hint();
        CliError::new(ExitCode::Failure, "the restored log cannot be read")
            .because(error)
            .hint(hint)
    })?;
    stores::fill(shared, &log)
}

/// Removes everything in `folder`.
fn empty(folder: &Path) -> Result<(), CliError> {
    let remove = || -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    };
    remove().map_err(|error| {
        let message = format!("the folder {} cannot be emptied", folder.display());
        CliError::new(ExitCode::Failure, message)
            .because(error)
            .hint("empty it before a hub starts")
    })
}
