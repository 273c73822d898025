//! The words of `tidings serve` and `tidings demo`. Each is a setting by the same name.

// The doc comments are the help: `[5s]` in them is a default and no link.
#![allow(rustdoc::broken_intra_doc_links)]

use std::path::PathBuf;

use clap::Args;

use crate::settings::{Given, Layer, Origin};

/// `tidings serve`, `tidings demo`. Whatever is not given has its default elsewhere.
#[derive(Args, Debug, Default)]
pub(crate) struct HubArgs {
    /// An address to listen on [127.0.0.1:3000]; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// A file with the certificate chain, in PEM: speak TLS
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_cert: Option<String>,
    /// A file with its private key, in PEM
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_key: Option<String>,
    /// An address without TLS that sends readers to the one with it; may be repeated
    #[arg(long, value_name = "ADDRESS", help_heading = TLS, hide_short_help = true)]
    redirect_listen: Vec<String>,
    /// A proxy, by address or network, that says truly who its clients are; may be repeated
    #[arg(long, value_name = "NETWORK", help_heading = LIMITS, hide_short_help = true)]
    trusted_proxy: Vec<String>,
    /// The folder that holds the history [tidings-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where history is kept: disk, or memory, which is gone when the hub stops [disk]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// What an acknowledged event on disk survives: fsync, a power cut; os, a crash [fsync]
    #[arg(long, value_name = "WHAT", hide_short_help = true)]
    durability: Option<String>,
    /// A configuration file
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Print the default configuration, and do nothing else
    #[arg(long, hide_short_help = true)]
    pub(crate) print_default_config: bool,

    /// How much history is kept [1GiB]
    #[arg(long, value_name = "SIZE", help_heading = "History")]
    retention_bytes: Option<String>,
    /// How long history is kept [7d]
    #[arg(long, value_name = "DURATION", help_heading = "History")]
    retention_age: Option<String>,
    /// How much of the newest history is held in memory [64MiB]
    #[arg(long, value_name = "SIZE", help_heading = "History", hide_short_help = true)]
    recent_bytes: Option<String>,
    /// How much of it is held ready for those who read along [128MiB]
    #[arg(long, value_name = "SIZE", help_heading = "History", hide_short_help = true)]
    ring_bytes: Option<String>,

    /// Everybody may do everything, on any address
    #[arg(long, help_heading = ACCESS, value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    open: Option<String>,
    /// A host by which a hub without keys may be asked for, or *; may be repeated
    #[arg(long, value_name = "HOST", help_heading = ACCESS)]
    allowed_host: Vec<String>,
    /// A file with the secret that signs tokens
    #[arg(long, value_name = "FILE", help_heading = ACCESS)]
    jwt_secret_file: Option<String>,
    /// An origin whose web pages may use the hub, or *; may be repeated
    #[arg(long, value_name = "ORIGIN", help_heading = ACCESS)]
    cors_origin: Vec<String>,
    /// They may send cookies along
    #[arg(long, help_heading = ACCESS, hide_short_help = true,
          value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    cors_credentials: Option<String>,

    /// Speak the Mercure protocol, too, at /.well-known/mercure [true]
    #[arg(long, help_heading = MERCURE, hide_short_help = true, value_name = "BOOL",
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    mercure: Option<String>,
    /// Those without a token may subscribe to public events
    #[arg(long, help_heading = MERCURE, hide_short_help = true, value_name = "BOOL",
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    mercure_anonymous: Option<String>,
    /// Topics that are public over Mercure though published natively; may be repeated
    #[arg(long, help_heading = MERCURE, hide_short_help = true, value_name = "TOPIC")]
    mercure_public: Vec<String>,
    /// Who is subscribed can be asked for and listened to [true]
    #[arg(long, help_heading = MERCURE, hide_short_help = true, value_name = "BOOL",
          num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    mercure_subscriptions: Option<String>,
    /// An issuer whose 1.0 tokens the hub's own keys sign; may be repeated
    #[arg(long, help_heading = MERCURE, hide_short_help = true, value_name = "ISSUER")]
    mercure_issuer: Vec<String>,
    /// The URL by which 1.0 tokens name this hub
    #[arg(long, help_heading = MERCURE, hide_short_help = true, value_name = "URL")]
    mercure_resource: Option<String>,
    /// An origin whose pages may publish with a cookie; may be repeated
    #[arg(long, help_heading = MERCURE, hide_short_help = true, value_name = "ORIGIN")]
    mercure_publish_origin: Vec<String>,

    /// Subscribers at once [auto: by the limit of open files]
    #[arg(long, value_name = "N", help_heading = SUBSCRIBERS)]
    max_subscribers: Option<String>,
    /// Subscribers let in per second [unlimited]
    #[arg(long, value_name = "N", help_heading = SUBSCRIBERS, hide_short_help = true)]
    max_arrival_rate: Option<String>,
    /// A silence that ends with a heartbeat [15s]
    #[arg(long, value_name = "DURATION", help_heading = SUBSCRIBERS)]
    heartbeat: Option<String>,
    /// How long those who lost their connection wait [2s]
    #[arg(long, value_name = "DURATION", help_heading = SUBSCRIBERS)]
    retry: Option<String>,
    /// How long those wait for whom there is no room [10s]
    #[arg(long, value_name = "DURATION", help_heading = SUBSCRIBERS, hide_short_help = true)]
    retry_refused: Option<String>,
    /// When a subscriber that acknowledges nothing counts as gone [60s]
    #[arg(long, value_name = "DURATION", help_heading = SUBSCRIBERS, hide_short_help = true)]
    peer_patience: Option<String>,
    /// Older connections are told to come back [never]
    #[arg(long, value_name = "DURATION", help_heading = SUBSCRIBERS)]
    max_connection_age: Option<String>,

    /// The payload of one event [1MiB]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS, hide_short_help = true)]
    max_event_bytes: Option<String>,
    /// Topics and patterns of one subscription [100]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_matchers: Option<String>,
    /// Events per second that one token may publish [unlimited]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_publish_rate: Option<String>,
    /// Topics that have events in the log [1000000]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_topics: Option<String>,
    /// Connections at once on which requests are read [16384]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_connections: Option<String>,
    /// Connections at once from one address [unlimited]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_connections_per_address: Option<String>,
    /// Subscribers at once from one address, also behind a trusted proxy [unlimited]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_subscribers_per_address: Option<String>,
    /// Subscribers at once with one token [unlimited]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_subscribers_per_token: Option<String>,
    /// Streams at once on one HTTP/2 connection [1024]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_streams: Option<String>,
    /// The head of a request [32KiB]
    #[arg(long, value_name = "SIZE", help_heading = LIMITS, hide_short_help = true)]
    max_head_bytes: Option<String>,
    /// How long the head of a request may take [10s]
    #[arg(long, value_name = "DURATION", help_heading = LIMITS, hide_short_help = true)]
    max_head_time: Option<String>,
    /// How long the body of a request may pause [30s]
    #[arg(long, value_name = "DURATION", help_heading = LIMITS, hide_short_help = true)]
    max_body_pause: Option<String>,
    /// How long a publisher's stream of events may pause [1h]
    #[arg(long, value_name = "DURATION", help_heading = LIMITS, hide_short_help = true)]
    max_ingest_pause: Option<String>,
    /// How long a connection without a request is kept [75s]
    #[arg(long, value_name = "DURATION", help_heading = LIMITS, hide_short_help = true)]
    max_idle: Option<String>,
    /// Over how long subscribers are sent away when the hub leaves [5s]
    #[arg(long, value_name = "DURATION", help_heading = LIMITS, hide_short_help = true)]
    drain_window: Option<String>,
    /// When those still there are cut [15s]
    #[arg(long, value_name = "DURATION", help_heading = LIMITS, hide_short_help = true)]
    max_drain: Option<String>,

    /// Threads that write to subscribers [auto: one for each processor but one]
    #[arg(long, value_name = "N", help_heading = MACHINE)]
    shards: Option<String>,
    /// Threads that answer requests [auto: one for each processor]
    #[arg(long, value_name = "N", help_heading = MACHINE, hide_short_help = true)]
    workers: Option<String>,
    /// Who writes to HTTP/1.1 sockets: auto or portable [auto]
    #[arg(long, value_name = "WHICH", help_heading = MACHINE)]
    engine: Option<String>,
    /// What is told on standard error: error, warn, info, debug, ... [info]
    #[arg(long, value_name = "FILTER", help_heading = MACHINE)]
    log: Option<String>,
    /// How it is told: human or json [human]
    #[arg(long, value_name = "FORMAT", help_heading = MACHINE)]
    log_format: Option<String>,
}

const TLS: &str = "TLS";
const ACCESS: &str = "Access";
const MERCURE: &str = "Mercure";
const SUBSCRIBERS: &str = "Subscribers";
const LIMITS: &str = "Limits";
const MACHINE: &str = "Machine and log";

impl HubArgs {
    /// What was typed, as a layer of settings.
    pub(crate) fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        let mut give = |name: &'static str, texts: &[String]| {
            if !texts.is_empty() {
                let origin = Origin::Flag(format!("--{name}"));
                layer.values.insert(name, Given { texts: texts.to_vec(), origin });
            }
        };
        give("listen", &self.listen);
        give("tls-cert", self.tls_cert.as_slice());
        give("tls-key", self.tls_key.as_slice());
        give("redirect-listen", &self.redirect_listen);
        give("trusted-proxy", &self.trusted_proxy);
        give("data", self.data.as_slice());
        give("store", self.store.as_slice());
        give("durability", self.durability.as_slice());
        give("retention-bytes", self.retention_bytes.as_slice());
        give("retention-age", self.retention_age.as_slice());
        give("recent-bytes", self.recent_bytes.as_slice());
        give("ring-bytes", self.ring_bytes.as_slice());
        give("open", self.open.as_slice());
        give("allowed-host", &self.allowed_host);
        give("jwt-secret-file", self.jwt_secret_file.as_slice());
        give("cors-origin", &self.cors_origin);
        give("cors-credentials", self.cors_credentials.as_slice());
        give("mercure", self.mercure.as_slice());
        give("mercure-anonymous", self.mercure_anonymous.as_slice());
        give("mercure-public", &self.mercure_public);
        give("mercure-subscriptions", self.mercure_subscriptions.as_slice());
        give("mercure-issuer", &self.mercure_issuer);
        give("mercure-resource", self.mercure_resource.as_slice());
        give("mercure-publish-origin", &self.mercure_publish_origin);
        give("max-subscribers", self.max_subscribers.as_slice());
        give("max-arrival-rate", self.max_arrival_rate.as_slice());
        give("heartbeat", self.heartbeat.as_slice());
        give("retry", self.retry.as_slice());
        give("retry-refused", self.retry_refused.as_slice());
        give("peer-patience", self.peer_patience.as_slice());
        give("max-connection-age", self.max_connection_age.as_slice());
        give("max-event-bytes", self.max_event_bytes.as_slice());
        give("max-topics", self.max_topics.as_slice());
        give("max-connections", self.max_connections.as_slice());
        give("max-matchers", self.max_matchers.as_slice());
        give("max-publish-rate", self.max_publish_rate.as_slice());
        give("max-connections-per-address", self.max_connections_per_address.as_slice());
        give("max-subscribers-per-address", self.max_subscribers_per_address.as_slice());
        give("max-subscribers-per-token", self.max_subscribers_per_token.as_slice());
        give("max-streams", self.max_streams.as_slice());
        give("max-head-bytes", self.max_head_bytes.as_slice());
        give("max-head-time", self.max_head_time.as_slice());
        give("max-body-pause", self.max_body_pause.as_slice());
        give("max-ingest-pause", self.max_ingest_pause.as_slice());
        give("max-idle", self.max_idle.as_slice());
        give("drain-window", self.drain_window.as_slice());
        give("max-drain", self.max_drain.as_slice());
        give("shards", self.shards.as_slice());
        give("workers", self.workers.as_slice());
        give("engine", self.engine.as_slice());
        give("log", self.log.as_slice());
        give("log-format", self.log_format.as_slice());
        layer
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use clap::Parser as _;

    use crate::args::{Cli, Command};
    use crate::settings::{KEYS, Origin};

    #[test]
    fn every_setting_but_the_secret_itself_has_a_flag_that_arrives() {
        let mut words = vec!["tidings".to_owned(), "serve".to_owned()];
        words.extend(
            KEYS.iter()
                .filter(|key| key.name != "jwt-secret")
                .map(|key| format!("--{}=x", key.name)),
        );
        let Command::Serve(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("another command");
        };
        let layer = args.layer();
        let arrived: BTreeSet<_> = layer.values.keys().copied().collect();
        let names = KEYS.iter().map(|key| key.name).filter(|name| *name != "jwt-secret");
        assert_eq!(arrived, names.collect());
        assert_eq!(layer.values["retry"].origin, Origin::Flag("--retry".to_owned()));
    }
}
