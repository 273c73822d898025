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

use crate::allowance::Allowance;
use crate::client::{self, Client};
use crate::concurrency_limit::{ConcurrencyLimit, Permit};
use crate::config::HttpConfig;
use crate::key_share::KeyShare;
use crate::limits::EXCESS_CONNECTIONS_MAX;
pub use crate::quota_key::Key;
use crate::quota_key::SHARED;
use crate::rate_limiter::RateLimiter;

/// All limits per address and per token.
#[derive(Debug)]
pub struct Quotas {
    hasher: RandomState,
    connections: Option<Arc<ConcurrencyLimit>>,
    address_subscribers: Option<Arc<ConcurrencyLimit>>,
    token_subscribers: Option<Arc<ConcurrencyLimit>>,
    publishes: Option<RateLimiter>,
}

/// How a new connection is treated.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It is served, and counted for as long as the permit is kept.
    Open(Option<Permit>),
    /// Its address has too many: its requests are rejected with that reason.
    Excess(Permit),
    /// Its address has far too many: it is closed without an answer.
    Shut,
}

impl Quotas {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        let limit =
            |max: Option<NonZeroU32>| max.map(|max| Arc::new(ConcurrencyLimit::new(max.get())));
        Self {
            hasher: RandomState::new(),
            connections: limit(config.connections_per_address_max),
            address_subscribers: limit(config.subscribers_per_address_max),
            token_subscribers: limit(config.subscribers_per_token_max),
            publishes: config.publish_rate_max.map(RateLimiter::new),
        }
    }

    /// Decides how a new connection from `peer` is treated.
    pub(crate) fn admit(&self, peer: IpAddr) -> Admission {
        let Some(limit) = &self.connections else { return Admission::Open(None) };
        let key = self.address(peer);
        match limit.acquire(key, EXCESS_CONNECTIONS_MAX) {
            Some((permit, count)) if count <= limit.max => Admission::Open(Some(permit)),
            Some((permit, _)) => Admission::Excess(permit),
            None => Admission::Shut,
        }
    }

    /// Counts a subscriber for as long as the returned permit is kept, if there is anything to
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
        let by_address = ConcurrencyLimit::acquire_if(self.address_subscribers.as_ref(), address);
        let by_address = by_address.ok_or(Rejection::AddressSubscribers)?;
        let by_token = ConcurrencyLimit::acquire_if(self.token_subscribers.as_ref(), token);
        let by_token = by_token.ok_or(Rejection::TokenSubscribers)?;
        let by_key = KeyShare::connect(share)?;
        let is_counted = by_address.is_some() || by_token.is_some() || by_key.is_some();
        let permits = (by_address, by_token, by_key);
        Ok(is_counted.then_some(permits))
    }

    /// Admits a publisher, or returns how long to wait. Publishers without a token are known by
    /// their address.
    pub fn publisher(
        &self,
        parts: &Parts,
        token: Option<Key>,
        share: Option<&Arc<KeyShare>>,
    ) -> Result<Allowance<'_>, Duration> {
        let key = || {
            let address = Client::of(parts).map(|client| client.address);
            token.or_else(|| address.map(|address| self.address(address))).unwrap_or(SHARED)
        };
        let rates = self.publishes.as_ref().map(|rates| (rates, key()));
        let allowance = Allowance::new(rates, share.cloned());
        match allowance.charge(&[]) {
            Duration::ZERO => Ok(allowance),
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
