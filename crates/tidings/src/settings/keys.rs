//! Names in a configuration file that are no settings: the tables of keys and rules.

/// The tables of API keys, besides the settings of a file.
pub(super) const KEY_TABLES: &str = "keys";

/// The entries of a table of [`KEY_TABLES`].
pub(super) const KEY_TABLE_KEYS: [&str; 11] = [
    "name",
    "key",
    "key-file",
    "publish",
    "subscribe",
    "erase",
    "presence",
    "operate",
    MAX_CONNECTIONS,
    MAX_PUBLISH_BYTES,
    MAX_TOPICS,
];

/// Those of them that are lists.
pub(super) const KEY_TABLE_LISTS: [&str; 5] =
    ["publish", "subscribe", "erase", "presence", "operate"];

/// The other tables: keys that sign tokens.
pub(super) const JWT_KEY_TABLES: &str = "jwt-keys";

/// The entries of a table of [`JWT_KEY_TABLES`].
pub(super) const JWT_KEY_TABLE_KEYS: [&str; 9] = [
    "algorithm",
    "key",
    "key-file",
    "url",
    "role",
    "issuer",
    MAX_CONNECTIONS,
    MAX_PUBLISH_BYTES,
    MAX_TOPICS,
];

/// The tables of keys that sign links.
pub(super) const LINK_KEY_TABLES: &str = "link-keys";

/// What a table of [`LINK_KEY_TABLES`] may have.
pub(super) const LINK_KEY_TABLE_KEYS: [&str; 4] = ["id", "secret", "secret-file", "topics"];

/// The tables of rules by which a backend is asked.
pub(super) const AUTHORIZE_TABLES: &str = "authorize";

/// What a table of [`AUTHORIZE_TABLES`] may have.
pub(super) const AUTHORIZE_KEYS: [&str; 15] = [
    "topics",
    "url",
    "cookies",
    "forward",
    "send-topics",
    "send-address",
    "actions",
    "cache",
    "cache-refused",
    "timeout",
    "concurrency",
    "waiting",
    "wait",
    "on-failure",
    "stale-max",
];

/// Those of them that are lists.
pub(super) const AUTHORIZE_LISTS: [&str; 4] = ["topics", "cookies", "forward", "actions"];

/// The tables of receivers of what happens to connections.
pub(super) const NOTIFY_TABLES: &str = "notify";

/// What a table of [`NOTIFY_TABLES`] may have.
pub(super) const NOTIFY_KEYS: [&str; 4] = ["url", "secret", "secret-file", "addresses"];

/// Those of them that are lists.
pub(super) const NOTIFY_LISTS: [&str; 2] = ["secret", "secret-file"];

/// The tables of rules of retention.
pub(super) const RETENTION_TABLES: &str = "retention";

/// What a table of [`RETENTION_TABLES`] may have; the first is a list.
pub(super) const RETENTION_KEYS: [&str; 6] =
    ["topics", "name", "age", "bytes", "keep-last", "state"];

/// In a table of either kind: subscribers and long polls at once with the key.
pub(super) const MAX_CONNECTIONS: &str = "max-connections";

/// In a table of either kind: bytes that may be published per second with the key.
pub(super) const MAX_PUBLISH_BYTES: &str = "max-publish-bytes";

/// In a table of either kind: topics that may be begun with the key.
pub(super) const MAX_TOPICS: &str = "max-topics";

/// The name among `names` that was probably meant by `typed`.
pub(crate) fn likely<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.replace('_', "-").to_ascii_lowercase();
    let scored = names.map(|name| (strsim::jaro_winkler(&typed, name), name));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > 0.85).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::settings;

    #[test]
    fn a_typing_error_finds_its_key_and_nonsense_finds_none() {
        let likely = |typed| likely(typed, settings().map(|setting| setting.name));
        assert_eq!(likely("retension-bytes"), Some("retention-bytes"));
        assert_eq!(likely("max_subscribers"), Some("max-subscribers"));
        assert_eq!(likely("port"), None);
    }
}
