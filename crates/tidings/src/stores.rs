//! Where history is kept: a configured name becomes a store. The only place that knows which stores
//! there are.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tidings_hub::{Epoch, Log, MemoryStore};
use tidings_store_disk::{DiskConfig, DiskStore};

use crate::durability::Durability;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::{Settings, format_bytes, format_duration};
use crate::store_kind::StoreKind;

/// Opens the store that `settings` name.
///
/// # Errors
///
/// The folder cannot be had.
pub(crate) fn open(settings: &Settings) -> Result<Arc<dyn Log>, CliError> {
    match settings.store {
        StoreKind::Disk => open_disk(settings),
        StoreKind::Memory => {
            let bytes_max = usize::try_from(settings.retention_bytes).unwrap_or(usize::MAX);
            let epoch = Epoch::from_random(random());
            Ok(Arc::new(MemoryStore::new(epoch, bytes_max, settings.retention_age)))
        }
    }
}

/// Files that the store has open.
pub(crate) fn files_max(settings: &Settings) -> usize {
    match settings.store {
        StoreKind::Disk => disk_config(settings).files_max(),
        StoreKind::Memory => 0,
    }
}

fn disk_config(settings: &Settings) -> DiskConfig {
    DiskConfig {
        durability: match settings.durability {
            Durability::Fsync => tidings_store_disk::Durability::Fsync,
            Durability::Os => tidings_store_disk::Durability::Os,
        },
        retention_bytes: settings.retention_bytes,
        retention_age: settings.retention_age,
        recent_bytes_max: usize::try_from(settings.recent_bytes).unwrap_or(usize::MAX),
        ..DiskConfig::new(&settings.data)
    }
}

fn open_disk(settings: &Settings) -> Result<Arc<dyn Log>, CliError> {
    match DiskStore::open(disk_config(settings)) {
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
    let place = match settings.store {
        StoreKind::Memory => "memory".to_owned(),
        StoreKind::Disk if settings.data.is_absolute() => settings.data.display().to_string(),
        StoreKind::Disk => format!("./{}", settings.data.display()),
    };
    let promise = match (settings.store, settings.durability) {
        (StoreKind::Disk, Durability::Fsync) => "every event on disk before it is acknowledged",
        (StoreKind::Disk, Durability::Os) => "a power cut can take the last seconds",
        (StoreKind::Memory, _) => "gone when the hub stops",
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
