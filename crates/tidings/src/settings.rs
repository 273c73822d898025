//! The settings of a hub: where each value comes from, and what it means.
//!
//! Every layer (the defaults, a file, the environment, the command line) gives *texts*; a setting
//! is the text of the highest layer that has one, parsed once, here. So a value means the same
//! wherever it stands, and an error can say where the text came from.

mod default_file;
mod drop_in;
mod file;
mod keys;
mod layer;
mod setting;
mod table;
mod value;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::durability::Durability;
use crate::store_kind::StoreKind;

pub(crate) use default_file::{DEFAULT_FILE, written as written_default_file};
pub(crate) use drop_in::{DROP_IN_VARIABLES, drop_in};
pub(crate) use file::read_file;
pub(crate) use layer::{Given, JwtKeyTable, KeyTable, Layer, Origin, Role, SettingProblem};
pub(crate) use setting::{Setting, Value};
pub(crate) use table::settings;
pub(crate) use value::{
    bytes as format_bytes, duration as format_duration, never_or_duration, parse_duration,
};

/// A hub's settings, parsed. Whether they fit together is checked where they are used.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) redirect_listen: Vec<SocketAddr>,
    pub(crate) trusted_proxy: Vec<String>,
    pub(crate) data: PathBuf,
    pub(crate) store: StoreKind,
    pub(crate) durability: Durability,
    /// What was set in a way that the next version will not understand, and how to set it.
    pub(crate) outdated: Vec<String>,
    pub(crate) retention_bytes: u64,
    pub(crate) retention_age: Duration,
    pub(crate) recent_bytes: u64,
    pub(crate) ring_bytes: u64,
    pub(crate) open: bool,
    pub(crate) allowed_host: Vec<String>,
    pub(crate) jwt_secret: Option<String>,
    pub(crate) jwt_secret_file: Option<PathBuf>,
    pub(crate) keys: Vec<KeyTable>,
    pub(crate) jwt_keys: Vec<JwtKeyTable>,
    pub(crate) cors_origin: Vec<String>,
    pub(crate) cors_credentials: bool,
    pub(crate) mercure: bool,
    pub(crate) mercure_anonymous: bool,
    pub(crate) mercure_public: Vec<String>,
    pub(crate) mercure_subscriptions: bool,
    pub(crate) mercure_issuer: Vec<String>,
    pub(crate) mercure_resource: Option<String>,
    pub(crate) mercure_publish_origin: Vec<String>,
    /// `None`: as many as files may be open.
    pub(crate) max_subscribers: Option<usize>,
    /// Per second; `None` is no limit.
    pub(crate) max_arrival_rate: Option<NonZeroU32>,
    pub(crate) heartbeat: Duration,
    pub(crate) retry: Duration,
    pub(crate) retry_refused: Duration,
    pub(crate) peer_patience: Duration,
    pub(crate) max_connection_age: Option<Duration>,
    pub(crate) max_event_bytes: u64,
    pub(crate) max_matchers: usize,
    /// Events per second; here and below `None` is no limit.
    pub(crate) max_publish_rate: Option<NonZeroU32>,
    pub(crate) max_topics: Option<NonZeroU32>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) max_connections_per_address: Option<NonZeroU32>,
    pub(crate) max_subscribers_per_address: Option<NonZeroU32>,
    pub(crate) max_subscribers_per_token: Option<NonZeroU32>,
    pub(crate) max_streams: usize,
    pub(crate) max_head_bytes: u64,
    pub(crate) max_head_time: Duration,
    pub(crate) max_body_pause: Duration,
    pub(crate) max_ingest_pause: Duration,
    pub(crate) max_idle: Duration,
    pub(crate) drain_window: Duration,
    pub(crate) max_drain: Duration,
    /// `None`: one for each processor.
    pub(crate) shards: Option<usize>,
    /// `None`: one for each processor.
    pub(crate) workers: Option<usize>,
    pub(crate) portable: bool,
    pub(crate) log: String,
    pub(crate) log_json: bool,
    /// Every setting as text, in the order of the default file, with its origin.
    pub(crate) effective: Vec<Effective>,
}

/// A setting as it stands, for people.
#[derive(Debug)]
pub(crate) struct Effective {
    pub(crate) key: &'static str,
    /// As TOML; secrets are not shown.
    pub(crate) shown: String,
    pub(crate) origin: Origin,
}

impl Settings {
    /// The settings that `layers` make on top of the defaults, the last one winning.
    ///
    /// # Errors
    ///
    /// All texts that cannot be understood.
    pub(crate) fn resolve(layers: Vec<Layer>) -> Result<Self, Vec<SettingProblem>> {
        let mut stack = vec![file::defaults()];
        stack.extend(layers);
        let problems = stack.iter_mut().flat_map(|layer| std::mem::take(&mut layer.problems));
        let problems = problems.collect();
        let mut from = Resolver { stack, problems, effective: Vec::new() };
        let mut outdated = Vec::new();
        let data = from.path("data").unwrap_or_default();
        let (store, durability) = from.store(&mut outdated);
        let settings = Self {
            listen: from.many("listen", value::address),
            tls_cert: from.path("tls-cert"),
            tls_key: from.path("tls-key"),
            redirect_listen: from.many("redirect-listen", value::address),
            trusted_proxy: from.many("trusted-proxy", |text| Ok(text.to_owned())),
            data,
            store,
            durability,
            outdated,
            retention_bytes: from.one("retention-bytes", value::parse_bytes),
            retention_age: from.one("retention-age", value::parse_duration),
            recent_bytes: from.one("recent-bytes", value::parse_bytes),
            ring_bytes: from.one("ring-bytes", value::parse_bytes),
            open: from.one("open", value::boolean),
            allowed_host: from.many("allowed-host", |text| Ok(text.to_owned())),
            jwt_secret: from.secret("jwt-secret"),
            jwt_secret_file: from.path("jwt-secret-file"),
            keys: from.keys(|layer| &mut layer.keys),
            jwt_keys: from.keys(|layer| &mut layer.jwt_keys),
            cors_origin: from.many("cors-origin", |text| Ok(text.to_owned())),
            cors_credentials: from.one("cors-credentials", value::boolean),
            mercure: from.one("mercure", value::boolean),
            mercure_anonymous: from.one("mercure-anonymous", value::boolean),
            mercure_public: from.many("mercure-public", |text| Ok(text.to_owned())),
            mercure_subscriptions: from.one("mercure-subscriptions", value::boolean),
            mercure_issuer: from.many("mercure-issuer", |text| Ok(text.to_owned())),
            mercure_resource: from.text("mercure-resource"),
            mercure_publish_origin: from.many("mercure-publish-origin", |text| Ok(text.to_owned())),
            max_subscribers: from.one("max-subscribers", value::auto_or_count),
            max_arrival_rate: from.one("max-arrival-rate", value::unlimited_or_count),
            heartbeat: from.one("heartbeat", value::parse_duration),
            retry: from.one("retry", value::parse_duration),
            retry_refused: from.one("retry-refused", value::parse_duration),
            peer_patience: from.one("peer-patience", value::parse_duration),
            max_connection_age: from.one("max-connection-age", value::never_or_duration),
            max_event_bytes: from.one("max-event-bytes", value::parse_bytes),
            max_matchers: from.one("max-matchers", value::count),
            max_publish_rate: from.one("max-publish-rate", value::unlimited_or_count),
            max_topics: from.one("max-topics", value::unlimited_or_count),
            max_connections: from.one("max-connections", value::auto_or_count),
            max_connections_per_address: from
                .one("max-connections-per-address", value::unlimited_or_count),
            max_subscribers_per_address: from
                .one("max-subscribers-per-address", value::unlimited_or_count),
            max_subscribers_per_token: from
                .one("max-subscribers-per-token", value::unlimited_or_count),
            max_streams: from.one("max-streams", value::count),
            max_head_bytes: from.one("max-head-bytes", value::parse_bytes),
            max_head_time: from.one("max-head-time", value::parse_duration),
            max_body_pause: from.one("max-body-pause", value::parse_duration),
            max_ingest_pause: from.one("max-ingest-pause", value::parse_duration),
            max_idle: from.one("max-idle", value::parse_duration),
            drain_window: from.one("drain-window", value::parse_duration_or_zero),
            max_drain: from.one("max-drain", value::parse_duration_or_zero),
            shards: from.one("shards", value::auto_or_count),
            workers: from.one("workers", value::auto_or_count),
            portable: from.one("engine", value::portable),
            log: from.one("log", value::log_filter),
            log_json: from.one("log-format", value::log_json),
            effective: from.effective,
        };
        if from.problems.is_empty() { Ok(settings) } else { Err(from.problems) }
    }

    /// Where the value of `key` comes from.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        let found = self.effective.iter().find(|effective| effective.key == key);
        found.map_or(Origin::Default, |effective| effective.origin.clone())
    }
}

/// Takes settings out of the layers, and notes what was wrong with which.
struct Resolver {
    /// The defaults first.
    stack: Vec<Layer>,
    problems: Vec<SettingProblem>,
    effective: Vec<Effective>,
}

impl Resolver {
    /// Which store there is, and how firm it is.
    fn store(&mut self, outdated: &mut Vec<String>) -> (StoreKind, Durability) {
        let mut store = self.one("store", value::store);
        let origin_of = |key| self.given(key).map_or(Origin::Default, |given| given.origin);
        let origins = ["store", "durability", "data"].map(origin_of);
        let [store_origin, durability_origin, data_origin] = origins;
        let durability = self.one("durability", value::durability);
        if durability.is_none() {
            outdated.push(format!("{durability_origin}: say store = \"memory\" instead"));
            if store == StoreKind::Disk && store_origin != Origin::Default {
                let message = "it cannot be \"memory\" where the store is \"disk\"".to_owned();
                self.problems.push(SettingProblem::new(durability_origin, "durability", message));
            }
            store = StoreKind::Memory;
        } else if store_origin == Origin::Demo
            && [durability_origin, data_origin].iter().any(|origin| *origin != Origin::Default)
        {
            // Whoever says where or how firmly a demo keeps its history wants it kept.
            store = StoreKind::Disk;
        }
        (store, durability.unwrap_or(Durability::Fsync))
    }

    fn one<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let given = self.given(key).expect("every such setting has a default");
        let text = given.texts.first().map_or("", String::as_str);
        match parse(text) {
            Ok(value) => {
                self.note(key, value::quote(text), given.origin);
                value
            }
            Err(message) => {
                self.problems.push(SettingProblem::new(given.origin, key, message));
                // So that the rest can be looked at, too.
                let default = &self.stack[0].values[key];
                parse(&default.texts[0]).expect("the defaults are sound")
            }
        }
    }

    fn many<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let given = self.given(key).expect("every such setting has a default");
        let mut values = Vec::new();
        for text in &given.texts {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(message) => {
                    self.problems.push(SettingProblem::new(given.origin.clone(), key, message));
                }
            }
        }
        let texts: Vec<_> = given.texts.iter().map(|text| value::quote(text)).collect();
        self.note(key, format!("[{}]", texts.join(", ")), given.origin);
        values
    }

    /// A relative path begins in the folder of the file that it stands in.
    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let given = self.given(key)?;
        let text = given.texts.first()?;
        if text.is_empty() {
            let message = "a path cannot be empty".to_owned();
            self.problems.push(SettingProblem::new(given.origin, key, message));
            return None;
        }
        let path = given.origin.folder().join(text);
        self.note(key, value::quote(&path.display().to_string()), given.origin);
        Some(path)
    }

    /// A text that may well not be there.
    fn text(&mut self, key: &'static str) -> Option<String> {
        let given = self.given(key)?;
        let text = given.texts.into_iter().next()?;
        self.note(key, value::quote(&text), given.origin);
        Some(text)
    }

    /// A text that nobody else shall see.
    fn secret(&mut self, key: &'static str) -> Option<String> {
        let given = self.given(key)?;
        self.note(key, "(not shown)".to_owned(), given.origin);
        given.texts.into_iter().next()
    }

    /// Tables of keys: those of the highest layer that has any.
    fn keys<T>(&mut self, of: impl Fn(&mut Layer) -> &mut Vec<T>) -> Vec<T> {
        let mut layers = self.stack.iter_mut().rev().map(of);
        layers.find(|keys| !keys.is_empty()).map(std::mem::take).unwrap_or_default()
    }

    fn given(&self, key: &str) -> Option<Given> {
        self.stack.iter().rev().find_map(|layer| layer.values.get(key)).cloned()
    }

    fn note(&mut self, key: &'static str, shown: String, origin: Origin) {
        self.effective.push(Effective { key, shown, origin });
    }
}

#[cfg(test)]
mod tests;
