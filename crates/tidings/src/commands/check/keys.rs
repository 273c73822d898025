//! The tables of keys as `tidings check` shows them: everything but the secrets. Each function
//! names every field of its table, so that none is forgotten.

use std::fmt::Display;

use tidings_client::ShownUrl;
use tidings_hub::Operate;
use tidings_server::KeyLimits;

use crate::settings::{JwtKeyTable, KeyTable, LinkKeyTable, Role};

/// The lines about an API key.
pub(super) fn api_key(table: &KeyTable) -> Vec<String> {
    #[rustfmt::skip]
    let KeyTable {
        name, key: _, key_file, publish, subscribe, erase, presence, operate, limits, origin,
    } = table;
    let mut lines = vec![format!("[[keys]] {:<35} # {origin}", format!("{name:?}"))];
    lines.extend(key_file.as_ref().map(|file| format!("  key-file = {file:?}")));
    lines.push(format!("  publish = {publish:?}"));
    lines.push(format!("  subscribe = {subscribe:?}"));
    for (member, topics) in [("erase", erase), ("presence", presence)] {
        lines.extend((!topics.is_empty()).then(|| format!("  {member} = {topics:?}")));
    }
    lines.extend(words(*operate).map(|words| format!("  operate = {words:?}")));
    lines.extend(key_limits(*limits));
    lines
}

/// The lines about a key that signs tokens.
pub(super) fn jwt_key(table: &JwtKeyTable) -> Vec<String> {
    let JwtKeyTable { algorithm, key: _, key_file, url, role, issuer, limits, origin } = table;
    let url = url.as_ref().map(|url| ShownUrl(url).to_string());
    let title = format!("{:?}", url.as_ref().unwrap_or(algorithm));
    let mut lines = vec![format!("[[jwt-keys]] {title:<31} # {origin}")];
    if url.is_some() && !algorithm.is_empty() {
        lines.push(format!("  algorithm = {algorithm:?}"));
    }
    lines.extend(key_file.as_ref().map(|file| format!("  key-file = {file:?}")));
    lines.extend(role.map(|role| format!("  role = {:?}", role_name(role))));
    lines.extend(issuer.as_ref().map(|issuer| format!("  issuer = {issuer:?}")));
    lines.extend(key_limits(*limits));
    lines
}

/// The lines about a key that signs links.
pub(super) fn link_key(table: &LinkKeyTable) -> Vec<String> {
    let LinkKeyTable { id, secret: _, secret_file, topics, origin } = table;
    let mut lines = vec![format!("[[link-keys]] {:<30} # {origin}", format!("{id:?}"))];
    lines.extend(secret_file.as_ref().map(|file| format!("  secret-file = {file:?}")));
    lines.push(format!("  topics = {topics:?}"));
    lines
}

fn words(operate: Operate) -> Option<Vec<&'static str>> {
    let Operate { look, kick } = operate;
    let words = [(look, "look"), (kick, "kick")].into_iter().filter(|(may, _)| *may);
    Some(words.map(|(_, word)| word).collect()).filter(|words: &Vec<_>| !words.is_empty())
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Publisher => "publisher",
        Role::Subscriber => "subscriber",
    }
}

fn key_limits(limits: KeyLimits) -> [String; 3] {
    let KeyLimits { connections_max, publish_bytes_max, topics_max } = limits;
    [
        format!("  max-connections = {}", limit(connections_max)),
        format!("  max-publish-bytes = {}", limit(publish_bytes_max)),
        format!("  max-topics = {}", limit(topics_max)),
    ]
}

fn limit(max: Option<impl Display>) -> String {
    max.map_or_else(|| "\"unlimited\"".to_owned(), |max| max.to_string())
}
