//! `tidings check`: what a configuration means, or what is wrong with it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tidings_server::{ApiKey, Config, ConfigError, Cors, JwtKey};

use crate::args::CheckArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::{DEFAULT_FILE, KeyTable, Settings, read_file};
use crate::{env, output, stores};

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    if args.defaults {
        output::print(DEFAULT_FILE.as_bytes())?;
        return Ok(ExitCode::Success);
    }
    let file = args.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let settings = Settings::resolve(vec![file, env::layer()]).map_err(CliError::settings)?;
    let config = server_config(&settings)?;
    output::print(describe(&settings, &config).as_bytes())?;
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
    for key in &settings.keys {
        line(format_args!("[[keys]] {:<35} # {}", format!("{:?}", key.name), key.origin));
        line(format_args!("  publish = {:?}", key.publish));
        line(format_args!("  subscribe = {:?}", key.subscribe));
    }
    line(format_args!(""));
    let addresses: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
    line(format_args!("listening on {}", addresses.join(", ")));
    line(format_args!("{}", stores::describe(settings)));
    line(format_args!("{}", access(config)));
    text
}

fn access(config: &Config) -> String {
    let (keys, secrets) = (config.api_keys.len(), config.jwt_keys.len());
    match (config.open, keys + secrets) {
        (true, _) => "everybody may do everything, on any address".to_owned(),
        (false, 0) => "whoever is on this machine may do everything".to_owned(),
        (false, _) => format!("access by token: {keys} keys, {secrets} secrets for signed tokens"),
    }
}

/// What the server is told. Reads the files of secrets.
///
/// # Errors
///
/// The values do not fit together, or a file cannot be read.
pub(super) fn server_config(settings: &Settings) -> Result<Config, CliError> {
    let config = Config {
        listen: settings.listen.clone(),
        open: settings.open,
        api_keys: settings.keys.iter().map(api_key).collect::<Result<_, _>>()?,
        jwt_keys: jwt_secret(settings)?
            .map(|secret| JwtKey::hs256(&secret))
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(error).hint(SECRET_HINT))?,
        cors: Cors::new(&settings.cors_origin, settings.cors_credentials).map_err(|error| {
            CliError::new(ExitCode::Configuration, format!("{error}"))
                .hint(format!("`cors-origin` comes from: {}", settings.origin("cors-origin")))
        })?,
        retry: settings.retry,
        retry_refused: settings.retry_refused,
        event_bytes_max: usize::try_from(settings.max_event_bytes).unwrap_or(usize::MAX),
        ingest_idle_max: settings.max_ingest_pause,
        connections_max: settings.max_connections,
        drain_window: settings.drain_window,
        drain_max: settings.max_drain,
        ..Config::default()
    };
    config.check().map_err(wrong)?;
    Ok(config)
}

/// The secret that signs tokens, from wherever it stands.
///
/// # Errors
///
/// Its file cannot be read.
pub(super) fn jwt_secret(settings: &Settings) -> Result<Option<Vec<u8>>, CliError> {
    match (&settings.jwt_secret, &settings.jwt_secret_file) {
        (Some(_), Some(_)) => {
            let places = ["jwt-secret", "jwt-secret-file"].map(|key| settings.origin(key));
            let message = "there are both a jwt-secret and a jwt-secret-file";
            Err(CliError::new(ExitCode::Configuration, message)
                .hint(format!("they come from: {}, {}; keep one", places[0], places[1])))
        }
        (Some(secret), None) => Ok(Some(secret.as_bytes().to_vec())),
        (None, Some(file)) => read_secret(file).map(Some),
        (None, None) => Ok(None),
    }
}

/// A secret in a file of its own; the line feed at its end is not part of it.
///
/// # Errors
///
/// It cannot be read.
pub(super) fn read_secret(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut secret = fs::read(path).map_err(|error| {
        let message = format!("the secret in {} cannot be read", path.display());
        CliError::new(ExitCode::Configuration, message).because(error)
    })?;
    if secret.ends_with(b"\n") {
        secret.pop();
    }
    if secret.ends_with(b"\r") {
        secret.pop();
    }
    Ok(secret)
}

/// How to get a secret that is one.
pub(super) const SECRET_HINT: &str = "make one: openssl rand -base64 48 > jwt-secret";

fn api_key(table: &KeyTable) -> Result<ApiKey, CliError> {
    let from_file = table.key_file.as_deref().map(read_secret).transpose()?;
    let text = match (from_file, &table.key) {
        (Some(bytes), _) => String::from_utf8_lossy(&bytes).into_owned(),
        (None, Some(key)) => key.clone(),
        (None, None) => unreachable!("the file's reader lets no such table through"),
    };
    ApiKey::new(&table.name, &text, &table.publish, &table.subscribe).map_err(|error| {
        let message = format!("{}: the key {:?} is wrong", table.origin, table.name);
        CliError::new(ExitCode::Configuration, message).because(error)
    })
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
