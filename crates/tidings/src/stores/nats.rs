//! A history that several hubs share, in NATS JetStream.

mod terms;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tidings_hub::AppendError;
use tidings_store_disk::DiskStore;
use tidings_store_nats::{
    CredentialsFile, Finding, Nats, NatsConfig, NatsError, NatsJournal, NatsWire, Servers, Severity,
};
use tidings_store_shared::{Halt, Maxima, OpenError, SharedConfig, SharedStore};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_config::{HubConfig, SharedLogConfig, StoreConfig};
use crate::stores::OpenStore;

/// Time to wait for the first connection. A hub that has a copy starts without one.
const FIRST_CONNECTION: Duration = Duration::from_secs(10);

/// Time that servers which can be connected to have to become able to serve the log: where all of a
/// cluster starts at once, they first elect a leader and learn of each other. At the edge: the hub
/// ends, unless it has a copy.
const SERVERS_READY: Duration = Duration::from_secs(30);

/// Pause before it is tried again.
const READY_PAUSE: Duration = Duration::from_millis(500);

/// Number of servers that have a stream which a hub creates.
const REPLICAS: usize = 3;

/// What a hub with this configuration connects to.
///
/// # Errors
///
/// A setting is missing or wrong.
pub(super) fn config(shared: &SharedLogConfig) -> Result<NatsConfig, CliError> {
    let SharedLogConfig { url, stream, tls_ca, tls_identity, credentials, allow_unsafe, .. } =
        shared;
    let usage = |message: String| CliError::new(ExitCode::Configuration, message);
    let url = url.as_deref().ok_or_else(|| {
        usage("store = \"nats\" needs the servers".to_owned())
            .hint("name them: --store-url nats://a.example:4222,nats://b.example:4222")
    })?;
    let servers: Servers =
        url.parse().map_err(|error| usage("store-url is wrong".to_owned()).because(error))?;
    if credentials.is_some() && servers.has_login() {
        return Err(usage("the hub can log in with store-creds or with store-url".to_owned())
            .hint("remove user and password from store-url, or remove store-creds"));
    }
    let credentials = credentials.as_ref().map(CredentialsFile::new).transpose();
    let credentials = credentials.map_err(|error| {
        usage("store-creds cannot be used".to_owned())
            .because(error)
            .hint("give the file that the operator of the servers made: nsc generate creds")
    })?;
    let tls_identity = match (&tls_identity.certificate, &tls_identity.key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        _ => {
            return Err(usage("store-tls-cert and store-tls-key need each other".to_owned()));
        }
    };
    Ok(NatsConfig {
        servers,
        stream: stream.clone(),
        replicas: if *allow_unsafe { 1 } else { REPLICAS },
        tls: tls_ca.is_some() || tls_identity.is_some(),
        tls_ca: tls_ca.clone(),
        tls_identity,
        credentials,
    })
}

/// Connects to the servers, and looks at them if one answers. Returns why none does.
fn connect(
    shared: &SharedLogConfig,
) -> Result<(Nats, NatsJournal, Result<(), NatsError>), CliError> {
    let nats = Nats::new(config(shared)?).map_err(cannot_connect)?;
    let login = nats.try_login();
    if let Err(error @ NatsError::LoginRejected(_)) = login {
        return Err(cannot_connect(error));
    }
    let mut journal = NatsJournal::connect(&nats).map_err(cannot_connect)?;
    if journal.is_connected_within(FIRST_CONNECTION) {
        look(&mut journal, shared.allow_unsafe)?;
        return Ok((nats, journal, Ok(())));
    }
    Ok((nats, journal, Err(login.err().unwrap_or(NatsError::NotConnected))))
}

/// Puts `log` into the stream, which must be empty.
pub(super) fn fill(shared: &SharedLogConfig, log: &DiskStore) -> Result<(), CliError> {
    let (_nats, mut journal, connected) = connect(shared)?;
    connected.map_err(cannot_connect)?;
    tidings_store_shared::fill(&mut journal, log, shared.create).map_err(|error| {
        let hint = error.hint();
        let message = format!("the backup was not restored to the stream {}", shared.stream);
        CliError::new(ExitCode::Failure, message).because(error).hint(hint)
    })
}

pub(super) fn open(hub: &HubConfig) -> Result<OpenStore, CliError> {
    let shared = &hub.store.shared;
    let (nats, store, is_connected) = open_when_ready(hub)?;
    let mut follower = NatsJournal::connect(&nats).map_err(cannot_connect)?;
    // Otherwise its first look would find the log away.
    if is_connected && follower.is_connected_within(FIRST_CONNECTION) {
        // Only now is there a stream for sure, which says the time.
        judge(follower.clock_finding().ok().flatten(), shared.allow_unsafe)?;
    }
    let tidying = NatsJournal::connect(&nats).map_err(cannot_connect)?;
    let store = store.following(Box::new(follower), Box::new(tidying)).map_err(|error| {
        CliError::new(ExitCode::CannotStart, "the shared history cannot be followed").because(error)
    })?;
    let wire = NatsWire::connect(&nats).map_err(cannot_connect)?;
    Ok(OpenStore { disk: None, log: Arc::new(store), wire: Some(Arc::new(wire)) })
}

/// Opens the store, as soon as the servers can serve its log or the hub has a copy of it. Returns
/// whether there is a connection, too.
fn open_when_ready(hub: &HubConfig) -> Result<(Nats, SharedStore, bool), CliError> {
    let StoreConfig { disk, shared, .. } = &hub.store;
    let shared_config = SharedConfig {
        cache: disk.clone(),
        create: shared.create,
        allow_gaps: shared.allow_gaps,
        terms: terms::terms(hub),
        update_terms: shared.update,
        maxima: Maxima { topics: hub.engine.topics_max, keys: hub.engine.keys_max },
        ..SharedConfig::new(&disk.path)
    };
    let deadline = Instant::now() + SERVERS_READY;
    let mut is_first = true;
    loop {
        let (nats, journal, connected) = connect(shared)?;
        let is_connected = connected.is_ok();
        if let Err(error) = connected {
            let reason = tidings_hub::with_causes(&error);
            tracing::warn!(
                reason,
                "no NATS server answers; the hub serves what its copy holds, if it has one"
            );
        }
        match SharedStore::open(shared_config.clone(), Box::new(journal)) {
            Ok(store) => return Ok((nats, store, is_connected)),
            Err(OpenError::Away { source }) if is_connected && Instant::now() < deadline => {
                if is_first {
                    let reason = tidings_hub::with_causes(&source);
                    tracing::warn!(
                        reason,
                        "the NATS servers are not ready; the hub waits for them"
                    );
                }
                is_first = false;
                thread::sleep(READY_PAUSE);
            }
            Err(error) => {
                let hint = error.hint();
                let message = "cannot open the shared history";
                return Err(CliError::new(ExitCode::CannotStart, message)
                    .because(error)
                    .hint(hint));
            }
        }
    }
}

/// Why a hub ends that has stopped following the shared log; `None` if it has not.
pub(super) fn halted(failure: &AppendError) -> Option<CliError> {
    let AppendError::Poisoned { source } = failure else { return None };
    let halt = *source.downcast_ref::<Halt>()?;
    let message = "the shared log is no longer the one that this hub followed";
    Some(CliError::new(ExitCode::LogChanged, message).because(halt).hint(halt.hint()))
}

/// Looks at the servers and the stream, and says what is wrong with them.
fn look(journal: &mut NatsJournal, allow_unsafe: bool) -> Result<(), CliError> {
    let findings = match journal.findings() {
        Ok(findings) => findings,
        Err(error @ NatsError::NobodyListens) => {
            let hint = "enable JetStream on the servers, and let the hub's user publish to \
                        $JS.API.> and tidings.>, and subscribe to _INBOX.> and tidings.>";
            let message = "the NATS servers do not answer requests for JetStream";
            return Err(CliError::new(ExitCode::CannotStart, message).because(error).hint(hint));
        }
        Err(error) => {
            let reason = tidings_hub::with_causes(&error);
            tracing::warn!(reason, "the NATS servers cannot be looked at");
            return Ok(());
        }
    };
    judge(findings, allow_unsafe)
}

/// Says what was found, and whether the hub may start with it.
fn judge(findings: impl IntoIterator<Item = Finding>, allow_unsafe: bool) -> Result<(), CliError> {
    for Finding { severity, what, hint } in findings {
        match severity {
            Severity::Advice => tracing::info!("{what}: {hint}"),
            Severity::Unsafe if allow_unsafe => {
                tracing::warn!("UNSAFE, as store-unsafe allows: {what}: {hint}");
            }
            Severity::Unsafe => {
                let hint = format!("{hint}; or start with --store-unsafe");
                return Err(CliError::new(ExitCode::CannotStart, what).hint(hint));
            }
            Severity::Impossible => {
                return Err(CliError::new(ExitCode::CannotStart, what).hint(hint));
            }
        }
    }
    Ok(())
}

fn cannot_connect(error: NatsError) -> CliError {
    CliError::new(ExitCode::CannotStart, "cannot connect to the NATS servers")
        .because(error)
        .hint("check store-url, and the user and password in it, or store-creds")
}
