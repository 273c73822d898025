use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use tidings_hub::Matcher;

use crate::allowed_hosts::AllowedHosts;
use crate::auth::session::Sessions;
use crate::auth::{ApiKey, JwtKey, LinkKey};
use crate::authorize::AuthorizeRule;
use crate::client::TrustedProxies;
use crate::cors::Cors;
use crate::denials::Denials;
use crate::error::ConfigError;
use crate::limits;
use crate::notify::NotifyReceiver;
use crate::tls::Tls;

/// Configuration of the HTTP server in front of a hub.
///
/// Every field has a default; [`check`](Self::check) says whether they fit together. Keys and
/// origins cannot be built with invalid values, so only numbers and the rule about open addresses
/// are left to check.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Addresses to listen on, HTTP/1.1 and HTTP/2; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// TLS at all of these addresses; without it, HTTP in the clear.
    pub tls: Option<Tls>,
    /// Addresses that accept HTTP in the clear and redirect readers to the first address of
    /// [`listen`](Self::listen). Only with [`tls`](Self::tls).
    pub redirect: Vec<SocketAddr>,
    /// Lets anyone publish and subscribe to everything, on any address. Without it, and without
    /// keys, the server can listen only on loopback addresses. If there are keys, a token that is
    /// sent must still be valid.
    pub open: bool,
    /// Hosts under which an open hub answers, besides loopback names and addresses: under any other
    /// name, a web page of any site could reach it (DNS rebinding). At the edge: 421. Also hosts to
    /// which [`redirect`](Self::redirect) sends readers, besides those of the certificate.
    pub allowed_hosts: AllowedHosts,
    /// An application authorizes requests with an `Arc<Grant>` in their extensions (see
    /// `tidings_server::HubService`). A request without one needs a token, even if there are no
    /// keys.
    pub granted_by_application: bool,
    /// Keys that are sent as they are. With any key configured, of either kind, a request without a
    /// token is rejected, on loopback addresses too (unless [`open`](Self::open)).
    pub api_keys: Vec<ApiKey>,
    /// Keys that sign JSON Web Tokens.
    pub jwt_keys: Vec<JwtKey>,
    /// Topics that every client may subscribe to, with or without a token. The default is none.
    pub anonymous_subscribe: Vec<Matcher>,
    /// Topics that every client may publish to, with or without a token; pages of foreign origins
    /// may not. The default is none.
    pub anonymous_publish: Vec<Matcher>,
    /// Keys that sign links, each with an id of its own.
    pub link_keys: Vec<LinkKey>,
    /// Maximum time that a link may be good for. At the edge: 401.
    pub link_age_max: Duration,
    /// Backends that are asked what a client without any of these may do. The first rule that is
    /// about all topics of a request, and has something of it to send, counts.
    pub authorize: Vec<AuthorizeRule>,
    /// Receivers of the news of connections: each one that begins, and each that ends.
    pub notify: Vec<NotifyReceiver>,
    /// Time that a token is accepted before its `nbf` and after its `exp`, for clocks that differ.
    pub leeway: Duration,
    /// Sessions, which pages start with a token; `None` has none. A hub without keys has none
    /// either.
    pub sessions: Option<Sessions>,
    /// Time before the end of a token or a session at which its streams get `tidings.expiring`, or
    /// a third of what it had, if that is less.
    pub expiring_before: Duration,
    /// Identities that are kept away for a while.
    pub denials: Denials,
    /// Web pages of other origins that may use the hub.
    pub cors: Cors,
    /// The origin of the hub's own URL, such as `https://hub.example`, if a proxy hides it.
    pub public_origin: Option<String>,
    /// Reconnection time sent to subscribers in `retry:`, ±50 % jitter.
    pub retry: Duration,
    /// Reconnection time sent to rejected subscribers in `retry:`, ±50 % jitter.
    pub retry_refused: Duration,
    /// Maximum payload of one event, in bytes. At the edge: 413.
    pub event_bytes_max: usize,
    /// Maximum pause within the body of any other request, and its maximum duration beyond the time
    /// that its length allows ([`BODY_RATE_MIN`](limits::BODY_RATE_MIN)); also the maximum wait for
    /// room. At the edge: 408 or 503, and none of it is published.
    pub body_pause_max: Duration,
    /// Maximum size of a request head, in bytes. At the edge: 431.
    pub head_bytes_max: usize,
    /// Proxies that are trusted to name the addresses of their clients.
    pub trusted_proxies: TrustedProxies,
    /// Maximum concurrent connections from one address (for IPv6: one /64), including subscribers
    /// with a connection of their own; trusted proxies may have any number. At the edge: a
    /// subscriber is asked to come back later, other requests get 429, and connections beyond
    /// [`EXCESS_CONNECTIONS_MAX`](limits::EXCESS_CONNECTIONS_MAX) more are closed without an
    /// answer.
    pub connections_per_address_max: Option<NonZeroU32>,
    /// Maximum concurrent subscribers from one address, also behind a trusted proxy. At the edge:
    /// further ones are asked to come back later.
    pub subscribers_per_address_max: Option<NonZeroU32>,
    /// Maximum concurrent subscribers with one token. At the edge: further ones are asked to come
    /// back later.
    pub subscribers_per_token_max: Option<NonZeroU32>,
    /// Maximum events per second published with one token, or from one address without a token; as
    /// many may come in a burst. At the edge: 429 that says when to try again; a stream of events
    /// is read no faster than this.
    pub publish_rate_max: Option<NonZeroU32>,
    /// Maximum time for a request head to arrive. At the edge: 408.
    pub head_time_max: Duration,
    /// Maximum idle time of a connection between requests. At the edge: it is closed.
    pub idle_max: Duration,
    /// Maximum concurrent HTTP connections; subscribers whose sockets the engine has taken over do
    /// not count (see `EngineConfig::subscribers_max`). At the edge: on a few more
    /// ([`RESERVE_CONNECTIONS`](limits::RESERVE_CONNECTIONS)) probes are answered and other clients
    /// asked to come back; the rest wait in the system's queue.
    pub connections_max: usize,
    /// Maximum concurrent streams on one HTTP/2 connection. At the edge: the client delays further
    /// requests.
    pub streams_max: u32,
    /// Threads that answer the requests of HTTP/1.1 connections, beside the runtime that the server
    /// runs on; each has a runtime of its own. A publisher that sends one event after the other is
    /// answered in half of the time if its thread has no other connection: then the thread itself
    /// waits for the disk. With none, which is the default, that one runtime answers all
    /// requests; so it does if the engine takes no sockets. Not for applications whose handlers
    /// need a runtime of several threads, as `block_in_place` does.
    pub request_threads: usize,
    /// Time over which a shutdown closes its subscribers, so that they do not all reconnect at
    /// once.
    pub drain_window: Duration,
    /// Time after which a shutdown cuts the remaining connections. At least
    /// [`drain_window`](Self::drain_window).
    pub drain_max: Duration,
}

impl Default for HttpConfig {
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
            anonymous_subscribe: Vec::new(),
            anonymous_publish: Vec::new(),
            link_keys: Vec::new(),
            link_age_max: limits::LINK_AGE_MAX,
            authorize: Vec::new(),
            notify: Vec::new(),
            leeway: Duration::ZERO,
            sessions: Some(Sessions::default()),
            expiring_before: limits::EXPIRING_BEFORE,
            denials: Denials::default(),
            cors: Cors::default(),
            public_origin: None,
            retry: Duration::from_secs(2),
            retry_refused: Duration::from_secs(10),
            event_bytes_max: limits::EVENT_BYTES_MAX,
            body_pause_max: limits::BODY_PAUSE_MAX,
            head_bytes_max: limits::HEAD_BYTES_MAX,
            trusted_proxies: TrustedProxies::default(),
            connections_per_address_max: None,
            subscribers_per_address_max: None,
            subscribers_per_token_max: None,
            publish_rate_max: None,
            head_time_max: limits::HEAD_TIME_MAX,
            idle_max: limits::IDLE_MAX,
            connections_max: limits::CONNECTIONS_MAX,
            streams_max: limits::STREAMS_MAX,
            request_threads: 0,
            drain_window: Duration::from_secs(5),
            drain_max: Duration::from_secs(15),
        }
    }
}

impl HttpConfig {
    /// Whether a server can start with this. `has_face_keys` says whether a protocol has keys of
    /// its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first thing that is wrong.
    pub fn check(&self, has_face_keys: bool) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        if self.tls.is_none() && !self.redirect.is_empty() {
            return Err(ConfigError::RedirectWithoutTls);
        }
        let is_protected = self.has_keys() || has_face_keys || self.granted_by_application;
        if let (false, Some(address)) = (self.open || is_protected, self.exposed()) {
            return Err(ConfigError::Unprotected { address });
        }
        for (name, is_zero) in [
            ("head_time_max", self.head_time_max.is_zero()),
            ("idle_max", self.idle_max.is_zero()),
            ("body_pause_max", self.body_pause_max.is_zero()),
            ("retry", self.retry.is_zero()),
            ("retry_refused", self.retry_refused.is_zero()),
            ("connections_max", self.connections_max == 0),
            ("streams_max", self.streams_max == 0),
            ("event_bytes_max", self.event_bytes_max == 0),
        ] {
            if is_zero {
                return Err(ConfigError::Zero { name });
            }
        }
        let heads = limits::HEAD_BYTES_MIN..=limits::READ_BYTES_MAX;
        if !heads.contains(&self.head_bytes_max) {
            let (bytes_min, bytes_max) = heads.into_inner();
            return Err(ConfigError::HeadBytes { bytes_min, bytes_max });
        }
        if self.event_bytes_max > limits::EVENT_BYTES_CEILING {
            return Err(ConfigError::EventTooLarge { bytes_max: limits::EVENT_BYTES_CEILING });
        }
        self.check_links()?;
        if self.authorize.len() > limits::AUTHORIZE_RULES_MAX {
            return Err(ConfigError::TooManyAuthorizeRules { max: limits::AUTHORIZE_RULES_MAX });
        }
        self.authorize.iter().try_for_each(AuthorizeRule::check)?;
        if self.notify.len() > limits::NOTIFY_RECEIVERS_MAX {
            return Err(ConfigError::TooManyReceivers { max: limits::NOTIFY_RECEIVERS_MAX });
        }
        if self.leeway > limits::LEEWAY_MAX {
            return Err(ConfigError::Leeway { max: limits::LEEWAY_MAX });
        }
        if self.drain_max < self.drain_window {
            return Err(ConfigError::DrainTooShort);
        }
        Ok(())
    }

    fn check_links(&self) -> Result<(), ConfigError> {
        if self.link_keys.len() > limits::LINK_KEYS_MAX {
            return Err(ConfigError::TooManyLinkKeys { max: limits::LINK_KEYS_MAX });
        }
        for (place, key) in self.link_keys.iter().enumerate() {
            if self.link_keys[..place].iter().any(|other| other.id() == key.id()) {
                return Err(ConfigError::LinkKeyTwice { id: key.id().to_owned() });
            }
        }
        if self.sessions.as_ref().is_some_and(|all| all.age_max() > limits::SESSION_AGE_CEILING) {
            return Err(ConfigError::SessionAge { max: limits::SESSION_AGE_CEILING });
        }
        if self.link_age_max > limits::LINK_AGE_CEILING {
            return Err(ConfigError::LinkAge { max: limits::LINK_AGE_CEILING });
        }
        Ok(())
    }

    /// Whether a request without a token may do everything.
    pub(crate) fn is_open(&self, has_face_keys: bool) -> bool {
        self.open || !(self.has_keys() || has_face_keys || self.granted_by_application)
    }

    /// Whether there is any key, or a backend that says what a client may do.
    pub fn has_keys(&self) -> bool {
        !(self.api_keys.is_empty()
            && self.jwt_keys.is_empty()
            && self.link_keys.is_empty()
            && self.authorize.is_empty())
    }

    /// Whether tokens have bounds of their own.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.subscribers_per_token_max.is_some() || self.publish_rate_max.is_some()
    }

    /// An address that other machines can reach.
    pub(crate) fn exposed(&self) -> Option<SocketAddr> {
        let mut addresses = self.listen.iter().copied();
        addresses.find(|address| !address.ip().to_canonical().is_loopback())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn listening_on(address: &str) -> HttpConfig {
        HttpConfig { listen: vec![address.parse().unwrap()], ..HttpConfig::default() }
    }

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(HttpConfig::default().check(false), Ok(()));
    }

    #[test]
    fn an_address_that_others_can_reach_needs_keys_or_the_word_open() {
        for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
            let mut config = listening_on(address);
            assert!(matches!(config.check(false), Err(ConfigError::Unprotected { .. })));
            config.open = true;
            assert_eq!(config.check(false), Ok(()));
        }
        for address in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(listening_on(address).check(false), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_key_protects_an_address_and_closes_loopback() {
        let mut config = listening_on("0.0.0.0:80");
        config.jwt_keys = vec![JwtKey::hs256(&[7; 32]).unwrap()];
        assert_eq!(config.check(false), Ok(()));
        assert!(!config.is_open(false));
        let config = listening_on("0.0.0.0:80");
        assert_eq!(config.check(true), Ok(()), "a protocol's own key does the same");
        assert!(!config.is_open(true));
    }

    #[test]
    fn a_zero_is_named() {
        let config = HttpConfig { head_time_max: Duration::ZERO, ..HttpConfig::default() };
        assert_eq!(config.check(false), Err(ConfigError::Zero { name: "head_time_max" }));
    }
}
