//! The server's configuration, made of the settings.

use tidings_hub::Matcher;
use tidings_server::limits::CONNECTIONS_MAX;
use tidings_server::{
    AllowedHosts, Config, ConfigError, Cors, HttpConfig, MercureConfig, MercureResource,
    PublishOrigins, TrustedProxies,
};

use crate::certificate::CertificateFiles;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::keys;
use crate::settings::Settings;

/// The server's configuration. Reads the files of secrets.
///
/// # Errors
///
/// The values do not fit together, or a file cannot be read.
pub(crate) fn server_config(settings: &Settings) -> Result<Config, CliError> {
    let http = HttpConfig {
        listen: settings.listen.clone(),
        tls: CertificateFiles::of(settings)?.map(|files| files.load()).transpose()?,
        redirect: settings.redirect_listen.clone(),
        open: settings.open,
        allowed_hosts: AllowedHosts::new(&settings.allowed_host)
            .map_err(|error| misset(settings, "allowed-host", &error))?,
        api_keys: settings.keys.iter().map(keys::api_key).collect::<Result<_, _>>()?,
        jwt_keys: keys::of_secret(settings)?.into_iter().collect(),
        cors: Cors::new(&settings.cors_origin, settings.cors_credentials)
            .map_err(|error| misset(settings, "cors-origin", &error))?,
        retry: settings.retry,
        retry_refused: settings.retry_refused,
        event_bytes_max: usize::try_from(settings.max_event_bytes).unwrap_or(usize::MAX),
        publishes_per_second_max: settings.max_publish_rate,
        trusted_proxies: TrustedProxies::new(&settings.trusted_proxy)
            .map_err(|error| misset(settings, "trusted-proxy", &error))?,
        connections_max: settings.max_connections.unwrap_or(CONNECTIONS_MAX),
        connections_per_address_max: settings.max_connections_per_address,
        subscribers_per_address_max: settings.max_subscribers_per_address,
        subscribers_per_token_max: settings.max_subscribers_per_token,
        streams_max: settings.max_streams.try_into().unwrap_or(u32::MAX),
        head_bytes_max: settings.max_head_bytes.try_into().unwrap_or(usize::MAX),
        head_max: settings.max_head_time,
        body_idle_max: settings.max_body_pause,
        keep_alive: settings.max_idle,
        drain_window: settings.drain_window,
        drain_max: settings.max_drain,
        ..HttpConfig::default()
    };
    let mut config = Config {
        http,
        mercure: mercure_config(settings)?,
        matchers_max: settings.max_matchers,
        ingest_idle_max: settings.max_ingest_pause,
        ..Config::default()
    };
    for table in &settings.jwt_keys {
        keys::place(&mut config, table)?;
    }
    keys::trust_issuers(&mut config, &settings.mercure_issuer);
    config.check().map_err(wrong)?;
    Ok(config)
}

fn mercure_config(settings: &Settings) -> Result<MercureConfig, CliError> {
    let resource = settings.mercure_resource.as_deref().map(MercureResource::new).transpose();
    let origins = PublishOrigins::new(&settings.mercure_publish_origin);
    let public = settings.mercure_public.iter().map(|text| {
        Matcher::parse(text).map_err(|error| ConfigError::Matcher { text: text.clone(), error })
    });
    Ok(MercureConfig {
        enabled: settings.mercure,
        anonymous: settings.mercure_anonymous,
        public: public
            .collect::<Result<_, _>>()
            .map_err(|error| misset(settings, "mercure-public", &error))?,
        subscriptions: settings.mercure_subscriptions,
        resource: resource.map_err(|error| misset(settings, "mercure-resource", &error))?,
        publish_origins: origins
            .map_err(|error| misset(settings, "mercure-publish-origin", &error))?,
        ..MercureConfig::default()
    })
}

/// The value of one setting is wrong.
fn misset(settings: &Settings, key: &str, error: &ConfigError) -> CliError {
    let origin = settings.origin(key);
    let code = if origin.is_flag() { ExitCode::Usage } else { ExitCode::Configuration };
    CliError::new(code, format!("{origin}: {key}: {error}"))
}

fn wrong(error: ConfigError) -> CliError {
    let hint = match &error {
        ConfigError::Unprotected { .. } => {
            Some("with --open everybody may do everything; for keys see `tidings check --defaults`")
        }
        _ => None,
    };
    let error = CliError::new(ExitCode::Configuration, error.to_string());
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
