//! Where history is kept: a configured name becomes a store. The only place that knows which stores
//! there are.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tidings_hub::{Epoch, MemoryStore, Store};
use tidings_store_disk::{DiskConfig, DiskStore};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::{Settings, format_bytes, format_duration};

/// What an acknowledged event survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A power cut.
    Fsync,
    /// The end of the process.
    Os,
    /// Nothing.
    Memory,
}

/// Opens the store that `settings` name.
///
/// # Errors
///
/// The folder cannot be had.
pub(crate) fn open(settings: &Settings) -> Result<Arc<dyn Store>, CliError> {
    let durability = match settings.durability {
        Durability::Fsync => tidings_store_disk::Durability::Fsync,
        Durability::Os => tidings_store_disk::Durability::Os,
        Durability::Memory => {
            let bytes_max = usize::try_from(settings.retention_bytes).unwrap_or(usize::MAX);
            let epoch = Epoch::from_random(random());
            return Ok(Arc::new(MemoryStore::new(epoch, bytes_max, settings.retention_age)));
        }
    };
    let config = DiskConfig {
        durability,
        retention_bytes: settings.retention_bytes,
        retention_age: settings.retention_age,
        recent_bytes_max: usize::try_from(settings.recent_bytes).unwrap_or(usize::MAX),
        ..DiskConfig::new(&settings.data)
    };
    match DiskStore::open(config) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => {
            let hint = error.hint();
            let message = "the history cannot be opened";
            Err(CliError::new(ExitCode::CannotStart, message).because(error).hint(hint))
        }
    }
}

/// One line about where history is kept.
pub(crate) fn describe(settings: &Settings) -> String {
    let place = match settings.durability {
        Durability::Memory => "memory".to_owned(),
        _ if settings.data.is_absolute() => settings.data.display().to_string(),
        _ => format!("./{}", settings.data.display()),
    };
    let promise = match settings.durability {
        Durability::Fsync => "every event on disk before it is acknowledged",
        Durability::Os => "a power cut can take the last seconds",
        Durability::Memory => "gone when the hub stops",
    };
    format!(
        "history in {place} ({}, {}, {promise})",
        format_bytes(settings.retention_bytes),
        format_duration(settings.retention_age)
    )
}

/// A number that nobody can foretell: the standard library takes the seeds of its hash maps from
/// the operating system.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
