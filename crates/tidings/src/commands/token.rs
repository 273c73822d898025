//! `tidings token`: mint a token (RFC 7519) that a hub with the same key accepts, or show what one
//! allows.

use std::fmt::Write as _;
use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tidings_hub::Matcher;
use tidings_server::{Config, JwtKey, TokenReport};

use crate::args::{MercureVersion, TokenArgs};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::runtime::client_runtime;
use crate::server_config::server_config;
use crate::settings::{Settings, parse_duration, read_file};
use crate::{env, keys, output};

pub(super) fn run(args: &TokenArgs) -> Result<ExitCode, CliError> {
    match &args.inspect {
        Some(token) => inspect(args, token),
        None => mint(args),
    }
}

fn mint(args: &TokenArgs) -> Result<ExitCode, CliError> {
    // What only the claim `tidings` can say.
    let is_ours = !(args.erase.is_empty() && args.presence.is_empty() && args.operate.is_empty());
    if args.publish.is_empty() && args.subscribe.is_empty() && !is_ours {
        let message = "the token would allow nothing";
        return Err(CliError::new(ExitCode::Usage, message)
            .hint("say what it allows: --publish 'a/*', --subscribe '**'"));
    }
    let lifetime = args.expires.as_deref().map(parse_duration).transpose();
    let lifetime = lifetime
        .map_err(|message| CliError::new(ExitCode::Usage, format!("--expires: {message}")))?;
    let payload = args.payload.as_deref().map(payload).transpose()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // A token of less than a second still has a moment.
    let end = |lifetime: Duration| now + lifetime.as_secs().max(1);

    let (mut claims, typ) = match args.mercure_version {
        MercureVersion::Zero => {
            let topics = [&args.publish, &args.subscribe, &args.erase, &args.presence];
            for text in topics.into_iter().flatten() {
                Matcher::parse(text).map_err(|error| {
                    let message = format!("{text:?} is neither a topic nor a pattern of topics");
                    CliError::new(ExitCode::Usage, message).because(error)
                })?;
            }
            let mut rights = json!({ "publish": args.publish, "subscribe": args.subscribe });
            if let Some(payload) = payload {
                rights["payload"] = payload;
            }
            let mut claims = json!({ "sub": args.subject, "exp": lifetime.map(end) });
            if is_ours {
                rights["erase"] = json!(args.erase);
                rights["presence"] = json!(args.presence);
                rights["operate"] = json!(args.operate);
                claims["tidings"] = rights;
            } else {
                claims["mercure"] = rights;
            }
            (claims, "JWT")
        }
        MercureVersion::One if is_ours => {
            let message = "a token of version 1.0 cannot say `erase`, `presence` or `operate`";
            return Err(CliError::new(ExitCode::Usage, message)
                .hint("leave out --mercure-version, or --erase, --presence and --operate"));
        }
        MercureVersion::One => {
            let lifetime = lifetime.unwrap_or(LIFETIME);
            (access_token(args, payload, end(lifetime))?, "at+jwt")
        }
    };
    claims["iat"] = json!(now);
    if let Some(claims) = claims.as_object_mut() {
        claims.retain(|_, value| !value.is_null());
    }
    let mut header = Header::new(algorithm(args)?);
    header.typ = Some(typ.to_owned());
    let key = signing_key(args, header.alg)?;
    install_cryptography();
    let token = jsonwebtoken::encode(&header, &claims, &key).map_err(|error| {
        CliError::new(ExitCode::Failure, "the token cannot be signed").because(error)
    })?;
    output::print(format!("{token}\n").as_bytes())?;
    Ok(ExitCode::Success)
}

/// The claims of a Mercure 1.0 token (RFC 9068, RFC 9396).
fn access_token(args: &TokenArgs, payload: Option<Value>, end: u64) -> Result<Value, CliError> {
    let (Some(issuer), Some(audience)) = (&args.issuer, &args.audience) else {
        let message = "a token of version 1.0 needs an issuer and an audience";
        return Err(CliError::new(ExitCode::Usage, message).hint(
            "give --issuer, one of the hub's `mercure-issuer`, and --audience, the hub's URL: \
             https://example.com/.well-known/mercure",
        ));
    };
    let mut details = Vec::new();
    for (action, topics) in [("publish", &args.publish), ("subscribe", &args.subscribe)] {
        let matcher = |text: &String| match text.strip_prefix("urlpattern:") {
            Some(pattern) => json!({ "match": pattern, "match_type": "urlpattern" }),
            None => json!({ "match": text, "match_type": "exact" }),
        };
        if topics.is_empty() {
            continue;
        }
        let mut detail = json!({
            "type": "https://mercure.rocks/authorization-detail",
            "actions": [action],
            "topics": topics.iter().map(matcher).collect::<Vec<_>>(),
        });
        if let Some(payload) = payload.as_ref().filter(|_| action == "subscribe") {
            detail["payload"] = payload.clone();
        }
        details.push(detail);
    }
    Ok(json!({
        "iss": issuer,
        "aud": audience,
        "sub": args.subject,
        "exp": end,
        "authorization_details": details,
    }))
}

fn payload(text: &str) -> Result<Value, CliError> {
    serde_json::from_str(text)
        .map_err(|error| CliError::new(ExitCode::Usage, "--payload is not JSON").because(error))
}

fn algorithm(args: &TokenArgs) -> Result<Algorithm, CliError> {
    let name = &args.algorithm;
    name.parse().map_err(|_| {
        let message = format!("--algorithm: {name:?} is not known");
        CliError::new(ExitCode::Usage, message).hint(
            "known: HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, \
                   EdDSA",
        )
    })
}

fn signing_key(args: &TokenArgs, algorithm: Algorithm) -> Result<EncodingKey, CliError> {
    let secret = secret(args)?;
    let key = match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            // The hub would not take a shorter one.
            JwtKey::with_algorithm(&args.algorithm, &secret).map_err(|error| {
                CliError::new(ExitCode::Configuration, error.to_string()).hint(keys::SECRET_HINT)
            })?;
            Ok(EncodingKey::from_secret(&secret))
        }
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(&secret),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(&secret),
        _ => EncodingKey::from_rsa_pem(&secret),
    };
    key.map_err(|error| {
        let message = format!("the key is not a private key in PEM for {}", args.algorithm);
        CliError::new(ExitCode::Configuration, message).because(error)
    })
}

fn secret(args: &TokenArgs) -> Result<Vec<u8>, CliError> {
    if let Some(secret) = keys::given(&args.secret)? {
        return Ok(secret);
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

/// Prints what `token` allows at a hub with these settings.
fn inspect(args: &TokenArgs, token: &str) -> Result<ExitCode, CliError> {
    let mut read = String::new();
    let token = match token {
        "-" => {
            let stdin = std::io::stdin().lock();
            stdin.take(TOKEN_BYTES_MAX).read_to_string(&mut read).map_err(|error| {
                CliError::new(ExitCode::Failure, "standard input cannot be read").because(error)
            })?;
            read.trim()
        }
        token => token.trim(),
    };
    let config = config_of(args)?;
    let report = client_runtime()?.block_on(TokenReport::of(&config, token));
    output::print_text(&describe(&report))?;
    let is_good = report.verdicts.iter().any(|verdict| verdict.outcome.is_ok());
    Ok(if is_good { ExitCode::Success } else { ExitCode::Refused })
}

/// The hub's, with the secret of the command line in place of its own.
fn config_of(args: &TokenArgs) -> Result<Config, CliError> {
    let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let settings = Settings::resolve(vec![file, env::layer()]).map_err(CliError::settings)?;
    let mut config = server_config(&settings)?;
    if let Some(secret) = keys::given(&args.secret)? {
        let key = JwtKey::with_algorithm(&args.algorithm, &secret).map_err(|error| {
            CliError::new(ExitCode::Configuration, error.to_string()).hint(keys::SECRET_HINT)
        })?;
        config.http.jwt_keys = vec![key];
        keys::trust_issuers(&mut config, args.issuer.as_slice());
    }
    Ok(config)
}

fn describe(report: &TokenReport) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("a String takes every write");
    };
    match (report.version, &report.algorithm) {
        (Some(version), Some(algorithm)) => {
            line(format_args!("a token of Mercure {version}, signed with {algorithm}; it says"));
        }
        _ => line(format_args!("no JSON Web Token")),
    }
    if let Some(claims) = &report.claims {
        line(format_args!("{claims:#}"));
    }
    line(format_args!(""));
    for verdict in &report.verdicts {
        let usage = verdict.usage.sentence();
        let until = match verdict.expires {
            Some(end) => {
                let end = i64::try_from(end.as_millis()).ok();
                let end = end.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
                end.map_or_else(String::new, |end| format!(", until {end}"))
            }
            None => String::new(),
        };
        match &verdict.outcome {
            Ok(topics) if topics.is_empty() => line(format_args!("{usage}: nothing")),
            Ok(topics) => line(format_args!("{usage}: {}{until}", topics.join(", "))),
            Err(why) => line(format_args!("{usage}: no: {why}")),
        }
    }
    text
}

fn install_cryptography() {
    // It fails if it was installed before, which is as well.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// How long a token of version 1.0 is good for unless said otherwise: it must have an end.
const LIFETIME: Duration = Duration::from_secs(3600);

/// More than any hub takes in a header.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
