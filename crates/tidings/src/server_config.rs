//! The server's configuration, made of the settings and of the files that they name.

use tidings_server::{Config, ConfigError, Cors};

use crate::certificate::CertificateFiles;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::keys;
use crate::settings::{SettingProblem, Settings};

/// The server's configuration: what the rows of the table wrote, with the certificate, the keys,
/// and what takes two settings to be made. Reads the files of secrets.
///
/// # Errors
///
/// The values do not fit together, or a file cannot be read.
pub(crate) fn server_config(settings: &Settings) -> Result<Config, CliError> {
    let hub = &settings.hub;
    let mut config = hub.server.clone();
    config.http.tls = CertificateFiles::of(settings)?.map(|files| files.load()).transpose()?;
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
    keys::trust_issuers(&mut config, &hub.issuers);
    config.check().map_err(wrong)?;
    Ok(config)
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
