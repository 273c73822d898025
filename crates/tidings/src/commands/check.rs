//! `tidings check`: what a configuration means, or what is wrong with it.

use std::fmt::Write as _;

use tidings_client::ShownUrl;
use tidings_hub::Matcher;
use tidings_server::{
    AllowedHosts, Config, ConfigError, Cors, MercureConfig, MercureResource, PublishOrigins, Tls,
    TrustedProxies,
};

use crate::args::CheckArgs;
use crate::certificate::{CertificateFiles, Left};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::{DEFAULT_FILE, Settings, read_file};
use crate::{env, keys, output, stores};

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    if args.defaults {
        output::print(DEFAULT_FILE.as_bytes())?;
        return Ok(ExitCode::Success);
    }
    let file = args.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let settings = Settings::resolve(vec![file, env::layer()]).map_err(CliError::settings)?;
    let config = server_config(&settings)?;
    output::print_text(&describe(&settings, &config))?;
    Ok(ExitCode::Success)
}

/// Every value with its origin, and then the sense of it.
fn describe(settings: &Settings, config: &Config) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("a String takes every write");
    };
    for effective in &settings.effective {
        let value = format!("{} = {}", effective.key, effective.shown);
        line(format_args!("{value:<44} # {}", effective.origin));
    }
    for advice in &settings.outdated {
        line(format_args!("outdated: {advice}"));
    }
    for key in &settings.keys {
        line(format_args!("[[keys]] {:<35} # {}", format!("{:?}", key.name), key.origin));
        line(format_args!("  publish = {:?}", key.publish));
        line(format_args!("  subscribe = {:?}", key.subscribe));
    }
    for key in &settings.jwt_keys {
        let url = key.url.as_ref().map(|url| ShownUrl(url).to_string());
        let what = url.as_ref().unwrap_or(&key.algorithm);
        line(format_args!("[[jwt-keys]] {:<31} # {}", format!("{what:?}"), key.origin));
    }
    line(format_args!(""));
    let addresses: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
    let tls = if config.tls.is_some() { " with TLS" } else { "" };
    line(format_args!("listening on {}{tls}", addresses.join(", ")));
    if let Some(left) = config.tls.as_ref().and_then(Tls::expires).and_then(Left::until) {
        let renew = if left.is_little() { "; renew it" } else { "" };
        line(format_args!("the certificate: {left}{renew}"));
    }
    line(format_args!("{}", stores::describe(settings)));
    line(format_args!("{}", access(config)));
    text
}

fn access(config: &Config) -> String {
    let mercure = &config.mercure;
    let of_mercure = mercure.issuers.iter().map(|issuer| &issuer.keys).chain([&mercure.keys]);
    let of_mercure = of_mercure.map(|keys| keys.publisher.len() + keys.subscriber.len());
    let signing = of_mercure.sum::<usize>() + config.jwt_keys.len();
    let sent = config.api_keys.len();
    match (config.open, sent + signing) {
        (true, _) => "everybody may do everything, on any address".to_owned(),
        (false, 0) => "whoever is on this machine may do everything".to_owned(),
        (false, _) => format!("keys that are sent: {sent}; keys that sign tokens: {signing}"),
    }
}

/// What the server is told. Reads the files of secrets.
///
/// # Errors
///
/// The values do not fit together, or a file cannot be read.
pub(super) fn server_config(settings: &Settings) -> Result<Config, CliError> {
    let mut config = Config {
        listen: settings.listen.clone(),
        tls: CertificateFiles::of(settings)?.map(|files| files.load()).transpose()?,
        redirect: settings.redirect_listen.clone(),
        open: settings.open,
        allowed_hosts: AllowedHosts::new(&settings.allowed_host)
            .map_err(|error| misset(settings, "allowed-host", &error))?,
        api_keys: settings.keys.iter().map(keys::api_key).collect::<Result<_, _>>()?,
        jwt_keys: keys::of_secret(settings)?.into_iter().collect(),
        mercure: mercure_config(settings)?,
        cors: Cors::new(&settings.cors_origin, settings.cors_credentials)
            .map_err(|error| misset(settings, "cors-origin", &error))?,
        retry: settings.retry,
        retry_refused: settings.retry_refused,
        event_bytes_max: usize::try_from(settings.max_event_bytes).unwrap_or(usize::MAX),
        matchers_max: settings.max_matchers,
        publishes_per_second_max: settings.max_publish_rate,
        trusted_proxies: TrustedProxies::new(&settings.trusted_proxy)
            .map_err(|error| misset(settings, "trusted-proxy", &error))?,
        connections_max: settings.max_connections,
        connections_per_address_max: settings.max_connections_per_address,
        subscribers_per_address_max: settings.max_subscribers_per_address,
        subscribers_per_token_max: settings.max_subscribers_per_token,
        streams_max: settings.max_streams.try_into().unwrap_or(u32::MAX),
        head_bytes_max: settings.max_head_bytes.try_into().unwrap_or(usize::MAX),
        head_max: settings.max_head_time,
        body_idle_max: settings.max_body_pause,
        ingest_idle_max: settings.max_ingest_pause,
        keep_alive: settings.max_idle,
        drain_window: settings.drain_window,
        drain_max: settings.max_drain,
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
