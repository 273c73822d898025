//! The server's configuration, made of the settings and of the files that they name.

use tidings_server::{Config, ConfigError, Cors, RevokedSessions, Sessions};

use crate::acme::Acme;
use crate::authorize;
use crate::certificate::CertificateFiles;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::{SettingProblem, Settings};
use crate::store_kind::StoreKind;
use crate::{keys, notify, random, stores};

/// The server's configuration: what the rows of the table wrote, with the certificate, the keys,
/// and what takes two settings to be made. Reads the files of secrets.
///
/// # Errors
///
/// The values do not fit together, or a file cannot be read.
pub(crate) fn server_config(settings: &Settings) -> Result<Config, CliError> {
    let hub = &settings.hub;
    let mut config = hub.server.clone();
    config.http.tls = match Acme::of(settings)? {
        Some(acme) => Some(acme.load()?),
        None => CertificateFiles::of(settings)?.map(|files| files.load()).transpose()?,
    };
    config.http.api_keys = settings.keys.iter().map(keys::api_key).collect::<Result<_, _>>()?;
    config.http.jwt_keys = keys::of_secret(settings)?.into_iter().collect();
    config.http.cors = Cors::new(&hub.cors.origins, hub.cors.credentials).map_err(|error| {
        let origin = settings.origin("cors-origin");
        CliError::settings(vec![SettingProblem::new(origin, "cors-origin", error)])
    })?;
    for table in &settings.jwt_keys {
        keys::place(&mut config, table)?;
    }
    config.http.link_keys =
        settings.link_keys.iter().map(keys::link_key).collect::<Result<_, _>>()?;
    config.http.sessions = sessions(settings, RevokedSessions::default())?;
    config.http.authorize =
        settings.authorize.iter().map(authorize::rule).collect::<Result<_, _>>()?;
    config.http.notify = settings.notify.iter().map(notify::receiver).collect::<Result<_, _>>()?;
    keys::trust_issuers(&mut config, &hub.issuers);
    config.check().map_err(wrong)?;
    Ok(config)
}

/// The sessions, with the secrets that are named, or one of this process.
///
/// # Errors
///
/// A secret cannot be read, or is too short.
fn sessions(settings: &Settings, revoked: RevokedSessions) -> Result<Option<Sessions>, CliError> {
    let mut secrets = keys::session_secrets(settings)?;
    if secrets.is_empty() {
        secrets.push(random::bytes::<32>()?.to_vec());
    }
    sessions_with(settings, &secrets, revoked)
}

/// The sessions of a hub that starts: with the secret in its data folder if none is named, and
/// without those that were ended before.
///
/// # Errors
///
/// The files in the data folder cannot be read or written.
pub(crate) fn open_sessions(settings: &Settings) -> Result<Option<Sessions>, CliError> {
    let store = &settings.hub.store;
    let revoked = stores::revoked_sessions(store)?;
    let mut secrets = keys::session_secrets(settings)?;
    if secrets.is_empty() && settings.hub.session.is_on {
        match store.kind {
            StoreKind::Disk => secrets.push(stores::session_key(store)?),
            StoreKind::Memory => secrets.push(random::bytes::<32>()?.to_vec()),
            StoreKind::Nats => {
                tracing::info!("no sessions: all hubs need the same `session-secret-file`");
                return Ok(None);
            }
        }
    }
    sessions_with(settings, &secrets, revoked)
}

fn sessions_with(
    settings: &Settings,
    secrets: &[Vec<u8>],
    revoked: RevokedSessions,
) -> Result<Option<Sessions>, CliError> {
    let session = &settings.hub.session;
    if !session.is_on {
        return Ok(None);
    }
    let sessions = Sessions::new(secrets, session.age_max, !session.is_insecure, revoked);
    sessions.map(Some).map_err(|error| {
        CliError::new(ExitCode::Configuration, error.to_string())
            .hint("`openssl rand -hex 32` prints one; put it into a file of `session-secret-file`")
    })
}

fn wrong(error: ConfigError) -> CliError {
    let hint = match &error {
        ConfigError::Unprotected { .. } => Some(
            "--open lets anyone publish and subscribe; for keys see `tidings check --defaults`",
        ),
        _ => None,
    };
    let error = CliError::new(ExitCode::Configuration, error.to_string());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
