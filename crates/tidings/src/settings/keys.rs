//! Every setting by name. The name is the key in a file, the flag without its dashes, and, in
//! capitals, the environment variable.

/// A setting's name, and whether it is a list.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) is_list: bool,
}

impl Key {
    const fn one(name: &'static str) -> Self {
        Self { name, is_list: false }
    }

    const fn list(name: &'static str) -> Self {
        Self { name, is_list: true }
    }

    /// The key called `name`.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// `retention-age` is `TIDINGS_RETENTION_AGE`.
    pub(crate) fn variable(&self) -> String {
        format!("TIDINGS_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }
}

/// In the order of the default file.
pub(crate) const KEYS: &[Key] = &[
    Key::list("listen"),
    Key::one("tls-cert"),
    Key::one("tls-key"),
    Key::list("redirect-listen"),
    Key::list("trusted-proxy"),
    Key::one("data"),
    Key::one("store"),
    Key::one("durability"),
    Key::one("retention-bytes"),
    Key::one("retention-age"),
    Key::one("recent-bytes"),
    Key::one("ring-bytes"),
    Key::one("open"),
    Key::list("allowed-host"),
    Key::one("jwt-secret"),
    Key::one("jwt-secret-file"),
    Key::list("cors-origin"),
    Key::one("cors-credentials"),
    Key::one("mercure"),
    Key::one("mercure-anonymous"),
    Key::list("mercure-public"),
    Key::one("mercure-subscriptions"),
    Key::list("mercure-issuer"),
    Key::one("mercure-resource"),
    Key::list("mercure-publish-origin"),
    Key::one("max-subscribers"),
    Key::one("max-arrival-rate"),
    Key::one("heartbeat"),
    Key::one("retry"),
    Key::one("retry-refused"),
    Key::one("peer-patience"),
    Key::one("max-connection-age"),
    Key::one("max-event-bytes"),
    Key::one("max-matchers"),
    Key::one("max-publish-rate"),
    Key::one("max-topics"),
    Key::one("max-connections"),
    Key::one("max-connections-per-address"),
    Key::one("max-subscribers-per-address"),
    Key::one("max-subscribers-per-token"),
    Key::one("max-streams"),
    Key::one("max-head-bytes"),
    Key::one("max-head-time"),
    Key::one("max-body-pause"),
    Key::one("max-ingest-pause"),
    Key::one("max-idle"),
    Key::one("drain-window"),
    Key::one("max-drain"),
    Key::one("shards"),
    Key::one("workers"),
    Key::one("engine"),
    Key::one("log"),
    Key::one("log-format"),
];

/// The tables that a file may have besides: keys that are sent as they are.
pub(super) const KEY_TABLES: &str = "keys";

/// What a table of [`KEY_TABLES`] may have.
pub(super) const KEY_TABLE_KEYS: [&str; 5] = ["name", "key", "key-file", "publish", "subscribe"];

/// The other tables: keys that sign tokens.
pub(super) const JWT_KEY_TABLES: &str = "jwt-keys";

/// What a table of [`JWT_KEY_TABLES`] may have.
pub(super) const JWT_KEY_TABLE_KEYS: [&str; 6] =
    ["algorithm", "key", "key-file", "url", "role", "issuer"];

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

    #[test]
    fn a_typing_error_finds_its_key_and_nonsense_finds_none() {
        let likely = |typed| likely(typed, KEYS.iter().map(|key| key.name));
        assert_eq!(likely("retension-bytes"), Some("retention-bytes"));
        assert_eq!(likely("max_subscribers"), Some("max-subscribers"));
        assert_eq!(likely("port"), None);
    }
}
