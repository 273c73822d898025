//! `tidings token`: mint a token (RFC 7519, HS256) that a hub with the same secret accepts.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use tidings_hub::Matcher;
use tidings_server::JwtKey;

use crate::args::TokenArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::{Settings, parse_duration, read_file};
use crate::{env, keys, output};

#[derive(Serialize)]
struct Claims<'a> {
    mercure: Access<'a>,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
}

#[derive(Serialize)]
struct Access<'a> {
    publish: &'a [String],
    subscribe: &'a [String],
}

pub(super) fn run(args: &TokenArgs) -> Result<ExitCode, CliError> {
    if args.publish.is_empty() && args.subscribe.is_empty() {
        let message = "the token would allow nothing";
        return Err(CliError::new(ExitCode::Usage, message)
            .hint("say what it allows: --publish 'a/*', --subscribe '**'"));
    }
    for text in args.publish.iter().chain(&args.subscribe) {
        Matcher::parse(text).map_err(|error| {
            let message = format!("{text:?} is no topic and no pattern of topics");
            CliError::new(ExitCode::Usage, message).because(error)
        })?;
    }
    let secret = secret(args)?;
    // The hub would not take a shorter one.
    JwtKey::hs256(&secret).map_err(|error| {
        CliError::new(ExitCode::Configuration, error.to_string()).hint(keys::SECRET_HINT)
    })?;
    let lifetime = args.expires.as_deref().map(parse_duration).transpose();
    let lifetime = lifetime
        .map_err(|message| CliError::new(ExitCode::Usage, format!("--expires: {message}")))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let claims = Claims {
        mercure: Access { publish: &args.publish, subscribe: &args.subscribe },
        iat: now,
        // A token of less than a second still has a moment.
        exp: lifetime.map(|lifetime| now + lifetime.as_secs().max(1)),
    };
    // It fails if it was installed before, which is as well.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let header = Header::new(Algorithm::HS256);
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret))
        .map_err(|error| {
            CliError::new(ExitCode::Failure, "the token cannot be signed").because(error)
        })?;
    output::print(format!("{token}\n").as_bytes())?;
    Ok(ExitCode::Success)
}

fn secret(args: &TokenArgs) -> Result<Vec<u8>, CliError> {
    if let Some(secret) = &args.secret {
        return Ok(secret.as_bytes().to_vec());
    }
    if let Some(file) = &args.secret_file {
        return keys::read_secret(file);
    }
    let from_config = match &args.config {
        Some(config) => {
            let layers = vec![read_file(config)?, env::layer()];
            let settings = Settings::resolve(layers).map_err(CliError::settings)?;
            keys::jwt_secret(&settings)?
        }
        None => None,
    };
    from_config.ok_or_else(|| {
        CliError::new(ExitCode::Usage, "there is no secret to sign the token with").hint(
            "give the hub's: --secret-file FILE, --config FILE that has it, or TIDINGS_JWT_SECRET",
        )
    })
}
