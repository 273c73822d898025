//! What one address and one token may have of the hub.
//!
//! Each bound is off unless it is configured. What is remembered is bounded by what there is: a
//! [`Tally`] has an entry for each address or token that holds something now, and [`Rates`] one for
//! each that published in the last second, up to [`RATES_MAX`]. Keys are numbers made with a secret
//! of this process, so nobody can choose a name that meets somebody else's.

mod full;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::request::Parts;

use crate::client::{self, Client};
use crate::config::Config;
use crate::limits::{EXCESS_CONNECTIONS_MAX, RATES_MAX};

pub(crate) use full::Full;

/// All bounds by address and by token.
#[derive(Debug)]
pub(crate) struct Quotas {
    hasher: RandomState,
    started: Instant,
    connections: Option<Arc<Tally>>,
    address_subscribers: Option<Arc<Tally>>,
    token_subscribers: Option<Arc<Tally>>,
    publishes: Option<Rates>,
}

/// A token, or an address, as a number.
pub(crate) type Key = u64;

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
    pub(crate) fn new(config: &Config) -> Self {
        let tally = |max: Option<NonZeroU32>| max.map(|max| Arc::new(Tally::new(max.get())));
        Self {
            hasher: RandomState::new(),
            started: Instant::now(),
            connections: tally(config.connections_per_address_max),
            address_subscribers: tally(config.subscribers_per_address_max),
            token_subscribers: tally(config.subscribers_per_token_max),
            publishes: config.publishes_per_second_max.map(Rates::new),
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
    pub(crate) fn subscribe(
        &self,
        parts: &Parts,
        token: Option<Key>,
    ) -> Result<Option<impl Send + use<>>, Full> {
        if Client::exceeds(parts) {
            return Err(Full::Connections);
        }
        let address = Client::of(parts).map(|client| self.address(client.address));
        let by_address = Tally::enter_if(self.address_subscribers.as_ref(), address);
        let by_address = by_address.ok_or(Full::Address)?;
        let by_token = Tally::enter_if(self.token_subscribers.as_ref(), token);
        let places = (by_address, by_token.ok_or(Full::Token)?);
        let is_counted = places.0.is_some() || places.1.is_some();
        Ok(is_counted.then_some(places))
    }

    /// Lets somebody publish, or says how long to wait. Those without a token are known by their
    /// address.
    pub(crate) fn publisher(
        &self,
        parts: &Parts,
        token: Option<Key>,
    ) -> Result<Meter<'_>, Duration> {
        let key = || {
            let address = Client::of(parts).map(|client| client.address);
            token.or_else(|| address.map(|address| self.address(address))).unwrap_or(SHARED)
        };
        let rates = self.publishes.as_ref().map(|rates| (rates, key()));
        let meter = Meter { rates, started: self.started };
        match meter.charge(0) {
            Duration::ZERO => Ok(meter),
            wait => Err(wait),
        }
    }

    fn address(&self, address: IpAddr) -> Key {
        self.hasher.hash_one(client::household(address))
    }
}

/// A wait as `Retry-After` says it: whole seconds, at least one (RFC 9110 §10.2.3).
pub(crate) fn retry_after(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

/// How many of something everybody has now.
#[derive(Debug)]
struct Tally {
    max: u32,
    counts: Mutex<HashMap<Key, u32>>,
}

/// One of the things that a [`Tally`] counts; dropping it counts it out.
#[derive(Debug)]
pub(crate) struct Place {
    tally: Arc<Tally>,
    key: Key,
}

impl Tally {
    fn new(max: u32) -> Self {
        Self { max, counts: Mutex::default() }
    }

    /// Counts one in, unless there are the most and `more` already; says how many there are then.
    fn enter(self: &Arc<Self>, key: Key, more: u32) -> Option<(Place, u32)> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_insert(0);
        if *count >= self.max.saturating_add(more) {
            return None;
        }
        *count += 1;
        Some((Place { tally: Arc::clone(self), key }, *count))
    }

    /// The same where there may be no bound, or nobody known to be counted. `None` if it is full.
    fn enter_if(tally: Option<&Arc<Self>>, key: Option<Key>) -> Option<Option<Place>> {
        match tally.zip(key) {
            Some((tally, key)) => tally.enter(key, 0).map(|(place, _)| Some(place)),
            None => Some(None),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.tally.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// An allowance of events for everybody, that refills at a steady rate up to one second's worth.
///
/// By the generic cell rate algorithm (ITU-T I.371): one number per publisher, the moment at which
/// its allowance would be full again. It may be overdrawn by one request; the next waits for it.
#[derive(Debug)]
struct Rates {
    per_second: u32,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    full_at_ns: HashMap<Key, u64>,
    /// Who has paid back is forgotten when the table is full, at the most once a second.
    swept_at_ns: Option<u64>,
}

const SECOND_NS: u64 = 1_000_000_000;

/// The allowance of those who are not known, or came when the table was full.
const SHARED: Key = 0;

impl Rates {
    fn new(per_second: NonZeroU32) -> Self {
        Self { per_second: per_second.get(), table: Mutex::default() }
    }

    /// Takes `events` from the allowance of `key` at `now_ns`. Returns how long until there is room
    /// for one more.
    fn charge(&self, key: Key, events: usize, now_ns: u64) -> Duration {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { full_at_ns: moments, swept_at_ns } = &mut *table;
        let has_room =
            |moments: &HashMap<_, _>| moments.len() < RATES_MAX || moments.contains_key(&key);
        if !has_room(moments) && swept_at_ns.is_none_or(|at_ns| now_ns >= at_ns + SECOND_NS) {
            *swept_at_ns = Some(now_ns);
            moments.retain(|_, full_at_ns| *full_at_ns > now_ns);
        }
        let key = if has_room(moments) { key } else { SHARED };
        let interval_ns = SECOND_NS / u64::from(self.per_second);
        let full_at_ns = moments.get(&key).copied().unwrap_or(0).max(now_ns);
        let full_at_ns = full_at_ns.saturating_add(interval_ns.saturating_mul(events as u64));
        if events > 0 {
            moments.insert(key, full_at_ns);
        }
        let room_at_ns = (full_at_ns + interval_ns).saturating_sub(SECOND_NS.max(interval_ns));
        Duration::from_nanos(room_at_ns.saturating_sub(now_ns))
    }
}

/// One publisher's allowance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter<'a> {
    rates: Option<(&'a Rates, Key)>,
    started: Instant,
}

impl Meter<'_> {
    /// Takes so many events from the allowance. Returns how long to wait before the next one.
    pub(crate) fn charge(&self, events: usize) -> Duration {
        let Some((rates, key)) = self.rates else { return Duration::ZERO };
        let now_ns = self.started.elapsed().as_nanos().try_into().unwrap_or(u64::MAX);
        rates.charge(key, events, now_ns)
    }

    /// The most events that should be taken at once, so that what is taken is evenly spread.
    pub(crate) fn events_max(&self) -> usize {
        self.rates.map_or(usize::MAX, |(rates, _)| rates.per_second as usize)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn places_are_given_up_to_the_bound_and_given_back() {
        let tally = Arc::new(Tally::new(2));
        let first = tally.enter(7, 0).unwrap();
        let second = tally.enter(7, 0).unwrap();
        assert_eq!((first.1, second.1), (1, 2));
        assert!(tally.enter(7, 0).is_none());
        assert!(tally.enter(8, 0).is_some(), "another one is not concerned");
        assert_eq!(tally.enter(7, 1).map(|(_, count)| count), Some(3));
        drop(first);
        assert!(tally.enter(7, 0).is_some());
        drop(second);
        assert!(tally.counts.lock().unwrap().is_empty(), "nobody is remembered who has nothing");
    }

    #[test]
    fn a_second_s_worth_may_come_at_once_and_then_the_rate() {
        let rates = Rates::new(NonZeroU32::new(10).unwrap());
        let admitted = |now_ns| {
            std::iter::from_fn(|| {
                rates.charge(1, 0, now_ns).is_zero().then(|| rates.charge(1, 1, now_ns))
            })
            .count()
        };
        assert_eq!(admitted(0), 10);
        assert_eq!(rates.charge(1, 0, 0), Duration::from_millis(100));
        assert_eq!(admitted(SECOND_NS / 10 - 1), 0);
        assert_eq!(admitted(SECOND_NS / 2), 5);
        assert_eq!(admitted(100 * SECOND_NS), 10, "a long pause saves up no more");
    }

    #[test]
    fn an_allowance_that_a_batch_has_overdrawn_is_paid_back() {
        let rates = Rates::new(NonZeroU32::new(10).unwrap());
        assert_eq!(rates.charge(1, 30, 0), Duration::from_millis(2100));
        assert!(rates.charge(2, 0, 0).is_zero(), "by nobody else");
        assert!(!rates.charge(1, 0, 2 * SECOND_NS).is_zero());
        assert!(rates.charge(1, 0, 2 * SECOND_NS + SECOND_NS / 10).is_zero());
    }

    #[test]
    fn a_rate_of_one_lets_one_in_each_second() {
        let rates = Rates::new(NonZeroU32::new(1).unwrap());
        assert!(rates.charge(1, 0, 0).is_zero());
        assert_eq!(rates.charge(1, 1, 0), Duration::from_secs(1));
        assert!(rates.charge(1, 0, SECOND_NS).is_zero());
    }

    #[test]
    fn the_table_of_rates_does_not_grow_for_ever() {
        let rates = Rates::new(NonZeroU32::new(1).unwrap());
        for key in 1..=2 * RATES_MAX as u64 {
            rates.charge(key, 1, 0);
        }
        let late = 2 * RATES_MAX as u64 + 1;
        assert!(!rates.charge(late, 0, 0).is_zero(), "who is too late shares with the others");
        assert!(rates.table.lock().unwrap().full_at_ns.len() <= RATES_MAX + 1);
        assert!(rates.charge(late, 1, SECOND_NS) == Duration::from_secs(1));
        assert!(
            rates.table.lock().unwrap().full_at_ns.len() <= 2,
            "who has paid back is forgotten"
        );
    }
}
