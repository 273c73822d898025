//! Keys and secrets: read from the places that the settings name, for the server's configuration.

use std::fs;
use std::path::Path;

use tidings_hub::{Grant, Matcher};
use tidings_server::{
    ApiKey, Config, ConfigError, JwtKey, LinkKey, MercureConfig, MercureIssuer, MercureKeys,
};

use crate::args::SecretArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::{JwtKeyTable, KeyTable, LinkKeyTable, Role, Settings};

/// How to make a good secret.
pub(crate) const SECRET_HINT: &str = "make one: openssl rand -base64 48 > jwt-secret";

/// The secret that signs tokens, if the settings name one.
///
/// # Errors
///
/// Its file cannot be read, or the settings name two.
pub(crate) fn jwt_secret(settings: &Settings) -> Result<Option<Vec<u8>>, CliError> {
    match (&settings.hub.jwt_secret.text, &settings.hub.jwt_secret.file) {
        (Some(_), Some(_)) => {
            let places = ["jwt-secret", "jwt-secret-file"].map(|key| settings.origin(key));
            let message = "there are both a jwt-secret and a jwt-secret-file";
            Err(CliError::new(ExitCode::Configuration, message)
                .hint(format!("they come from: {}, {}; keep one", places[0], places[1])))
        }
        (text, file) => secret(text.as_deref(), file.as_deref()),
    }
}

/// The secret of the command line, if it has one.
///
/// # Errors
///
/// Its file cannot be read.
pub(crate) fn given(args: &SecretArgs) -> Result<Option<Vec<u8>>, CliError> {
    secret(args.secret.as_deref(), args.secret_file.as_deref())
}

/// The same as a key.
///
/// # Errors
///
/// Its file cannot be read, or it is too short.
pub(crate) fn of_secret(settings: &Settings) -> Result<Option<JwtKey>, CliError> {
    let Some(secret) = jwt_secret(settings)? else { return Ok(None) };
    JwtKey::hs256(&secret).map(Some).map_err(|error| {
        CliError::new(ExitCode::Configuration, error.to_string()).hint(SECRET_HINT)
    })
}

/// A secret as text or in a file; the text takes precedence.
fn secret(text: Option<&str>, file: Option<&Path>) -> Result<Option<Vec<u8>>, CliError> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(file)) => read_secret(file).map(Some),
        (None, None) => Ok(None),
    }
}

/// The secret in a file, without the line feed at the end.
fn read_secret(path: &Path) -> Result<Vec<u8>, CliError> {
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

/// The secrets that sign the cookies of sessions, as far as files with them are named.
///
/// # Errors
///
/// A file cannot be read.
pub(crate) fn session_secrets(settings: &Settings) -> Result<Vec<Vec<u8>>, CliError> {
    settings.hub.session.secret_files.iter().map(|file| read_secret(file)).collect()
}

/// An API key.
///
/// # Errors
///
/// Its file cannot be read or is not UTF-8, or the key is too weak.
pub(crate) fn api_key(table: &KeyTable) -> Result<ApiKey, CliError> {
    let bytes = text(table.key.as_deref(), table.key_file.as_deref())?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let message = format!("{}: the key {:?} is not UTF-8", table.origin, table.name);
        CliError::new(ExitCode::Configuration, message)
            .because(error.utf8_error())
            .hint("an API key is visible ASCII, such as what `openssl rand -base64 24` prints")
    })?;
    let wrong = |error| {
        let message = format!("{}: the key {:?} is wrong", table.origin, table.name);
        CliError::new(ExitCode::Configuration, message).because(error)
    };
    let key = ApiKey::new::<&str>(&table.name, &text, &[], &[]).map_err(wrong)?;
    let grant = Grant {
        publish: matchers(&table.publish).map_err(wrong)?,
        subscribe: matchers(&table.subscribe).map_err(wrong)?,
        erase: matchers(&table.erase).map_err(wrong)?,
        presence: matchers(&table.presence).map_err(wrong)?,
        operate: table.operate,
        expires: None,
    };
    Ok(key.with_grant(grant).with_limits(table.limits))
}

/// Topics and patterns.
///
/// # Errors
///
/// The first that is none.
pub(crate) fn matchers(texts: &[String]) -> Result<Vec<Matcher>, ConfigError> {
    let parse = |text: &String| {
        Matcher::parse(text).map_err(|error| ConfigError::Matcher { text: text.clone(), error })
    };
    texts.iter().map(parse).collect()
}

/// A key that signs links.
///
/// # Errors
///
/// Its file cannot be read, or the key is too weak.
pub(crate) fn link_key(table: &LinkKeyTable) -> Result<LinkKey, CliError> {
    let wrong = |error| {
        let message = format!("{}: the key {:?} is wrong", table.origin, table.id);
        CliError::new(ExitCode::Configuration, message).because(error)
    };
    let secret = text(table.secret.as_deref(), table.secret_file.as_deref())?;
    let topics = matchers(&table.topics).map_err(wrong)?;
    LinkKey::new(&table.id, &String::from_utf8_lossy(&secret), topics).map_err(wrong)
}

/// The same, of a secret in a file; the hub knows what it may sign.
///
/// # Errors
///
/// The file cannot be read, or the key is too weak.
pub(crate) fn link_key_of_file(id: &str, file: &Path) -> Result<LinkKey, CliError> {
    let secret = read_secret(file)?;
    let key = LinkKey::new(id, &String::from_utf8_lossy(&secret), vec![Matcher::All]);
    key.map_err(|error| {
        CliError::new(ExitCode::Configuration, error.to_string())
            .hint("make one: openssl rand -hex 32 > link.key")
    })
}

/// Adds a key that signs tokens to `config`: to the hub's keys, those of Mercure, or an issuer's.
///
/// # Errors
///
/// Its file cannot be read, or the key is invalid.
pub(crate) fn place(config: &mut Config, table: &JwtKeyTable) -> Result<(), CliError> {
    let key = match &table.url {
        Some(url) => JwtKey::at_url(url, Some(&*table.algorithm).filter(|name| !name.is_empty())),
        None => {
            let text = text(table.key.as_deref(), table.key_file.as_deref())?;
            JwtKey::with_algorithm(&table.algorithm, &text)
        }
    };
    let key = key.map_err(|error| {
        let message = format!("{}: the key is wrong", table.origin);
        CliError::new(ExitCode::Configuration, message).because(error)
    })?;
    let key = key.with_limits(table.limits);
    let Some(issuer) = &table.issuer else {
        match table.role {
            None => config.http.jwt_keys.push(key),
            Some(_) => add(&mut config.mercure.keys, table.role, &key),
        }
        return Ok(());
    };
    add(issuer_keys(&mut config.mercure, issuer), table.role, &key);
    Ok(())
}

/// Makes the hub's own keys valid for 1.0 tokens of these issuers too.
pub(crate) fn trust_issuers(config: &mut Config, issuers: &[String]) {
    let own =
        |keys: &Vec<JwtKey>| if keys.is_empty() { &config.http.jwt_keys } else { keys }.clone();
    let publisher = own(&config.mercure.keys.publisher);
    let subscriber = own(&config.mercure.keys.subscriber);
    for issuer in issuers {
        let keys = issuer_keys(&mut config.mercure, issuer);
        keys.publisher.extend_from_slice(&publisher);
        keys.subscriber.extend_from_slice(&subscriber);
    }
}

fn issuer_keys<'a>(config: &'a mut MercureConfig, issuer: &str) -> &'a mut MercureKeys {
    let issuers = &mut config.issuers;
    let place = issuers.iter().position(|known| known.name == *issuer).unwrap_or_else(|| {
        issuers.push(MercureIssuer { name: issuer.to_owned(), keys: MercureKeys::default() });
        issuers.len() - 1
    });
    &mut issuers[place].keys
}

fn add(keys: &mut MercureKeys, role: Option<Role>, key: &JwtKey) {
    if role != Some(Role::Subscriber) {
        keys.publisher.push(key.clone());
    }
    if role != Some(Role::Publisher) {
        keys.subscriber.push(key.clone());
    }
}

fn text(key: Option<&str>, file: Option<&Path>) -> Result<Vec<u8>, CliError> {
    Ok(secret(key, file)?.expect("the file's reader lets no table through that has neither"))
}
