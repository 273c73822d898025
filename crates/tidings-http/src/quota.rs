//! What one address and one token may have of the hub.
//!
//! Each bound is off unless it is configured. Keys are numbers made with a secret of this process,
//! so nobody can choose a name that meets somebody else's.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tidings_engine::Rejection;

use crate::client::{self, Client};
use crate::config::HttpConfig;
use crate::key_share::KeyShare;
use crate::limiter::{Place, Rates, SHARED, Tally};
use crate::limits::EXCESS_CONNECTIONS_MAX;
use crate::meter::Meter;
pub use crate::quota_key::Key;

/// All bounds by address and by token.
#[derive(Debug)]
pub struct Quotas {
    hasher: RandomState,
    connections: Option<Arc<Tally>>,
    address_subscribers: Option<Arc<Tally>>,
    token_subscribers: Option<Arc<Tally>>,
    publishes: Option<Rates>,
}

/// What becomes of a new connection.
#[derive(Debug)]
pub(crate) enum Entrance {
    /// It is served. What is in it counts it for as long as it is kept.
    Open(Option<Place>),
    /// Its address has too many: it is told so.
    Excess(Place),
    /// Its address has far too many: it is closed without a word.
    Shut,
}

impl Quotas {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        let tally = |max: Option<NonZeroU32>| max.map(|max| Arc::new(Tally::new(max.get())));
        Self {
            hasher: RandomState::new(),
            connections: tally(config.connections_per_address_max),
            address_subscribers: tally(config.subscribers_per_address_max),
            token_subscribers: tally(config.subscribers_per_token_max),
            publishes: config.publish_rate_max.map(Rates::new),
        }
    }

    /// What becomes of a new connection from `peer`.
    pub(crate) fn enter(&self, peer: IpAddr) -> Entrance {
        let Some(tally) = &self.connections else { return Entrance::Open(None) };
        let key = self.address(peer);
        match tally.enter(key, EXCESS_CONNECTIONS_MAX) {
            Some((place, count)) if count <= tally.max => Entrance::Open(Some(place)),
            Some((place, _)) => Entrance::Excess(place),
            None => Entrance::Shut,
        }
    }

    /// Counts a subscriber in. What is returned, if there is anything to count, counts it for as
    /// long as it is kept.
    pub fn subscribe(
        &self,
        parts: &Parts,
        token: Option<Key>,
        share: Option<&KeyShare>,
    ) -> Result<Option<impl Send + use<>>, Rejection> {
        if let Some(rejection) = Client::excess(parts) {
            return Err(rejection);
        }
        let address = Client::of(parts).map(|client| self.address(client.address));
        let by_address = Tally::enter_if(self.address_subscribers.as_ref(), address);
        let by_address = by_address.ok_or(Rejection::AddressSubscribers)?;
        let by_token = Tally::enter_if(self.token_subscribers.as_ref(), token);
        let by_token = by_token.ok_or(Rejection::TokenSubscribers)?;
        let by_key = KeyShare::connect(share)?;
        let is_counted = by_address.is_some() || by_token.is_some() || by_key.is_some();
        let places = (by_address, by_token, by_key);
        Ok(is_counted.then_some(places))
    }

    /// Lets somebody publish, or says how long to wait. Those without a token are known by their
    /// address.
    pub fn publisher<'a>(
        &'a self,
        parts: &Parts,
        token: Option<Key>,
        share: Option<&'a KeyShare>,
    ) -> Result<Meter<'a>, Duration> {
        let key = || {
            let address = Client::of(parts).map(|client| client.address);
            token.or_else(|| address.map(|address| self.address(address))).unwrap_or(SHARED)
        };
        let rates = self.publishes.as_ref().map(|rates| (rates, key()));
        let meter = Meter::new(rates, share);
        match meter.charge(&[]) {
            Duration::ZERO => Ok(meter),
            wait => Err(wait),
        }
    }

    fn address(&self, address: IpAddr) -> Key {
        self.hasher.hash_one(client::household(address))
    }
}

/// A wait as `Retry-After` says it: whole seconds, at least one (RFC 9110 §10.2.3).
pub fn retry_after(wait: Duration) -> u64 {
    wait.as_secs() + 1
}
