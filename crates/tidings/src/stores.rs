//! Where history is kept: a configured name becomes a store. The only place that opens one.

#[cfg(feature = "nats")]
mod nats;

use std::fs;
use std::io;
use std::sync::Arc;

use tidings_hub::{AppendError, Epoch, Log, MemoryStore, Wire};
use tidings_server::{Denials, RevokedSessions};
use tidings_store_disk::{DiskConfig, DiskStore, Durability};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_config::{HubConfig, SharedLogConfig, StoreConfig};
use crate::settings::{format_bytes, format_duration, without_logins};
use crate::store_kind::StoreKind;
use crate::{private_file, random};

/// An open store.
pub(crate) struct OpenStore {
    pub(crate) log: Arc<dyn Log>,
    /// The way to the other hubs, if the log is shared.
    pub(crate) wire: Option<Arc<dyn Wire>>,
    /// The log, if it is on disk: it can be given other rules.
    pub(crate) disk: Option<Arc<DiskStore>>,
}

impl From<Arc<dyn Log>> for OpenStore {
    fn from(log: Arc<dyn Log>) -> Self {
        Self { log, wire: None, disk: None }
    }
}

/// Opens the store of a hub.
///
/// # Errors
///
/// The folder cannot be opened, or the system has no random numbers.
pub(crate) fn open(hub: &HubConfig) -> Result<OpenStore, CliError> {
    check_rules(&hub.store)?;
    let StoreConfig { kind, disk, .. } = &hub.store;
    match kind {
        #[cfg(feature = "nats")]
        StoreKind::Nats => nats::open(hub),
        #[cfg(not(feature = "nats"))]
        StoreKind::Nats => Err(without_nats()),
        StoreKind::Disk => open_disk(disk.clone()),
        StoreKind::Memory => {
            let bytes_max = usize::try_from(disk.retention_bytes).unwrap_or(usize::MAX);
            let epoch = Epoch::from_random(u64::from_ne_bytes(random::bytes()?));
            let log: Arc<dyn Log> =
                Arc::new(MemoryStore::new(epoch, bytes_max, disk.retention_age));
            Ok(log.into())
        }
    }
}

/// Puts `log` into the log that several hubs share, which must be empty.
///
/// # Errors
///
/// It is not there, or is not empty, or the servers are not as they should be.
pub(crate) fn fill(shared: &SharedLogConfig, log: &DiskStore) -> Result<(), CliError> {
    #[cfg(feature = "nats")]
    return nats::fill(shared, log);
    #[cfg(not(feature = "nats"))]
    {
        let _ = (shared, log);
        Err(without_nats())
    }
}

/// Whether a store can be opened like this, as far as its settings say.
///
/// # Errors
///
/// What is missing or wrong.
pub(crate) fn check(config: &StoreConfig) -> Result<(), CliError> {
    check_rules(config)?;
    match config.kind {
        StoreKind::Nats => check_shared(&config.shared),
        StoreKind::Disk | StoreKind::Memory => Ok(()),
    }
}

/// The same for a log that several hubs share.
///
/// # Errors
///
/// What is missing or wrong.
pub(crate) fn check_shared(shared: &SharedLogConfig) -> Result<(), CliError> {
    #[cfg(feature = "nats")]
    return nats::config(shared).map(|_| ());
    #[cfg(not(feature = "nats"))]
    {
        let _ = shared;
        Err(without_nats())
    }
}

/// Rules are for a history on disk, or a copy of one that is shared.
fn check_rules(config: &StoreConfig) -> Result<(), CliError> {
    if config.disk.rules.is_empty() || config.kind != StoreKind::Memory {
        return Ok(());
    }
    let message = "`[[retention]]` needs store = \"disk\" or \"nats\"";
    Err(CliError::new(ExitCode::Configuration, message)
        .hint("history in memory is kept by its bytes and age alone"))
}

#[cfg(not(feature = "nats"))]
fn without_nats() -> CliError {
    CliError::new(ExitCode::CannotStart, "this program was built without NATS")
        .hint("build it with the feature `nats`, which is on by default")
}

/// Why a hub ends whose store takes no more events.
pub(crate) fn failed(failure: AppendError) -> CliError {
    #[cfg(feature = "nats")]
    if let Some(halted) = nats::halted(&failure) {
        return halted;
    }
    CliError::new(ExitCode::StoreFailed, "the history failed")
        .because(failure)
        .hint("restart the hub: it recovers acknowledged events from the data folder")
}

/// Files that the store has open.
pub(crate) fn files_max(config: &StoreConfig) -> usize {
    match config.kind {
        StoreKind::Disk | StoreKind::Nats => config.disk.files_max(),
        StoreKind::Memory => 0,
    }
}

fn open_disk(config: DiskConfig) -> Result<OpenStore, CliError> {
    match DiskStore::open(config) {
        Ok(store) => {
            let store = Arc::new(store);
            Ok(OpenStore { log: Arc::clone(&store) as _, wire: None, disk: Some(store) })
        }
        Err(error) => {
            let hint = error.hint();
            let message = "cannot open the history";
            Err(CliError::new(ExitCode::CannotStart, message).because(error).hint(hint))
        }
    }
}

/// One line about where history is kept.
pub(crate) fn describe(config: &StoreConfig) -> String {
    let StoreConfig { kind, disk, shared } = config;
    let place = match kind {
        StoreKind::Memory => "memory".to_owned(),
        StoreKind::Nats => {
            let servers = shared.url.as_deref().map(without_logins).unwrap_or_default();
            format!("the stream {} of {servers}, copied to {}", shared.stream, disk.path.display())
        }
        StoreKind::Disk if disk.path.is_absolute() => disk.path.display().to_string(),
        StoreKind::Disk => format!("./{}", disk.path.display()),
    };
    let promise = match (kind, disk.durability) {
        (StoreKind::Disk, Durability::Fsync) => "every event on disk before it is acknowledged",
        (StoreKind::Disk, Durability::Os) => "a power cut can take the last seconds",
        (StoreKind::Memory, _) => "gone when the hub stops",
        (StoreKind::Nats, _) => {
            "every event with a majority of the servers before it is acknowledged"
        }
    };
    format!(
        "history in {place} ({}, {}, {promise})",
        format_bytes(disk.retention_bytes),
        format_duration(disk.retention_age)
    )
}

/// The denials beside the history; in memory, where that is.
///
/// # Errors
///
/// Their file cannot be read.
pub(crate) fn denials(config: &StoreConfig) -> Result<Denials, CliError> {
    if config.kind == StoreKind::Memory {
        return Ok(Denials::default());
    }
    let path = config.disk.path.join("denials.json");
    Denials::open(path.clone()).map_err(|error| {
        let message = format!("the denials in {} cannot be read", path.display());
        CliError::new(ExitCode::CannotStart, message)
            .because(error)
            .hint("correct the file, or remove it to lift all denials")
    })
}

/// The sessions that were ended before their time, beside the history; in memory, where that is.
///
/// # Errors
///
/// Their file cannot be read or written.
pub(crate) fn revoked_sessions(config: &StoreConfig) -> Result<RevokedSessions, CliError> {
    if config.kind == StoreKind::Memory {
        return Ok(RevokedSessions::default());
    }
    let path = config.disk.path.join("sessions.revoked");
    RevokedSessions::open(path.clone()).map_err(|error| {
        let message = format!("the ended sessions in {} cannot be read", path.display());
        CliError::new(ExitCode::CannotStart, message)
            .because(error)
            .hint("remove it and `session.key` beside it, which ends all sessions")
    })
}

/// The secret that signs the cookies of sessions, beside the history. Made if there is none.
///
/// # Errors
///
/// It cannot be read or written.
pub(crate) fn session_key(config: &StoreConfig) -> Result<Vec<u8>, CliError> {
    let path = config.disk.path.join("session.key");
    let failed = |error| {
        let message = format!("the secret in {} cannot be read or written", path.display());
        CliError::new(ExitCode::CannotStart, message).because(error)
    };
    match fs::read(&path) {
        Ok(secret) => return Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let secret: String = random::bytes::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    // Whole or not at all: a part of a secret would be a weak one.
    private_file::write(&path, secret.as_bytes()).map_err(failed)?;
    Ok(secret.into_bytes())
}
