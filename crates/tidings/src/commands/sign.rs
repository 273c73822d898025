//! `tidings sign`: a URL that may be read until a moment, without a token.

use std::time::{SystemTime, UNIX_EPOCH};

use tidings_hub::Matcher;
use tidings_server::{Link, LinkKey};
use url::Url;

use crate::args::SignArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::{Settings, parse_duration, read_file};
use crate::{env, keys, output};

pub(super) fn run(args: &SignArgs) -> Result<ExitCode, CliError> {
    let lifetime = parse_duration(&args.lifetime)
        .map_err(|message| CliError::new(ExitCode::Usage, format!("--for: {message}")))?;
    let mut matchers = Vec::new();
    for text in &args.topic {
        matchers.push(Matcher::parse(text).map_err(|error| {
            let message = format!("{text:?} is no topic and no pattern of topics");
            CliError::new(ExitCode::Usage, message).because(error)
        })?);
    }
    if args.subject.chars().any(char::is_control) {
        let message = "--sub: a subject has no control characters";
        return Err(CliError::new(ExitCode::Usage, message));
    }
    let key = key(args)?;
    if !key.may_sign(&matchers) {
        let message = format!("the key {:?} may not sign links to these topics", key.id());
        return Err(CliError::new(ExitCode::Usage, message).hint("see its `topics`"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let until = now + lifetime.as_secs().max(1);
    let topics: Vec<_> = args.topic.iter().map(String::as_str).collect();
    let signature = key.sign(&Link { until, subject: &args.subject, topics: &topics });
    let url = url(args, until, &topics, &signature)?;
    output::print(format!("{url}\n").as_bytes())?;
    Ok(ExitCode::Success)
}

fn key(args: &SignArgs) -> Result<LinkKey, CliError> {
    if let (Some(file), Some(id)) = (&args.key_file, &args.id) {
        return keys::link_key_of_file(id, file);
    }
    let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let settings = Settings::resolve(vec![file, env::layer()]).map_err(CliError::settings)?;
    let mut tables = settings.link_keys.iter();
    let table = tables.find(|table| args.id.as_ref().is_none_or(|id| *id == table.id));
    let table = table.ok_or_else(|| {
        CliError::new(ExitCode::Usage, "there is no key to sign the link with")
            .hint("give --config FILE with [[link-keys]], or --id ID --key-file FILE")
    })?;
    keys::link_key(table)
}

/// The topics stand in the query, where no proxy changes how they are spelt.
fn url(args: &SignArgs, until: u64, topics: &[&str], signature: &str) -> Result<Url, CliError> {
    let url = Url::parse(&args.url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let mut url = url.ok_or_else(|| {
        CliError::new(ExitCode::Usage, format!("{:?} is not an http or https URL", args.url))
    })?;
    let base = url.path().trim_end_matches('/');
    let base = base.strip_suffix("/events").unwrap_or(base);
    let path = format!("{base}/events");
    url.set_path(&path);
    url.set_fragment(None);
    let mut query = url.query_pairs_mut();
    query.clear();
    for topic in topics {
        query.append_pair("topic", topic);
    }
    query.append_pair("until", &until.to_string());
    if !args.subject.is_empty() {
        query.append_pair("sub", &args.subject);
    }
    query.append_pair("sig", signature);
    drop(query);
    Ok(url)
}
