use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::allowed_hosts::AllowedHosts;
use crate::auth::{ApiKey, JwtKey};
use crate::client::TrustedProxies;
use crate::cors::Cors;
use crate::limits;
use crate::mercure::MercureConfig;
use crate::tls::Tls;

/// What the server is told once, at the start.
///
/// Every field has a default; [`check`](Self::check) says whether they fit together. Keys and
/// origins cannot be built wrong, so what is left to check are numbers and the rule about open
/// addresses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses to listen on, HTTP/1.1 and HTTP/2; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// Speak TLS at all of these addresses. Without it, HTTP is in the clear.
    pub tls: Option<Tls>,
    /// Addresses at which HTTP is in the clear and readers are sent to the first address of
    /// [`listen`](Self::listen). Only with [`tls`](Self::tls).
    pub redirect: Vec<SocketAddr>,
    /// Lets everybody publish and subscribe to everything, on any address. Without it, and without
    /// keys, only loopback addresses can be listened on. If there are keys, a token that is sent
    /// all the same must be good.
    pub open: bool,
    /// Hosts by which an open hub may be asked for, beside loopback names and addresses: by any
    /// other name a web page of any site could reach it (DNS rebinding). At the edge: 421. Also
    /// hosts to which [`redirect`](Self::redirect) sends readers beside those of the certificate.
    pub allowed_hosts: AllowedHosts,
    /// An application says who may do what, by an `Arc<Grant>` among the extensions of a request
    /// (see [`HubService`](crate::HubService)). A request without one needs a token, also where
    /// there are no keys.
    pub granted_by_application: bool,
    /// Keys that may be presented as they are. With any key configured, of either kind, a request
    /// without a token is refused, on loopback addresses too (unless [`open`](Self::open)).
    pub api_keys: Vec<ApiKey>,
    /// Keys that sign JSON Web Tokens.
    pub jwt_keys: Vec<JwtKey>,
    /// The Mercure protocol, at `/.well-known/mercure`.
    pub mercure: MercureConfig,
    /// Which web pages of other origins may use the hub.
    pub cors: Cors,
    /// Static files to serve: the console unless set. Of two with the same path the later wins.
    pub pages: Vec<&'static [tidings_web::File]>,
    /// What `retry:` tells subscribers to wait before they reconnect, give or take half of it.
    pub retry: Duration,
    /// What `retry:` tells subscribers for whom there is no room now, give or take half of it.
    pub retry_refused: Duration,
    /// The longest payload of one event, in bytes. At the edge: 413.
    pub event_bytes_max: usize,
    /// The longest a long poll (`?wait=`) may ask to wait. At the edge: 400.
    pub wait_max: Duration,
    /// How long a publisher's stream of events may pause. At the edge: 408; what came before is
    /// published.
    pub ingest_idle_max: Duration,
    /// How long the body of any other request may pause, and how long it may take beside the time
    /// that it earns by its length ([`BODY_RATE_MIN`](limits::BODY_RATE_MIN)); also how long one
    /// waits for room. At the edge: 408 or 503, and nothing of it is published.
    pub body_idle_max: Duration,
    /// The head of a request, in bytes. At the edge: 431.
    pub head_bytes_max: usize,
    /// Topics and patterns of one native subscription. At the edge: 400.
    pub matchers_max: usize,
    /// Proxies whose word about the addresses of their clients counts.
    pub trusted_proxies: TrustedProxies,
    /// Connections at once from one address (of IPv6: from one /64), subscribers with their own
    /// connection among them; trusted proxies may have any number. At the edge: a subscriber is
    /// told to come back later, others get 429, and beyond
    /// [`EXCESS_CONNECTIONS_MAX`](limits::EXCESS_CONNECTIONS_MAX) more are closed without a word.
    pub connections_per_address_max: Option<NonZeroU32>,
    /// Subscribers at once from one address, also behind a trusted proxy. At the edge: one more is
    /// told to come back later.
    pub subscribers_per_address_max: Option<NonZeroU32>,
    /// Subscribers at once with one token. At the edge: one more is told to come back later.
    pub subscribers_per_token_max: Option<NonZeroU32>,
    /// Events per second published with one token, or by one address without a token, after as many
    /// at once. At the edge: 429 that says when to try again; a stream of events is read as fast as
    /// it may come.
    pub publishes_per_second_max: Option<NonZeroU32>,
    /// How long the head of a request may take. At the edge: 408.
    pub head_max: Duration,
    /// How long a connection without a request is kept. At the edge: it is closed.
    pub keep_alive: Duration,
    /// Connections at once that HTTP is spoken on; subscribers whose sockets the engine has taken
    /// over do not count (see `EngineConfig::subscribers_max`). At the edge: on a few more
    /// ([`RESERVE_CONNECTIONS`](limits::RESERVE_CONNECTIONS)) probes are answered and others told
    /// to come back; the system's queue holds the rest.
    pub connections_max: usize,
    /// Streams at once on one HTTP/2 connection. At the edge: the client waits with further
    /// requests.
    pub streams_max: u32,
    /// When the hub leaves: the time over which subscribers are told to come back, so that they do
    /// not all come back at once.
    pub drain_window: Duration,
    /// When the hub leaves: the time after which connections that are still there are cut. More
    /// than [`drain_window`](Self::drain_window).
    pub drain_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))],
            tls: None,
            redirect: Vec::new(),
            open: false,
            allowed_hosts: AllowedHosts::default(),
            granted_by_application: false,
            api_keys: Vec::new(),
            jwt_keys: Vec::new(),
            mercure: MercureConfig::default(),
            cors: Cors::default(),
            pages: vec![tidings_web::CONSOLE],
            retry: Duration::from_secs(2),
            retry_refused: Duration::from_secs(10),
            event_bytes_max: limits::EVENT_BYTES_MAX,
            wait_max: limits::WAIT_MAX,
            ingest_idle_max: limits::INGEST_IDLE_MAX,
            body_idle_max: limits::BODY_IDLE_MAX,
            head_bytes_max: limits::HEAD_BYTES_MAX,
            matchers_max: limits::MATCHERS_MAX,
            trusted_proxies: TrustedProxies::default(),
            connections_per_address_max: None,
            subscribers_per_address_max: None,
            subscribers_per_token_max: None,
            publishes_per_second_max: None,
            head_max: limits::HEAD_MAX,
            keep_alive: limits::KEEP_ALIVE,
            connections_max: limits::CONNECTIONS_MAX,
            streams_max: limits::STREAMS_MAX,
            drain_window: Duration::from_secs(5),
            drain_max: Duration::from_secs(15),
        }
    }
}

impl Config {
    /// Whether a request without a token may do everything.
    pub(crate) fn is_open(&self) -> bool {
        self.open || (self.has_no_keys() && !self.granted_by_application)
    }

    /// Whether no token could ever be good.
    pub(crate) fn has_no_keys(&self) -> bool {
        self.api_keys.is_empty() && self.jwt_keys.is_empty() && !self.mercure.has_keys()
    }

    /// Whether tokens have bounds of their own.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.subscribers_per_token_max.is_some() || self.publishes_per_second_max.is_some()
    }

    pub(crate) fn has_access_rules(&self) -> bool {
        self.open || self.granted_by_application || !self.has_no_keys()
    }

    /// An address that others than this machine can reach.
    pub(crate) fn exposed(&self) -> Option<SocketAddr> {
        let mut addresses = self.listen.iter().copied();
        addresses.find(|address| !address.ip().to_canonical().is_loopback())
    }
}
