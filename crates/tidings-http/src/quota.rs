//! Limits per address and per token.
//!
//! Each limit is off unless it is configured. Keys are hashes with a secret of this process, so a
//! client cannot choose one that collides with another's.

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

/// All limits per address and per token.
#[derive(Debug)]
pub struct Quotas {
    hasher: RandomState,
    connections: Option<Arc<Tally>>,
    address_subscribers: Option<Arc<Tally>>,
    token_subscribers: Option<Arc<Tally>>,
    publishes: Option<Rates>,
}

/// How a new connection is treated.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is served, and counted for as long as the place is kept.
    Open(Option<Place>),
    /// Its address has too many: its requests are rejected with that reason.
    Excess(Place),
    /// Its address has far too many: it is closed without an answer.
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

    /// Decides how a new connection from `peer` is treated.
    pub(crate) fn enter(&self, peer: IpAddr) -> Admission {
        let Some(tally) = &self.connections else { return Admission::Open(None) };
        let key = self.address(peer);
        match tally.enter(key, EXCESS_CONNECTIONS_MAX) {
            Some((place, count)) if count <= tally.max => Admission::Open(Some(place)),
            Some((place, _)) => Admission::Excess(place),
            None => Admission::Shut,
        }
    }

    /// Counts a subscriber for as long as the returned place is kept, if there is anything to
    /// count.
    pub fn subscribe(
        &self,
        parts: &Parts,
        token: Option<Key>,
        share: Option<&Arc<KeyShare>>,
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

    /// Admits a publisher, or returns how long to wait. Publishers without a token are known by
    /// their address.
    pub fn publisher(
        &self,
        parts: &Parts,
        token: Option<Key>,
        share: Option<&Arc<KeyShare>>,
    ) -> Result<Meter<'_>, Duration> {
        let key = || {
            let address = Client::of(parts).map(|client| client.address);
            token.or_else(|| address.map(|address| self.address(address))).unwrap_or(SHARED)
        };
        let rates = self.publishes.as_ref().map(|rates| (rates, key()));
        let meter = Meter::new(rates, share.cloned());
        match meter.charge(&[]) {
            Duration::ZERO => Ok(meter),
            wait => Err(wait),
        }
    }

    fn address(&self, address: IpAddr) -> Key {
        self.hasher.hash_one(client::rate_limit_prefix(address))
    }
}

/// A wait as the value of `Retry-After`: whole seconds, at least one (RFC 9110 §10.2.3).
pub fn retry_after(wait: Duration) -> u64 {
    wait.as_secs() + 1
}
