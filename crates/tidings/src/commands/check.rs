//! `tidings check`: what a configuration means, or what is wrong with it.

mod authorize;
mod keys;
mod notify;
mod retention;

use std::fmt::Write as _;

use tidings_hub::Matcher;
use tidings_server::{Config, Tls};

use crate::acme::Acme;
use crate::args::CheckArgs;
use crate::certificate::Left;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::open_files::{self, OpenFiles};
use crate::runtime::client_runtime;
use crate::server_config::server_config;
use crate::settings::{DEFAULT_FILE, Effective, Settings, read_file};
use crate::ticket_keys::TicketKeyFile;
use crate::{env, output, stores};

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    if args.defaults {
        output::print(DEFAULT_FILE.as_bytes())?;
        return Ok(ExitCode::Success);
    }
    let file = args.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let settings = Settings::resolve(vec![file, env::layer()]).map_err(CliError::settings)?;
    let config = server_config(&settings)?;
    if let Some(file) = TicketKeyFile::of(&settings, config.http.tls.is_some())? {
        file.check()?;
    }
    stores::check(&settings.hub.store)?;
    let mut text = describe(&settings, &config);
    if let Some(acme) = Acme::of(&settings)? {
        for problem in client_runtime()?.block_on(acme.problems()) {
            writeln!(text, "no certificate could be ordered from here: {problem}")
                .expect("a String takes every write");
        }
    }
    for topic in &args.topic {
        text += &retention::explain(&settings, topic)?;
    }
    output::print_text(&text)?;
    Ok(ExitCode::Success)
}

/// Every value with its origin, and then what they mean together.
fn describe(settings: &Settings, config: &Config) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("a String takes every write");
    };
    let is_first = |effective: &&Effective| FIRST.contains(&effective.key);
    let first = settings.effective.iter().filter(is_first);
    let rest = settings.effective.iter().filter(|effective| !is_first(effective));
    for effective in first.chain(rest) {
        let value = format!("{} = {}", effective.key, effective.shown);
        line(format_args!("{value:<44} # {}", effective.origin));
    }
    for advice in &settings.outdated {
        line(format_args!("outdated: {advice}"));
    }
    let api_keys = settings.keys.iter().flat_map(keys::api_key);
    for shown in api_keys.chain(settings.jwt_keys.iter().flat_map(keys::jwt_key)) {
        line(format_args!("{shown}"));
    }
    for shown in settings.link_keys.iter().flat_map(keys::link_key) {
        line(format_args!("{shown}"));
    }
    for (table, rule) in settings.authorize.iter().zip(&config.http.authorize) {
        for shown in authorize::rule(rule, &table.origin) {
            line(format_args!("{shown}"));
        }
    }
    for (table, receiver) in settings.notify.iter().zip(&config.http.notify) {
        for shown in notify::receiver(receiver, &table.origin) {
            line(format_args!("{shown}"));
        }
    }
    for table in &settings.retention {
        line(format_args!("{}", retention::rule(&table.rule, &table.origin, &settings.hub)));
    }
    line(format_args!(""));
    let addresses: Vec<_> = config.http.listen.iter().map(ToString::to_string).collect();
    let tls = if config.http.tls.is_some() { " with TLS" } else { "" };
    line(format_args!("listening on {}{tls}", addresses.join(", ")));
    if let Ok(Some(acme)) = Acme::of(settings) {
        line(format_args!("{}", acme.describe()));
        if config.http.tls.as_ref().is_some_and(|tls| !tls.has_certificate()) {
            line(format_args!("the certificate: there is none yet; it is ordered at the start"));
        }
    }
    if let Some(left) = config.http.tls.as_ref().and_then(Tls::validity).and_then(Left::of) {
        let renew = if left.is_little() { "; renew it" } else { "" };
        line(format_args!("the certificate: {left}{renew}"));
    }
    line(format_args!("{}", stores::describe(&settings.hub.store)));
    let files = OpenFiles::share_out(&settings.hub, open_files::raise_limit());
    line(format_args!("open files: {files}"));
    if !files.is_enough() {
        let limit = files.limit;
        line(format_args!("the hub would not start here: {limit} open files are too few"));
    }
    line(format_args!("{}", access(config)));
    if let Some(everybody) = everybody(config) {
        line(format_args!("{everybody}"));
    }
    text
}

/// What every client may do without a token, where that is neither everything nor nothing.
fn everybody(config: &Config) -> Option<String> {
    let topics = |matchers: &[Matcher]| {
        let texts: Vec<_> = matchers.iter().map(Matcher::to_string).collect();
        texts.join(", ")
    };
    let reads = topics(&config.http.anonymous_subscribe);
    let publishes = topics(&config.http.anonymous_publish);
    let may = match (reads.is_empty(), publishes.is_empty()) {
        (true, true) => return None,
        (false, true) => format!("read {reads}"),
        (true, false) => format!("publish to {publishes}"),
        (false, false) => format!("read {reads} and publish to {publishes}"),
    };
    if config.http.open || !config.http.has_keys() && key_counts(config).1 == 0 {
        return Some("anonymous-subscribe and anonymous-publish change nothing here".to_owned());
    }
    Some(format!("without a token, everybody may {may}"))
}

/// Numbers of API keys, and of keys that sign tokens.
fn key_counts(config: &Config) -> (usize, usize) {
    let mercure = &config.mercure;
    let of_mercure = mercure.issuers.iter().map(|issuer| &issuer.keys).chain([&mercure.keys]);
    let of_mercure = of_mercure.map(|keys| keys.publisher.len() + keys.subscriber.len());
    (config.http.api_keys.len(), of_mercure.sum::<usize>() + config.http.jwt_keys.len())
}

/// The settings that come first: where history is kept, and how durably.
const FIRST: [&str; 3] = ["data", "store", "durability"];

fn access(config: &Config) -> String {
    let (sent, signing) = key_counts(config);
    let asked = config.http.authorize.len();
    match (config.http.open, sent + signing + config.http.link_keys.len() + asked) {
        (true, _) => "anyone may publish and subscribe to everything, on any address".to_owned(),
        (false, 0) => {
            "any program on this machine may publish and subscribe to everything".to_owned()
        }
        (false, _) => {
            let links = config.http.link_keys.len();
            let asked = match asked {
                0 => String::new(),
                1 => "; 1 backend is asked".to_owned(),
                _ => format!("; {asked} backends are asked"),
            };
            format!("API keys: {sent}; keys that sign tokens: {signing}, links: {links}{asked}")
        }
    }
}
